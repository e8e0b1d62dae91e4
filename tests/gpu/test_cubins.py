"""Les noyaux compilés sans GPU : ils compilent, tiennent dans leur budget, et les pièges connus.

La compilation se fait dans un autre processus : celui des tests a chargé le simulateur.
"""

import pytest

from engine.core.errors import ModeError
from engine.gpu.kernels import cubins
from engine.gpu.kernels.compiling import kernel_text
from engine.gpu.kernels.cubins import Request
from tests.device import report
from tests.device.requests import record
from tests.gpu.marks import needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("kernels_of_the_file")]
ARCHITECTURE = "sm_90a"


def read(body, *signature, block=256, architecture=ARCHITECTURE):
    """Le rapport d’un noyau d’essai."""
    request = Request("essai", kernel_text("essai", body), signature, block)
    ((_, found),) = report.rows([request], architecture)
    return found


@pytest.mark.parametrize("architecture", cubins.ARCHITECTURES)
def test_every_family_compiles_within_its_budget(architecture):
    requests = report.one_of_each(record([architecture]))
    assert {"elemwise", "softmax", "scatter"} < {r.name for r in requests}
    found = report.reports({architecture: requests})
    assert {architecture for architecture, _ in found} == {architecture}
    over = {
        f"{request.name} {report.title(request)}": why
        for (_, request), used in found.items()
        if (why := report.over_budget(request, used))
    }
    assert over == {}


def test_a_recent_instruction_is_not_asked_of_an_old_gpu():
    body = "# à partir de sm_80\ndef kernel(out):\n    out[0] = np.float32(0)\n"
    request = Request("essai", kernel_text("essai", body), ("float32*",), 32)
    found = report.reports({"sm_75": [request], "sm_80": [request]})
    assert list(found) == [("sm_80", request)]


def test_booleans_are_bytes():
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = x[i] != np.float32(0)\n"
    assert read(body, "bool*", "float32*").instructions < 40


def test_a_failure_names_its_kernel():
    request = Request("essai", kernel_text("essai", "def kernel(out):\n    out[0] = inconnu\n"),
                      ("float32*",), 32)  # fmt: skip
    ((failed, message),) = cubins.build([request], ARCHITECTURE)
    assert failed is request and "inconnu" in message


def test_without_compiler_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cubins, "has_compiler", lambda: False)
    request = Request("essai", "texte jamais vu", ("float32*",), 32)
    with pytest.raises(ModeError, match=r"demarrer\.py gpu"):
        cubins.cubin(request, ARCHITECTURE)
