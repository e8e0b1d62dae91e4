"""Les noms du visage public : `names.txt` les donne tous, avec leur état.

Une ligne : un nom lu à partir de `engine`, puis son état. `oui` : le nom doit être là.
`pas encore` : son arrivée est annoncée, et l’état est à changer. Un titre entre crochets ouvre une
famille. `python -m tests.tensor.test_names` imprime le compte par famille.
"""

import importlib
import itertools
from pathlib import Path

import pytest

import engine
from engine import compat

NAMES = Path(__file__).with_name("names.txt")
PRESENT, BY_COMPAT, NOT_YET = "oui", "par compat", "pas encore"


def rows():
    """Les lignes (famille, nom, état) du fichier."""
    family = None
    for line in NAMES.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("["):
            family = text.strip("[]")
        elif text and not text.startswith("#"):
            name, _, state = text.partition(":")
            yield family, name.strip(), state.strip()


def find(name):
    """Dit si `engine.<name>` existe, sous-modules et attributs d’une fonction compilée compris."""
    thing, path = engine, "engine"
    if name.startswith("Function."):
        return hasattr(engine.function([], []), name.removeprefix("Function."))
    for part in name.split("."):
        path = f"{path}.{part}"
        if not hasattr(thing, part):
            try:
                thing = importlib.import_module(path)
            except ImportError:
                return False
        else:
            thing = getattr(thing, part)
    return True


def find_by_compat(name):
    """Dit si `theano.<name>` existe une fois `engine.compat` installé."""
    compat.install()
    try:
        thing = importlib.import_module("theano")
        for part in name.split("."):
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    finally:
        compat.uninstall()


def report():
    """Le compte par famille, et les noms qui manquent."""
    lines = []
    for family, group in itertools.groupby(rows(), key=lambda row: row[0]):
        found = [(name, find(name) or find_by_compat(name)) for _, name, _ in group]
        missing = [name for name, here in found if not here]
        lines.append(f"{family} : {len(found) - len(missing)} / {len(found)}")
        lines += [f"    pas encore : {name}" for name in missing]
    return "\n".join(lines)


ROWS = list(rows())


@pytest.mark.parametrize("name", [name for _, name, state in ROWS if state == PRESENT])
def test_a_name_marked_present_is_there(name):
    assert find(name), f"engine.{name} a disparu"


@pytest.mark.parametrize("name", [name for _, name, state in ROWS if state == BY_COMPAT])
def test_an_old_path_leads_there(name):
    assert find_by_compat(name), f"theano.{name} a disparu"


def test_the_list_is_well_formed():
    names = [name for _, name, _ in ROWS]
    assert len(names) == len(set(names)), "un nom paraît deux fois"
    assert {state for _, _, state in ROWS} <= {PRESENT, BY_COMPAT, NOT_YET}
    assert all(family for family, _, _ in ROWS)


def test_what_is_there_is_not_announced_as_missing(capsys):
    arrived = [
        name for _, name, state in ROWS if state == NOT_YET and (find(name) or find_by_compat(name))
    ]
    with capsys.disabled():
        print("\n" + report())
        if arrived:
            print("arrivés, à marquer « oui » dans names.txt :", ", ".join(arrived))


if __name__ == "__main__":
    print(report())
