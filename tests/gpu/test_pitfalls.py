"""Les pièges des noyaux CUDA, un par un : ce que coûte la mauvaise forme, et ce qui l’évite.

La mauvaise forme est chaque fois essayée elle aussi : le jour où elle ne coûtera plus rien, le test
échouera, et la précaution pourra tomber. Ce qui se voit dans le code machine se compile, sans GPU ;
le reste se calcule.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from engine.backends.scalar_text import POLYNOMIALS
from engine.gpu.kernels import cubins, simulated
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import kernel_text, make_kernel
from engine.gpu.kernels.cubins import Request
from engine.gpu.kernels.device import GPUS
from engine.gpu.kernels.machines import Simulator, machine
from tests.device import report
from tests.device.requests import record
from tests.gpu.marks import needs_compiler

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("kernels_of_the_file")
ARCHITECTURE = "sm_90a"
simulated_here = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)


def asked(body, *signature):
    return Request("essai", kernel_text("essai", body), signature, 256)


def read(*requests):
    """Le rapport de chaque demande, toutes compilées ensemble."""
    return [found for _, found in report.rows(list(requests), ARCHITECTURE)]


def with_compiler(program):
    """Ce qu’affiche un programme dans un processus où numba-cuda compile : (code, texte)."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment,
        cwd=ROOT, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


# -- les indices ---------------------------------------------------------------------------------


@needs_compiler
def test_the_index_of_an_array_pays_for_its_wrap_around():
    """Un tableau de Numba compte depuis la fin si l’indice est négatif : il faut y regarder à
    chaque accès. Une adresse ne le fait pas.
    """
    body = (
        "def kernel(out, x, n):\n    i = cuda.grid(1)\n    total = np.float32(0)\n"
        "    for q in range(8):\n        total += x[i + q - n]\n    out[i] = total\n"
    )
    array, address = read(
        *(asked(body, f"float32{kind}", f"float32{kind}", "int64") for kind in ("[:]", "*"))
    )
    assert 2 * address.instructions < array.instructions
    assert address.registers < array.registers


@needs_compiler
def test_so_does_a_shared_array_unless_its_address_or_an_unsigned_index_is_used():
    body = (
        "def kernel(out, x, n):\n    s = {1}(cuda.shared.array(512, np.float32))\n"
        "    t = {0}(cuda.threadIdx.x)\n    s[t] = x[t]\n    cuda.syncthreads()\n"
        "    total = np.float32(0)\n    for q in range(8):\n"
        "        total += s[{0}({0}(t + {0}(q)) - {0}(n))]\n    out[t] = total\n"
    )
    forms = (("int64", ""), ("uint32", ""), ("int64", "pointer"))
    signed, unsigned, address = read(
        *(asked(body.format(*form), "float32*", "float32*", form[0]) for form in forms)
    )
    assert max(unsigned.instructions, address.instructions) < signed.instructions


@needs_compiler
def test_a_remainder_of_signed_numbers_is_a_long_one():
    body = "def kernel(out, x, n):\n    i = {}(cuda.grid(1))\n    out[i] = x[i % n]\n"
    signed, unsigned = read(
        *(asked(body.format(k), "float32*", "float32*", k) for k in ("int32", "uint32"))
    )
    assert 2 * unsigned.instructions < signed.instructions


# -- les nombres ---------------------------------------------------------------------------------


@needs_compiler
def test_a_bare_constant_is_a_double():
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = x[i] * {}\n"
    bare, single = read(
        *(asked(body.format(c), "float32*", "float32*") for c in ("1.1", "np.float32(1.1)"))
    )
    assert bare.doubles > 0 and single.doubles == 0


