"""Les carnets du cours, et la durée de chacun en fin de rapport."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("notebooks", "solutions", "exercises")
DURATIONS = pytest.StashKey[dict]()


def pytest_generate_tests(metafunc):
    """Un test qui demande `notebook_path` est joué une fois par carnet."""
    if "notebook_path" in metafunc.fixturenames:
        paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.ipynb"))]
        metafunc.parametrize("notebook_path", paths, ids=lambda p: f"{p.parent.name}/{p.stem}")


def pytest_configure(config):
    config.stash[DURATIONS] = {}


@pytest.fixture
def record_duration(request):
    """record_duration(carnet, secondes) : à dire dans le rapport."""
    return request.config.stash[DURATIONS].__setitem__


def pytest_terminal_summary(terminalreporter, config):
    durations = config.stash[DURATIONS]
    if durations:
        terminalreporter.section("durée des carnets")
    for name, seconds in durations.items():
        terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
