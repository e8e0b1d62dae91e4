"""Ce que tous les tests partagent : les programmes du système, et ce que leur absence vaut.

Chez qui suit le cours, un test dont le programme manque le dit en une ligne et le reste passe. Sous
`.ci/run`, qui installe ces programmes, la même absence est un échec, comme celle d’une bibliothèque
que le verrou « dev » devrait porter.
"""

import os
import shutil

import pytest

ABSENT = "programme absent"
NOT_IMPORTED = "could not import"  # ce que dit pytest.importorskip


@pytest.fixture(scope="session")
def require_program():
    """`require_program("dot", "neato")` : le chemin du premier trouvé, ou saute le test."""
    return find_program


def find_program(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"{ABSENT} : {' ou '.join(names)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _refuse_absence((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _refuse_absence((yield))


def _refuse_absence(report):
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    if in_ci and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith((ABSENT, NOT_IMPORTED)):
            report.outcome = "failed"
            report.longrepr = (
                f"{reason} (sous CI, c’est un échec : .ci/run ou verrous/dev.txt l’installe)"
            )
    return report
