"""Les carnets du cours, et la durée de chacun en fin de rapport, avec ses cellules lentes."""

from pathlib import Path

import pytest

from tests.course.notebooks.durations import Cell, lines_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("notebooks", "solutions", "exercises")
DURATIONS = "durées"


def pytest_generate_tests(metafunc):
    """Un test qui demande `notebook_path` est joué une fois par carnet."""
    if "notebook_path" in metafunc.fixturenames:
        paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.ipynb"))]
        metafunc.parametrize("notebook_path", paths, ids=lambda p: f"{p.parent.name}/{p.stem}")


@pytest.fixture
def record_durations(record_property):
    """record_durations(carnet, replay) : à dire dans le rapport, même si pytest-xdist répartit."""

    def record(name, done):
        record_property(DURATIONS, [name, done.seconds, [list(cell) for cell in done.cells]])

    return record


def pytest_terminal_summary(terminalreporter):
    reports = [r for group in ("passed", "failed") for r in terminalreporter.stats.get(group, ())]
    found = [v for r in reports for key, v in r.user_properties if key == DURATIONS]
    if found:
        terminalreporter.section("durée des carnets")
    for name, seconds, cells in sorted(found):
        for line in lines_of(name, seconds, [Cell(*cell) for cell in cells]):
            terminalreporter.write_line(line)
