"""Ce que demandent certains tests du GPU : de quoi compiler, ou le simulateur."""

import importlib.util

import pytest

from tests.device import report

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or report.tool("nvdisasm") is None,
    reason="noyaux du GPU : numba-cuda n’est pas installé (python3 demarrer.py gpu)",
)
