"""Les pièges des noyaux CUDA, un par un : ce que coûte la mauvaise forme, et ce qui l’évite.

La mauvaise forme est chaque fois essayée elle aussi : le jour où elle ne coûtera plus rien, le test
échouera, et la précaution pourra tomber. Tout se voit dans le code machine, compilé sans GPU.
"""

import functools

import pytest

from engine.gpu.kernels import cubins
from engine.gpu.kernels.compiling import kernel_text
from engine.gpu.kernels.cubins import Request
from engine.gpu.kernels.device import GPUS
from tests.device import report
from tests.gpu.marks import needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("kernels_of_the_file")]
ARCHITECTURE = "sm_90a"
FLAT = ("float32[::1]", "float32[::1]")
no_gpu = pytest.mark.skipif(GPUS > 0, reason="un GPU est là : la mauvaise forme y marche")


def asked(body, *signature):
    return Request("essai", kernel_text("essai", body), signature, 256)


def read(*requests):
    """Le rapport de chaque demande."""
    return [found for _, found in report.rows(list(requests), ARCHITECTURE)]


# -- les indices ---------------------------------------------------------------------------------


def test_a_signed_index_pays_for_its_wrap_around():
    """Un tableau de Numba compte depuis la fin si l’indice est négatif : il faut y regarder à
    chaque accès, sauf s’il ne peut pas l’être.
    """
    body = (
        "def kernel(out, x, n):\n    i = {0}(cuda.grid(1))\n    total = np.float32(0)\n"
        "    for q in range(8):\n        total += x[{0}(i + {0}(q) - n)]\n    out[i] = total\n"
    )
    signed, unsigned = read(*(asked(body.format(k), *FLAT, k) for k in ("int64", "uint32")))
    assert 1.3 * unsigned.instructions < signed.instructions


def test_so_does_that_of_a_shared_array():
    body = (
        "def kernel(out, x, n):\n    s = cuda.shared.array(512, np.float32)\n"
        "    t = {0}(cuda.threadIdx.x)\n    s[t] = x[t]\n    cuda.syncthreads()\n"
        "    total = np.float32(0)\n    for q in range(8):\n"
        "        total += s[{0}({0}(t + {0}(q)) - {0}(n))]\n    out[t] = total\n"
    )
    signed, unsigned = read(*(asked(body.format(k), *FLAT, k) for k in ("int64", "uint32")))
    assert 1.3 * unsigned.instructions < signed.instructions


def test_a_remainder_of_signed_numbers_is_a_long_one():
    body = "def kernel(out, x, n):\n    i = {}(cuda.grid(1))\n    out[i] = x[i % n]\n"
    signed, unsigned = read(*(asked(body.format(k), *FLAT, k) for k in ("int32", "uint32")))
    assert 2 * unsigned.instructions < signed.instructions


# -- les nombres ---------------------------------------------------------------------------------


def test_a_bare_constant_is_a_double():
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = x[i] * {}\n"
    bare, single = read(*(asked(body.format(c), *FLAT) for c in ("1.1", "np.float32(1.1)")))
    assert bare.doubles > 0 and single.doubles == 0


def test_fast_mathematics_make_a_coarse_tanh(monkeypatch):
    """Avec `fastmath`, tanh devient l’instruction approchée du GPU, juste à 5e-4 près."""
    cuda = pytest.importorskip("numba.cuda")
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = {}(x[i])\n"
    plain = cuda.compile
    coarse = {}
    for name in ("math.tanh", "tanh32"):
        for fast in (False, True):
            monkeypatch.setattr(cuda, "compile", functools.partial(plain, fastmath=fast))
            made = cubins._compile(asked(body.format(name), *FLAT), ARCHITECTURE)
            coarse[name, fast] = "MUFU.TANH" in report.listing(made.partition(b"\0")[2])
    assert coarse["math.tanh", True]
    assert not coarse["math.tanh", False] and not coarse["tanh32", False]


# -- compiler sans GPU ---------------------------------------------------------------------------


@no_gpu
@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("helper(x[0])", None),  # récrit par `cubins` : recopié dans le noyau
        ("np.float32(1).view(np.int32)", "bits_of(np.float32(1))"),
        ("np.floor(x[0])", "math.floor(x[0])"),
    ],
    ids=["une fonction à part", "les bits d’un nombre", "un arrondi de NumPy"],
)
def test_what_numba_compiles_only_beside_a_gpu_or_never(bad, good):
    body = (
        "@cuda.jit(device=True)\ndef helper(x):\n    return x\n\n\n"
        "def kernel(out, x):\n    out[0] = {}\n"
    )
    request = asked(body.format(good or bad), *FLAT)
    assert cubins.cubin(request, ARCHITECTURE)
    raw = request._replace(text=request.text.replace(good or bad, bad))
    raw = raw._replace(text=raw.text.replace("(device=True)", "(device = True)"))
    with pytest.raises(Exception, match=r"driver|floor"):
        cubins.cubin(raw, ARCHITECTURE)


def test_shared_memory_over_48_kilobytes_is_refused():
    """Depuis sm_90 l’éditeur de liens l’accepte, mais Numba n’en demande jamais tant au pilote."""
    body = (
        "def kernel(out, x):\n    s = cuda.shared.array({0}, np.float32)\n"
        "    t = cuda.threadIdx.x\n    s[t] = x[t]\n    cuda.syncthreads()\n"
        "    out[t] = s[(t + 7) % {0}]\n"
    )
    most = (48 << 10) // 4
    fits, over = (asked(body.format(size), *FLAT) for size in (most, most + 1))
    with pytest.raises(RuntimeError, match="essai"):
        report.rows([over], "sm_80")
    held, spread = read(fits, over)
    assert report.over_budget(fits, held) is None
    assert "mémoire partagée" in report.over_budget(over, spread)
