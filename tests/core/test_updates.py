"""`OrderedUpdates` : ce que `scan` rend et que `function` prend."""

import pytest

import engine
from engine import shared
from engine import tensor as T
from engine.core.errors import UpdateError


def test_the_updates_of_a_loop_add_up():
    """Un `OrderedUpdates`, comme dans Theano : il s’ajoute, se met à jour, refuse le reste."""
    count, rate = shared(0, name="count"), shared(1.0, name="rate")
    _, first = engine.scan(lambda: {count: count + 1}, n_steps=3)
    updates = first + {rate: rate * 2.0}
    assert isinstance(first, engine.OrderedUpdates) and list(updates) == [count, rate]
    with pytest.raises(UpdateError):
        updates[T.dscalar("x")] = 1.0
    engine.function([], updates=updates)()
    assert (count.get_value(), rate.get_value()) == (3, 2.0)


def test_two_values_for_one_variable_are_refused():
    total = shared(0.0, name="total")
    one = engine.OrderedUpdates({total: total + 1.0})
    with pytest.raises(UpdateError, match="total"):
        one + {total: total + 2.0}
    pairs = [(total, total)]
    assert list(pairs + engine.OrderedUpdates()) == [total]