@needs_compiler
def test_fast_mathematics_make_a_coarse_tanh():
    """Avec `fastmath`, tanh devient l’instruction approchée du GPU, juste à 5e-4 près."""
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = {}(x[i])\n"
    names = ("math.tanh", "tanh32")
    texts = {name: kernel_text("essai", body.format(name)) for name in names}
    program = f"""
import functools, json, pathlib, subprocess, tempfile
from engine.gpu.kernels import cubins
compiler, _ = cubins._compiler("{ARCHITECTURE}")
plain, found = compiler._compile_pyfunc_with_fixup, {{}}
for name, text in {texts!r}.items():
    request = cubins.Request("essai", text, ("float32*", "float32*"), 32)
    for fast in (False, True):
        compiler._compile_pyfunc_with_fixup = functools.partial(plain, fastmath=fast)
        code = cubins._compile(request, "{ARCHITECTURE}").partition(b"\\0")[2]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "noyau.cubin")
            path.write_bytes(code)
            command = [cubins.tool("nvdisasm"), "-c", str(path)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[f"{{name}} {{fast}}"] = "MUFU.TANH" in text
print(json.dumps(found))
"""
    code, said = with_compiler(program)
    assert code == 0, said
    coarse = json.loads(said)
    assert coarse["math.tanh True"]
    assert not coarse["math.tanh False"] and not coarse["tanh32 False"]


@simulated_here
def test_the_tanh_of_kernels_is_accurate():
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = tanh32(x[i])\n"
    tanh = make_kernel("essai", "tanh", body, ("float32*", "float32*"), 8)
    x = np.concatenate([np.linspace(-10, 10, 182), 10.0 ** np.arange(-8, 2)]).astype("float32")
    out = empty(x.shape, "float32")
    tanh(x.size, out, upload(x))
    exact = np.tanh(x.astype("float64"))
    coarse = exact.astype("float16")  # autant de chiffres que l’instruction approchée
    good, bad = (np.max(np.abs(y - exact) / np.abs(exact)) for y in (out.to_host(), coarse))
    assert good < 3e-7 < bad


def test_no_kernel_asks_for_fast_mathematics():
    texts = [request.text for request in record()]
    assert any("tanh" in text for text in texts)
    assert [text for text in texts if "fastmath" in text] == []


# -- compiler sans GPU ---------------------------------------------------------------------------


@needs_compiler
@pytest.mark.skipif(GPUS > 0, reason="un GPU est là : la mauvaise forme y marche")
def test_a_device_function_asks_for_a_device():
    """numba-cuda veut l’architecture du GPU présent ; `cubins` la lui dit."""
    code, said = with_compiler("""
from numba import cuda
from numba.cuda import compiler, types
@cuda.jit(device=True)
def helper(x):
    return x
def kernel(out):
    out[0] = helper(out[0])
compiler._compile_pyfunc_with_fixup(
    kernel, (types.CPointer(types.float32),), device=False, abi="numba", cc=(9, 0, "a"), lto=True
)
""")
    assert code and re.search("driver|CUDA", said), said
    body = "def kernel(out):\n    out[0] = exp32(out[0])\n"
    assert "@cuda.jit(device=True)" in kernel_text("essai", body) and "exp32" in POLYNOMIALS
    assert cubins.build([asked(body, "float32*")], ARCHITECTURE) == []


@needs_compiler
def test_shared_memory_over_48_kilobytes_is_refused():
    """Depuis sm_90 l’éditeur de liens l’accepte, mais Numba n’en demande jamais tant au pilote."""
    body = (
        "def kernel(out, x):\n    s = cuda.shared.array({0}, np.float32)\n"
        "    t = cuda.threadIdx.x\n    s[t] = x[t]\n    cuda.syncthreads()\n"
        "    out[t] = s[(t + 7) % {0}]\n"
    )
    most = (48 << 10) // 4
    fits, over = (asked(body.format(size), "float32*", "float32*") for size in (most, most + 1))
    assert cubins.build([over], "sm_80") != []
    held, spread = read(fits, over)
    assert report.over_budget(fits, held) is None
    assert "mémoire partagée" in report.over_budget(over, spread)


@needs_compiler
def test_every_intrinsic_has_its_twin():
    code, said = with_compiler(
        "import json\nfrom engine.gpu.kernels.intrinsics import compiled_functions\n"
        "print(json.dumps(sorted(compiled_functions())))"
    )
    assert code == 0, said
    real = {name for name in json.loads(said) if not name.startswith("rounding_")}
    real -= {"add_at", "max_at"}  # `cuda.atomic`, dans le simulateur
    assert real == set(simulated.simulated_functions())
