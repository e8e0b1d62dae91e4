"""Un journal sans ses copies calcule la même chose : des journaux tirés au hasard le vérifient.

Ici un journal est interprété par NumPy : chaque zone est un vecteur, chaque place une vue.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from engine.gpu.kernels.arrays import contiguous_strides
from engine.gpu.kernels.journal import Event, Place
from engine.gpu.kernels.loops import SAME, Loop
from engine.gpu.kernels.settling import disjoint, settle

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
    """Une place d’une zone : tout, une ligne, quatre colonnes."""
    whole = contiguous_strides((ROWS, COLUMNS))
    shape, strides, offset = {
        "tout": ((ROWS, COLUMNS), whole, 0),
        "ligne": ((1, COLUMNS), whole, first * COLUMNS),
        "colonnes": ((ROWS, COLUMNS // 2), whole, first % 2 * (COLUMNS // 2)),
    }[kind]
    return Place(zone, shape, np.dtype("float32"), strides, offset)


def seen(zones, place, itemsize=4):
    """Les éléments d’une place, sans copie."""
    steps = [itemsize * step for step in place.strides]
    return np.lib.stride_tricks.as_strided(zones[place.zone][place.offset :], place.shape, steps)


def parts(event):
    """Ce que la ligne écrit, et ce qu’elle lit."""
    if event.method == "product":
        _, out, *ins = event.arguments
        return out, ins
    out, *ins = *(event.outs or ()), *event.ins
    return out, ins


def crosses(event, zones, itemsize=4):
    """Dit si la ligne lit des éléments qu’elle écrit, sinon chacun à sa place."""
    out, ins = parts(event)
    return any(
        np.shares_memory(seen(zones, x, itemsize), seen(zones, out, itemsize))
        for x in ins
        if not (x == out and event.method == "loop")
    )


def run(events, zones):
    """Interprète un journal ; un GPU lit et écrit à la fois, rien n’y lit ce qui s’écrit."""
    for event in events:
        assert not crosses(event, zones), event
        out, ins = parts(event)
        out, ins = seen(zones, out), [seen(zones, x) for x in ins]
        if event.method == "product":
            event.arguments[0](out, *ins)
            continue
        loop = event.arguments[0] if event.method == "loop" else OTHER
        out[...] = ins[0] if loop is COPY else sum(ins) if loop is ADD else 3 * ins[0] + 1


def event_of(kind, out, ins):
    if kind == "product":
        return Event("product", (MULTIPLY, out, *ins), (out,), tuple(ins))
    if kind == "inconnu":  # une ligne qui ne dit pas ce qu’elle écrit
        return Event("inconnu", (OTHER, out, *ins), None, (out, *ins))
    loop = {"copy": COPY, "add": ADD, "other": OTHER}[kind]
    return Event("loop", (loop, out.shape, (out,), tuple(ins), None), (out,), tuple(ins))


LENGTH = 24  # éléments des zones données
VIEWS = {  # les pas d’une place de cette forme, le premier celui d’une zone neuve
    (4,): [(1,), (2,), (-1,)],
    (8,): [(1,), (-1,)],
    (2, 2): [(2, 1), (1, 2), (4, 1), (-2, 1)],
    (2, 4): [(4, 1), (1, 2), (-4, 1)],
}


class Draft:
    """Un journal qui s’écrit : on n’y lit que ce qui est écrit, et rien de ce que l’on écrit."""

    def __init__(self, draw):
        self.draw, self.events = draw, []
        self.ready = [np.full(LENGTH, True), np.full(LENGTH, True)]  # élément par élément

    def new(self, shape):
        """Une zone neuve, toute à cette place."""
        self.ready.append(np.full(math.prod(shape), False))
        return Place(len(self.ready) - 1, shape, np.dtype("float32"), VIEWS[shape][0], 0)

    def existing(self, shape, fits):
        """Une place qui convient, parmi celles des dernières zones ; None s’il n’y en a pas."""
        zones = {0, *range(len(self.ready))[-4:]}
        found = [
            place
            for zone in sorted(zones)
            for strides in VIEWS[shape]
            for place in every_place(zone, len(self.ready[zone]), shape, strides)
            if fits(place)
        ]
        return self.draw(st.sampled_from(found)) if found else None

    def readable(self, shape):
        """Une place écrite."""
        return self.existing(shape, lambda place: self.of(place).all())

    def of(self, place):
        """Ce qui y est écrit."""
        return seen(self.ready, place, 1)

    def add(self, kind, out, ins):
        """Une ligne, si elle est permise ; rend ce qu’elle écrit."""
        if out is None or None in ins:
            return None
        event = event_of(kind, out, ins)
        if crosses(event, self.ready, 1):
            return None
        self.events.append(event)
        self.of(out)[...] = True
        return out


def every_place(zone, length, shape, strides):
    reach = [step * (n - 1) for n, step in zip(shape, strides, strict=True)]
    low, high = (sum(step for step in reach if (step < 0) == back) for back in (True, False))
    for offset in range(-low, length - high):
        yield Place(zone, shape, np.dtype("float32"), strides, offset)


@st.composite
def journals(draw):
    """(un journal, octets de ses zones, celles qui en sortent)."""
    draft = Draft(draw)
    for _ in range(draw(st.integers(2, 9))):
        shape = draw(st.sampled_from(sorted(VIEWS)))
        kind = draw(st.sampled_from(["copy", "copy", "copy", "add", "other", "product", "inconnu"]))
        ins = [draft.readable(shape) for _ in range(2 if kind in ("add", "product") else 1)]
        if kind == "product":
            made = draft.add(kind, draft.new(shape), ins)
            other = draw(st.sampled_from([draft.readable(shape), made]))
            draft.add("add", draft.new(shape), draw(st.permutations([made, other])))
        elif draw(st.booleans()):
            draft.add(kind, draft.new(shape), ins)
        else:
            draft.add(kind, draft.existing(shape, lambda place: place.zone > 0), ins)
    owned = {0, 1}
    for _ in range(draw(st.integers(1, 2))):
        shape = draw(st.sampled_from(sorted(VIEWS)))
        out = draft.new(shape)
        owned.add(out.zone)
        draft.add(draw(st.sampled_from(["copy", "other"])), out, [draft.readable(shape)])
    return draft.events, [4 * len(zone) for zone in draft.ready], owned


def fresh(sizes):
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=size // 4).astype("float32")
        if zone < 2
        else np.full(size // 4, np.nan, "float32")
        for zone, size in enumerate(sizes)
    ]


@settings(max_examples=1000, deadline=None)
@given(journals())
def test_what_leaves_the_section_is_the_same(journal):
    events, sizes, owned = journal
    wanted, found = fresh(sizes), fresh(sizes)
    run(events, wanted)
    settled = settle(events, sizes, owned)
    run(settled, found)
    assert len(settled) <= len(events)
    for zone in owned:
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
