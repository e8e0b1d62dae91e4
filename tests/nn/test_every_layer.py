"""Chaque couche, trouvée d’elle-même : l’exemple de sa docstring en fait une, que l’on éprouve."""

import doctest
import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest

from engine import SharedVariable, config
from engine.nn import layers

MODULES = [
    importlib.import_module(f"{layers.__name__}.{found.name}")
    for found in pkgutil.iter_modules(layers.__path__)
]
LAYERS = [
    thing
    for module in MODULES
    for name, thing in vars(module).items()
    if inspect.isclass(thing) and thing.__module__ == module.__name__ and name[0] != "_"
]


def made_by_example(layer, monkeypatch):
    """Les couches de cette classe que fait l’exemple de sa docstring."""
    made, init = [], layer.__init__

    def remember(self, *args, **kwargs):
        made.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(layer, "__init__", remember)
    names = dict(vars(inspect.getmodule(layer)))
    functions = inspect.getmembers(inspect.getmodule(layer), inspect.isfunction)
    text = inspect.getdoc(layer)  # ou celui de la fonction qui en fait, comme `chain`
    text = text if ">>>" in text else "\n\n".join(inspect.getdoc(f) for _, f in functions)
    for example in doctest.DocTestParser().get_examples(text):
        exec(compile(example.source, layer.__name__, "single"), names)
    monkeypatch.undo()
    return made


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_a_layer(layer, monkeypatch):
    with config.change_flags(floatX="float32"):
        found = made_by_example(layer, monkeypatch)
    assert found, f"l’exemple de {layer.__name__} ne fait pas de couche"
    for one in found:
        again = pickle.loads(pickle.dumps(one))
        assert len(one.parameters) == len(again.parameters)
        for variable, copy in zip(one.parameters, again.parameters, strict=True):
            assert isinstance(variable, SharedVariable) and variable.name
            value = variable.get_value()
            given = "array(" in inspect.getdoc(layer)  # un tableau donné garde son dtype
            assert value.dtype == "float32" or given or value.dtype.kind != "f"
            np.testing.assert_array_equal(value, copy.get_value())
            copy.set_value(value + 1)
            assert not np.array_equal(variable.get_value(), copy.get_value())


def test_they_are_all_there():
    exported = {thing for thing in vars(layers).values() if inspect.isclass(thing)}
    assert exported <= set(LAYERS)
