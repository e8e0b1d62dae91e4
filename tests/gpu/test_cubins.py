"""Les noyaux compilés sans GPU : ils compilent, tiennent dans leur budget ; le cache, les refus."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.backends import cache
from engine.core.errors import ModeError
from engine.gpu.kernels import cubins
from engine.gpu.kernels.compiling import kernel_text
from engine.gpu.kernels.cubins import ARCHITECTURES, Request, cubin
from tests.device import report
from tests.device.requests import record
from tests.gpu.marks import needs_compiler

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("kernels_of_the_file")
ARCHITECTURE = "sm_90a"


def asked(body, *signature):
    return Request("essai", kernel_text("essai", body), signature, 32)


@needs_compiler
def test_every_family_compiles_within_its_budget():
    """Chaque famille sur la plus vieille architecture, et sur une des autres ; toutes, partout :
    `python -m tests.device.report`.
    """
    requests = record()
    sample = report.one_of_each(requests)
    assert {"elemwise", "softmax", "index"} < {request.name for request in sample}
    oldest, *others = ARCHITECTURES
    wanted = {oldest: sample}
    for k, architecture in enumerate(others):
        wanted[architecture] = sample[k :: len(others)]
    found = report.reports(wanted)
    assert {architecture for architecture, _ in found} == set(ARCHITECTURES)
    over = {
        f"{request.name} {report.title(request)} {architecture}": why
        for (architecture, request), used in found.items()
        if (why := report.over_budget(request, used))
    }
    assert over == {}
    assert [r for r in requests if "fastmath" in r.text] == []


@needs_compiler
def test_booleans_are_bytes():
    body = "def kernel(out, x):\n    i = uint32(cuda.grid(1))\n    out[i] = x[i] != np.float32(0)\n"
    ((_, found),) = report.rows([asked(body, "bool[::1]", "float32[::1]")], ARCHITECTURE)
    assert found.instructions < 40


@needs_compiler
def test_a_failure_names_its_kernel():
    request = asked("def kernel(out):\n    out[0] = inconnu\n", "float32[::1]")
    with pytest.raises(RuntimeError, match=r"(?s)essai.*inconnu"):
        report.rows([request], ARCHITECTURE)


@needs_compiler
def test_a_process_without_a_driver_compiles_from_a_text_alone():
    """Ni pilote, ni machine ouverte, ni avertissement : le point d’entrée est celui du cubin."""
    request = asked("def kernel(out):\n    out[0] = exp32(out[0])\n", "float32[::1]")
    program = (
        "import json, sys\nfrom engine.gpu.kernels.cubins import Request, cubin\n"
        "entry, code = cubin(Request(*json.loads(sys.argv[1])), 'sm_80')\n"
        "print(b'.text.' + entry.encode() + b'\\0' in code, code[:4])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, json.dumps(request)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.stdout == "True b'\\x7fELF'\n", done.stderr


@needs_compiler
@pytest.mark.parametrize(
    ("architecture", "word"), [("sm_130a", "plus récent"), ("sm_35", "plus ancien")]
)
def test_a_gpu_that_the_compiler_does_not_know(architecture, word):
    request = asked("def kernel(out):\n    out[0] = np.float32(0)\n", "float32[::1]")
    with pytest.raises(ModeError, match=f"(?s){word}.*sm_75 à sm_12.*{architecture}"):
        cubin(request, architecture)


# -- le cache, dont le compilateur est ici un faux -------------------------------------------------


@pytest.fixture
def compiler(monkeypatch):
    """Un compilateur qui compte ; `tools` est ce qui est installé."""

    class Compiler:
        tools, made = b"outil 1", 0

        def compile(self, request, architecture):
            self.made += 1
            return b"entry\0code\0%d" % self.made

    found = Compiler()
    monkeypatch.setattr(cubins, "toolchain", lambda: found.tools)
    monkeypatch.setattr(cubins, "_compile", found.compile)
    return found


def test_other_tools_compile_again_and_none_take_what_they_find(compiler):
    request = Request("essai", "un texte", ("float32[::1]",), 32)
    assert cubin(request, ARCHITECTURE) == ("entry", b"code\x001")
    assert cubin(request, ARCHITECTURE) == ("entry", b"code\x001")
    compiler.tools = b"outil 2"
    assert cubin(request, ARCHITECTURE)[1] == b"code\x002"
    compiler.tools = b""
    assert cubin(request, ARCHITECTURE)[1] == b"code\x002" and compiler.made == 2
    assert cubins.has_cubins() and cache.read("cuda_essai", request.key(ARCHITECTURE))


def test_without_compiler_the_error_says_what_to_do(compiler):
    compiler.tools = b""
    request = Request("essai", "texte jamais vu", ("float32[::1]",), 32)
    with pytest.raises(ModeError, match=r"demarrer\.py gpu"):
        cubin(request, ARCHITECTURE)


@needs_compiler
def test_the_tools_are_those_installed():
    assert cubins.toolchain().startswith(b"numba-cuda 0.") and b"nvjitlink" in cubins.toolchain()
