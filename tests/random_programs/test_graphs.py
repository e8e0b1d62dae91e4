"""Une tranche de la campagne des graphes ; et le catalogue n’oublie aucune fonction publique."""

import importlib
import inspect

import numpy as np
import pytest

import engine.tensor as T
from engine.tensor.creation import CONSTRUCTORS
from tests.random_programs import campaign, graphs, oracle
from tests.random_programs.catalogue import NOT_DRAWN, ROWS
from tests.random_programs.judge import judge, reduce

PUBLIC = ("", "extra_ops", "nnet", "nlinalg", "slinalg", "signal.pool", "fft")
SLICE = 120  # programmes ; la campagne en fait des milliers


def _named(path):
    found = T
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _public(path):
    """Les fonctions publiques d’un module : les siennes, ou toutes pour la façade."""
    module = importlib.import_module(f"engine.tensor.{path}".rstrip("."))
    facade = hasattr(module, "__path__")
    for name, value in vars(module).items():
        own = inspect.isfunction(value) and (facade or value.__module__ == module.__name__)
        if own and not name.startswith("_"):
            yield f"{path}.{name}".lstrip("."), value


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_function_is_drawn(path):
    drawn = {_named(name) for name in ROWS}
    drawn |= {CONSTRUCTORS[name] for name in CONSTRUCTORS}
    missing = [
        name for name, value in _public(path) if value not in drawn and name not in NOT_DRAWN
    ]
    assert not missing, f"sans ligne dans catalogue.py : {', '.join(missing)}"


def test_nothing_is_left_out_without_need():
    assert all(_named(name) is not None and name not in ROWS for name in NOT_DRAWN)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slice_of_the_campaign():
    counts = campaign.Counts()
    failures = campaign.run(graphs.make, judge, reduce, counts, range(SLICE))
    assert not failures, "\n\n".join(failures.values())
    assert len(counts.sections["fonctions"]) > 150
    assert counts.sections["gradients comparés"].total() > 1000


def test_a_program_is_made_again_from_its_seed():
    first, second = graphs.make(5), graphs.make(5)
    assert first.source("None") == second.source("None")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("fault", ["valeur", "gradient", "dtype"])
def test_a_fault_is_found_and_reduced(monkeypatch, fault):
    """Trois fautes mises dans le moteur : chacune est trouvée, et réduite à son nœud."""
    scalar = T.tanh(T.dscalar()).owner.op.scalar
    change = {
        "valeur": ("numpy", lambda x: np.tanh(x) * (1 + 1e-5)),
        "gradient": ("grad", lambda x, o, g: g * (1 - o.sqr()) * 1.001),
        "dtype": ("dtype", lambda *dtypes: "float64"),
    }
    monkeypatch.setitem(vars(scalar), *change[fault])
    for seed in range(2000):
        program = graphs.make(seed)
        if any(getattr(item, "name", "") == "tanh" for item in program.items):
            try:
                judge(program, campaign.Counts(), "référence")
            except campaign.Wrong as wrong:
                text = reduce(program, wrong)
                assert "tanh" in text
                assert text.count(" = T.") + text.count(".tanh()") <= 2
                return
    raise AssertionError("la faute est passée")


def test_differences_are_precise_and_doubt_at_a_corner():
    smooth = oracle.Difference(np.exp, np.longdouble(0.5))
    assert abs(smooth.value - np.exp(np.longdouble(0.5))) < 1e-12
    assert oracle.Difference(np.abs, np.longdouble(0)).doubt == np.inf
    assert oracle.Difference(np.floor, np.longdouble(1)).doubt == np.inf
