"""Les flux de minilots : chaque exemple une fois, masques justes, reprise exacte, fil propre."""

import itertools
import json
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from course.data import Batches, Mapped, Padded, Prefetched, pad
from engine.core.errors import EngineError, ShapeError

SEEDS = st.one_of(st.none(), st.integers(0, 2**40))
quick = settings(max_examples=60, deadline=None)


@st.composite
def batches(draw):
    """De quoi faire deux fois le même flux : des mots, leurs rangs, des réglages."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=40))
    options = {
        "size": draw(st.integers(1, 12)),
        "seed": draw(SEEDS),
        "group_by": draw(st.sampled_from([None, len])),
        "group": draw(st.integers(1, 4)),
    }
    words = [np.full(n, rank) for rank, n in enumerate(lengths)]
    return lambda: Batches(words, np.arange(len(lengths)), **options)


# ---- lots --------------------------------------------------------------------------------


@quick
@given(batches())
def test_each_example_comes_once_an_epoch(make):
    stream = make()
    n = len(stream.sources[1])
    for epoch in range(3):
        assert stream.epoch == epoch
        found = list(stream)
        assert len(found) == len(stream)
        sizes = sorted((len(ranks) for _, ranks in found), reverse=True)
        assert sum(sizes) == n and all(size == stream.size for size in sizes[:-1])
        assert sorted(itertools.chain.from_iterable(ranks for _, ranks in found)) == list(range(n))
        for words, ranks in found:
            assert isinstance(words, list) and isinstance(ranks, np.ndarray)
            assert all((word == rank).all() for word, rank in zip(words, ranks, strict=True))


def _ranks(stream, count):
    """Les rangs des `count` lots suivants, d’une époque à l’autre."""
    found = []
    while len(found) < count:
        for batch in stream:
            found.append(batch[-1].tolist())
            if len(found) == count:
                break
    return found


@quick
@given(batches(), st.integers(0, 20), st.integers(1, 20), st.booleans())
def test_resuming_equals_never_having_stopped(make, before, after, prefetched):
    def wrapped():
        stream = Padded(make())
        return Prefetched(stream) if prefetched else stream

    whole = _ranks(wrapped(), before + after)
    stopped = wrapped()
    start = _ranks(stopped, before)
    saved = json.loads(json.dumps(stopped.state()))
    resumed = wrapped()
    resumed.restore(saved)
    assert start + _ranks(resumed, after) == whole
    assert start + _ranks(stopped, after) == whole


def test_epochs_are_shuffled_apart_and_seeds_matter():
    x = np.arange(100)
    first, again, other = (Batches(x, size=10, seed=seed) for seed in (1, 1, 2))
    orders = [np.concatenate([b for (b,) in stream]) for stream in (first, first, again, other)]
    assert (orders[0] == orders[2]).all()
    assert (orders[0] != orders[1]).any() and (orders[0] != orders[3]).any()
    assert (np.concatenate([b for (b,) in Batches(x, size=7)]) == x).all()


@quick
@given(st.integers(0, 10**6))
def test_grouping_by_length_spares_padding(seed):
    rng = np.random.default_rng(seed)
    words = [np.zeros(n) for n in rng.integers(1, 60, 400)]

    def padded_points(group_by):
        stream = Padded(Batches(words, size=10, seed=seed, group_by=group_by))
        return sum(table.size for table, _ in stream)

    true_points = sum(map(len, words))
    assert padded_points(None) > 1.5 * true_points
    assert padded_points(len) < 1.2 * true_points


def test_a_batch_is_a_copy():
    x = np.zeros(4)
    for batch in Batches(x, size=2):
        batch[0][...] = 1
    assert not x.any()


def test_mapping_keeps_state_and_epoch():
    stream = Mapped(Batches(np.arange(6.0), size=2, seed=0), lambda batch: (batch[0] + 1,))
    first = next(iter(stream))
    assert stream.state()["done"] == 1 and stream.epoch == 0 and len(stream) == 3
    assert first[0].sum() + sum(b.sum() for (b,) in stream) == 21


# ---- bords et masques --------------------------------------------------------------------


@quick
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=9),
    st.sampled_from([(), (3,), (2, 1)]),
    st.sampled_from(["int32", "float32"]),
    st.booleans(),
)
def test_padding_keeps_every_element_and_masks_the_rest(lengths, rest, dtype, time_major):
    rng = np.random.default_rng(len(lengths))
    sequences = [rng.integers(1, 99, (n, *rest)).astype(dtype) for n in lengths]
    table, mask = pad(sequences, time_major, value=-1)
    assert table.dtype == dtype and mask.dtype == engine.config.floatX
    assert table.flags.c_contiguous and mask.flags.c_contiguous
    if time_major:
        table, mask = table.swapaxes(0, 1), mask.T
    assert table.shape == (len(lengths), max(lengths), *rest)
    assert mask.shape == table.shape[:2]
    for row, weights, sequence in zip(table, mask, sequences, strict=True):
        assert (row[weights == 1] == sequence).all() and weights.sum() == len(sequence)
        assert (row[weights == 0] == -1).all()
        assert (np.diff(weights) <= 0).all(), "le masque est un, puis zéro"


def test_several_padded_sources_may_share_a_mask():
    words, tags = [[1, 2], [3]], [[0, 1], [1]]
    (batch,) = Padded(Batches(words, tags, np.array([7, 8]), size=2), (0, 1), masks=(0,))
    assert [element.tolist() for element in batch] == [
        [[1, 3], [2, 0]],
        [[1, 1], [1, 0]],
        [[0, 1], [1, 0]],
        [7, 8],
    ]


def test_mask_takes_floatX():
    engine.config.floatX = "float32"
    assert pad([[1], [2, 3]])[1].dtype == "float32"


# ---- d’avance ----------------------------------------------------------------------------


def _threads():
    return {thread for thread in threading.enumerate() if thread.is_alive()}


class Counted:
    """Un flux qui dit combien de lots on lui a pris, et peut échouer."""

    def __init__(self, stream, fails_at=None):
        self.inner, self.taken, self.fails_at = stream, 0, fails_at

    def make(self, batch):
        self.taken += 1
        if self.taken == self.fails_at:
            raise ZeroDivisionError("le lot de trop")
        return batch


@quick
@given(batches(), st.integers(1, 5))
def test_prefetching_changes_nothing(make, size):
    before = _threads()
    stream = Prefetched(make(), size)
    for _ in range(2):
        plain = make()
        plain.restore(stream.state())
        obtained, expected = ([b[1].tolist() for b in s] for s in (stream, plain))
        assert obtained == expected
    assert stream.epoch == 2 and _threads() == before


@quick
@given(st.integers(1, 4), st.integers(1, 9))
def test_an_error_comes_where_its_batch_would(size, fails_at):
    counted = Counted(Batches(np.arange(20), size=2), fails_at)
    stream = Prefetched(Mapped(counted.inner, counted.make), size)
    before, got = _threads(), []
    with pytest.raises(ZeroDivisionError, match="le lot de trop"):
        got.extend(batch for batch in stream)
    assert [b.tolist() for (b,) in got] == [[2 * i, 2 * i + 1] for i in range(fails_at - 1)]
    assert _threads() == before
    rest = [b.tolist() for (b,) in stream]  # la cause levée, on reprend au lot qui a échoué
    assert rest[0] == [2 * fails_at - 2, 2 * fails_at - 1] and len(rest) == 11 - fails_at


@pytest.mark.parametrize("size", [1, 3])
def test_few_batches_are_ready_ahead_and_leaving_stops_the_thread(size):
    counted = Counted(Batches(np.arange(100), size=1))
    stream = Prefetched(Mapped(counted.inner, counted.make), size)
    before = _threads()
    iterator = iter(stream)
    assert [next(iterator)[0].item() for _ in range(3)] == [0, 1, 2]
    assert counted.taken <= 3 + size + 1
    iterator.close()
    assert _threads() == before
    assert next(iter(stream))[0].item() == 3, "les lots d’avance sont rendus"
    assert _threads() == before


def test_batches_are_prepared_while_the_loop_works():
    started = threading.Event()

    def slow(batch):
        if batch[0][0] == 1:
            started.set()
        return batch

    iterator = iter(Prefetched(Mapped(Batches(np.arange(4), size=1), slow)))
    next(iterator)
    assert started.wait(10), "le deuxième lot n’attend pas qu’on le demande"
    iterator.close()


# ---- erreurs -----------------------------------------------------------------------------


def test_mistakes_are_told():
    with pytest.raises(ShapeError, match="source 0\N{NO-BREAK SPACE}: 3, source 1"):
        Batches(np.zeros(3), np.zeros(2), size=1)
    for sources in [(), (np.zeros((0, 3)),)]:
        with pytest.raises(ShapeError, match="aucun"):
            Batches(*sources, size=1)
    for options in ({"size": 0}, {"size": 2.0}, {"size": 1, "group": 0}):
        with pytest.raises(EngineError, match="d’au moins 1"):
            Batches(np.zeros(3), **options)
    with pytest.raises(ShapeError, match="la suite 1 ne va pas avec la première"):
        pad([np.zeros((2, 3)), np.zeros((4, 2))])
    with pytest.raises(ShapeError, match="la suite 0"):
        pad([3, 4])
    with pytest.raises(ShapeError, match="aucune suite"):
        pad([])
    stream = Batches(np.zeros(3), size=1, seed=0)
    with pytest.raises(EngineError, match="n’est pas bordé"):
        Padded(stream, sources=(0,), masks=(1,))
    with pytest.raises(EngineError, match="autre flux"):
        stream.restore(Batches(np.zeros(3), size=1, seed=1).state())
    with pytest.raises(EngineError, match="Prefetched"):
        Prefetched(stream, 0)
    ahead = Prefetched(stream)
    iterator = iter(ahead)
    next(iterator)
    with pytest.raises(EngineError, match="un parcours à la fois"):
        next(iter(ahead))
    with pytest.raises(EngineError, match="en cours de parcours"):
        ahead.restore(ahead.state())
    iterator.close()
