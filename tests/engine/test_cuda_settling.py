"""Un journal sans ses copies calcule la même chose : des journaux tirés au hasard le vérifient.

Ici un journal est interprété par NumPy : chaque zone est un vecteur, chaque place une vue.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from engine.backends.cuda.arrays import contiguous_strides
from engine.backends.cuda.journal import Event, Place
from engine.backends.cuda.loops import SAME, Loop
from engine.backends.cuda.settling import disjoint, settle

ROWS, COLUMNS = 4, 8  # une zone, vue comme une matrice
COPY = Loop("write", "copier", SAME, ("float32",), ("float32",))
ADD = Loop("elemwise", "add", "", ("float32",), ("float32", "float32"))
OTHER = Loop("elemwise", "autre", "", ("float32",), ("float32",))
SIZES = [4 * ROWS * COLUMNS] * 12  # de 6 en 6 : celles où tombent les produits et leurs sommes
OWNED = {0, 1}


class Multiply:
    """Ce qui tient lieu de produit : 2 a + b, terme à terme."""

    def __call__(self, out, a, b):
        out[...] = 2 * a + b

    def plus(self, out, a, b):
        out += 2 * a + b


MULTIPLY = Multiply()


def place(zone, kind, first):
    """Une place d’une zone : tout, une ligne, deux lignes, quatre colonnes."""
    whole = contiguous_strides((ROWS, COLUMNS))
    shape, strides, offset = {
        "tout": ((ROWS, COLUMNS), whole, 0),
        "ligne": ((1, COLUMNS), whole, first * COLUMNS),
        "colonnes": ((ROWS, COLUMNS // 2), whole, first % 2 * (COLUMNS // 2)),
    }[kind]
    return Place(zone, shape, np.dtype("float32"), strides, offset)


def view(zones, place):
    steps = [4 * step for step in place.strides]
    return np.lib.stride_tricks.as_strided(zones[place.zone][place.offset :], place.shape, steps)


def run(events, zones):
    """Interprète un journal."""
    for event in events:
        if event.method == "product":
            act, out, a, b = event.arguments
            act(view(zones, out), view(zones, a), view(zones, b))
            continue
        (out,), ins = event.outs, [view(zones, x) for x in event.ins]
        loop = event.arguments[0] if event.method == "loop" else COPY
        result = ins[0] if loop is COPY else sum(ins) if loop is ADD else 3 * ins[0] + 1
        view(zones, out)[...] = result.copy()


def event_of(kind, out, ins):
    if kind == "product":
        return Event("product", (MULTIPLY, out, *ins), (out,), tuple(ins))
    if kind == "inconnu":  # une ligne qui ne dit pas ce qu’elle écrit
        return Event("inconnu", (OTHER, out, *ins), None, (out, *ins))
    loop = {"copy": COPY, "add": ADD, "other": OTHER}[kind]
    return Event("loop", (loop, out.shape, (out,), tuple(ins), None), (out,), tuple(ins))


@st.composite
def journals(draw):
    """Un journal où l’on ne lit que ce qui est écrit ; les zones 0 et 1 sont données."""
    ready = {zone: np.full(ROWS * COLUMNS, zone in OWNED) for zone in range(len(SIZES))}
    events, spare = [], iter(range(6, len(SIZES)))
    for _ in range(draw(st.integers(1, 14))):
        if draw(st.integers(0, 3)) == 0:
            product, total = (next(spare, None) for _ in range(2))
            a, b, c = (place(draw(st.integers(0, 5)), "tout", 0) for _ in range(3))
            if total is not None and all(view_of(ready, x).all() for x in (a, b, c)):
                product, total = place(product, "tout", 0), place(total, "tout", 0)
                events += [event_of("product", product, [a, b])]
                events += [event_of("add", total, [c, product])]
                events += [event_of("copy", place(draw(st.integers(0, 5)), "tout", 0), [total])]
                view_of(ready, events[-1].outs[0])[...] = True
            continue
        shape_kind = draw(st.sampled_from(["tout", "ligne", "ligne", "colonnes"]))
        kind = draw(st.sampled_from(["copy", "copy", "copy", "add", "other", "product"]))
        count = 2 if kind in ("add", "product") else 1
        places = [
            place(draw(st.integers(0, 5)), shape_kind, draw(st.integers(0, ROWS - 1)))
            for _ in range(count + 1)
        ]
        out, *ins = places
        if all(view_of(ready, x).all() for x in ins) and all(
            x == out or x.zone != out.zone or disjoint(x, out) for x in ins
        ):
            if kind == "product" and any(x.zone == out.zone for x in ins):
                continue
            events.append(event_of(kind, out, ins))
            view_of(ready, out)[...] = True
    return events


def view_of(ready, place):
    return np.lib.stride_tricks.as_strided(
        ready[place.zone][place.offset :], place.shape, place.strides
    )


def fresh():
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=ROWS * COLUMNS).astype("float32")
        if zone in OWNED
        else np.full(ROWS * COLUMNS, np.nan, "float32")
        for zone in range(len(SIZES))
    ]


@settings(max_examples=400, deadline=None)
@given(journals())
def test_what_leaves_the_section_is_the_same(events):
    assume(events)
    wanted, found = fresh(), fresh()
    run(events, wanted)
    settled = settle(events, SIZES, OWNED)
    run(settled, found)
    assert len(settled) <= len(events)
    for zone in OWNED:
        np.testing.assert_allclose(found[zone], wanted[zone], 1e-5, err_msg=str(settled))


def rows(zone):
    return [place(zone, "ligne", row) for row in range(ROWS)]


def test_a_copied_result_is_written_where_it_goes():
    history, kept = rows(0), place(2, "tout", 0)
    events = []
    for rank, row in enumerate(history):
        part = Place(2 + rank, (1, COLUMNS), row.dtype, row.strides, 0)
        events += [event_of("other", part, [rows(1)[rank]]), event_of("copy", row, [part])]
    small = [4 * COLUMNS] * 6
    settled = settle(events, small, OWNED)
    assert [event.outs[0] for event in settled] == history and kept


def test_a_product_is_added_in_place_and_its_history_is_the_sum():
    """h U + (x W)[t], gardé pas à pas : les lignes de x W deviennent l’histoire."""
    events = [event_of("other", place(2, "tout", 0), [place(0, "tout", 0)])]
    sizes = [4 * ROWS * COLUMNS] * 4 + [4 * COLUMNS] * (2 * ROWS)
    for t in range(ROWS):
        product, total = (
            Place(4 + 2 * t + k, (1, COLUMNS), np.dtype("float32"), (COLUMNS, 1), 0)
            for k in range(2)
        )
        events += [
            event_of("product", product, [rows(0)[t], rows(1)[t]]),
            event_of("add", total, [product, rows(2)[t]]),
            event_of("copy", rows(3)[t], [total]),
        ]
    events.append(event_of("other", place(1, "tout", 0), [place(3, "tout", 0)]))
    settled = settle(events, sizes, OWNED)
    assert [event.method for event in settled] == ["loop", *["product"] * ROWS, "loop"]
    assert all(event.arguments[0] == MULTIPLY.plus for event in settled[1:-1])
    assert settled[-1].ins[0].zone == 2


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (place(0, "colonnes", 0), place(0, "colonnes", 1), True),
        (place(0, "ligne", 0), place(0, "ligne", 1), True),
        (place(0, "ligne", 2), place(0, "ligne", 2), False),
        (place(0, "ligne", 1), place(0, "colonnes", 1), False),
        (place(0, "tout", 0), place(0, "ligne", 3), False),
    ],
)
def test_places_with_nothing_in_common(one, other, apart):
    assert disjoint(one, other) == apart == disjoint(other, one)
