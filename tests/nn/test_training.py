"""L’entraînement : la patience, le meilleur modèle, l’interruption et la reprise."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import engine
from course.data import Batches, Prefetched
from engine.core.errors import DataError, EngineError
from engine.nn import (
    BatchNormalization,
    Dense,
    Dropout,
    EarlyStopping,
    Training,
    chain,
    running_updates,
)
from engine.nn.optimizers import adam, sgd
from engine.nn.schedules import exponential_decay, iteration_counter


def quadratic(checkpoint=None, on_step=None, **options):
    """Un entraînement sans hasard : w descend vers 3 ; l’erreur est l’écart qui reste."""
    w = engine.shared(np.zeros(2), name="w")
    x = engine.tensor.dscalar("x")
    cost = ((w - x) ** 2).sum()
    step = engine.function([x], cost, updates=[(w, w - 0.05 * engine.grad(cost, w))])

    def one(index):
        if on_step is not None:
            on_step()
        return step(3.0 + 0.1 * index)

    error = lambda: float(np.abs(w.get_value() - 3).sum())  # noqa: E731
    return Training(one, 4, error, [w], checkpoint=checkpoint, **options), w


def with_scalar_states(checkpoint=None):
    """Un entraînement dont l’état compte des scalaires : le compteur, et celui d’Adam."""
    w, count = engine.shared(np.zeros((2, 3)).T, name="w"), iteration_counter()
    index = engine.tensor.lscalar("index")
    updates = adam(((w - index) ** 2).sum(), [w], exponential_decay(count, 0.1, every=5))
    step = engine.function([index], w.sum(), updates=updates | {count: count + 1})
    states = [*updates, count]
    return Training(step, 4, lambda: float(w.get_value().sum()), states, checkpoint=checkpoint), w


def test_resumes_with_scalar_states(tmp_path):
    whole, w_whole = with_scalar_states()
    whole.run(3, progress=False)
    path = tmp_path / "état.safetensors"
    with_scalar_states(path)[0].run(1, progress=False)
    second, w = with_scalar_states(path)
    assert second.iteration == 4
    second.run(3, progress=False)
    assert np.array_equal(w.get_value(), w_whole.get_value())


def test_patience_grows_by_a_clear_improvement_only():
    stopping = EarlyStopping(patience=10, increase=2, threshold=0.9)
    assert stopping.update(8, 1.0)
    assert stopping.patience == 16
    assert stopping.update(12, 0.95)  # meilleure, mais pas nettement
    assert stopping.patience == 16
    assert not stopping.update(13, 0.97)
    assert stopping.best == 0.95
    assert stopping.should_stop(16)
    assert not stopping.should_stop(15)


def test_stops_and_keeps_the_best(tmp_path):
    training, w = quadratic(stopping=EarlyStopping(patience=8, increase=1, threshold=0.5))
    training.run(100, progress=False)
    history = training.history
    assert training.stopped
    best = min(history, key=lambda record: record.valid_error)
    training.restore_best()
    assert np.abs(w.get_value() - 3).sum() == pytest.approx(best.valid_error)


def test_resumes_bit_for_bit(tmp_path):
    whole, w_whole = quadratic()
    whole.run(6, progress=False)
    path = tmp_path / "état.safetensors"
    first, _ = quadratic(path)
    first.run(2, progress=False)
    second, w = quadratic(path)
    assert second.iteration == 8
    second.run(6, progress=False)
    assert np.array_equal(w.get_value(), w_whole.get_value())
    assert second.history == whole.history
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_interrupt_waits_for_the_step_and_loses_nothing(tmp_path, capsys):
    path = tmp_path / "état.safetensors"
    calls, before = [], signal.getsignal(signal.SIGINT)

    def interrupt_at_the_sixth():
        calls.append(1)
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)

    first, _ = quadratic(path, on_step=interrupt_at_the_sixth)
    first.run(6, progress=False)
    assert "Interrompu à l’époque 2" in capsys.readouterr().out
    assert first.iteration == 6  # le pas en cours est allé au bout
    second, w = quadratic(path)
    second.run(6, progress=False)
    whole, w_whole = quadratic()
    whole.run(6, progress=False)
    assert np.array_equal(w.get_value(), w_whole.get_value())
    assert second.history == whole.history
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="tue un processus à la manière d'Unix")
def test_a_killed_process_leaves_a_readable_state(tmp_path):
    code = (
        "import os, signal, sys; sys.path[:0] = ['.', 'tests/nn']\n"
        "from test_training import quadratic\n"
        "n = []\n"
        "def die():\n"
        "    n.append(1)\n"
        "    if len(n) == 11: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"quadratic({str(tmp_path / 'e.safetensors')!r}, on_step=die)[0].run(6, progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    training, w = quadratic(tmp_path / "e.safetensors")
    assert training.iteration == 8  # la dernière validation
    training.run(6, progress=False)
    whole, w_whole = quadratic()
    whole.run(6, progress=False)
    assert np.array_equal(w.get_value(), w_whole.get_value())


@pytest.mark.parametrize("content", [b"", b"n'importe quoi", b"\x08\0\0\0\0\0\0\0{}      "])
def test_an_unreadable_state_is_named_and_kept(tmp_path, content):
    path = tmp_path / "état.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        quadratic(path)
    assert "état.safetensors" in caught.value.summary
    assert "supprimez" in caught.value.hint
    assert path.read_bytes() == content


def test_parameters_need_names():
    with pytest.raises(EngineError, match="nom"):
        Training(None, 1, None, [engine.shared(0.0)])


def noisy(checkpoint=None, size=16, seed=0):
    """Un entraînement où tout tire au hasard : l’ordre des lots, et un dropout."""
    rng = np.random.default_rng(0)
    x, y = engine.tensor.dmatrix("x"), engine.tensor.dvector("y")
    model = chain(
        Dense(4, 8, engine.tensor.tanh, name="h", generator=rng),
        BatchNormalization(8, name="n"),
        Dropout(0.5, rng, name="d"),
        Dense(8, 1, name="o", generator=rng),
    )
    cost = ((model(x, train=True).flatten() - y) ** 2).mean()
    updates = sgd(cost, model.parameters, 0.1) | running_updates(cost)
    step = engine.function([x, y], cost, updates=updates)
    points = rng.normal(size=(50, 4))
    stream = Prefetched(Batches(points, points.sum(axis=1), size=size, seed=seed))
    test = engine.function([x, y], ((model(x).flatten() - y) ** 2).mean())
    validate = lambda: float(test(points, points.sum(axis=1)))  # noqa: E731
    kept = model.parameters + model.states
    options = {"checkpoint": checkpoint, "validate_every": 3}
    return Training(step, stream, validate, kept, **options), kept


def test_a_stream_and_its_noise_resume_bit_for_bit(tmp_path):
    whole, expected = noisy()
    whole.run(6, progress=False)
    path = tmp_path / "état.safetensors"
    first, _ = noisy(path)
    first.step = _failing_after(first.step, 10)
    with pytest.raises(ZeroDivisionError):
        first.run(6, progress=False)
    second, kept = noisy(path)
    assert second.iteration == 9 and second.stream.state()["done"] == 1  # 4 lots par époque
    second.run(6, progress=False)
    assert second.iteration == whole.iteration == 24
    assert [p.name for p in kept][-3:] == ["n.mean", "n.var", "d.draws0"]
    for obtained, wanted in zip(kept, expected, strict=True):
        np.testing.assert_array_equal(obtained.get_value(), wanted.get_value())
    assert second.history == whole.history


def _failing_after(step, n_steps):
    left = iter(range(n_steps))

    def failing(*batch):
        if next(left, None) is None:
            raise ZeroDivisionError
        return step(*batch)

    return failing


def test_a_state_of_another_stream_is_refused(tmp_path):
    path = tmp_path / "état.safetensors"
    noisy(path)[0].run(1, progress=False)
    with pytest.raises(EngineError, match="autre flux"):
        noisy(path, seed=1)
    kept = noisy(size=50)[1]
    with pytest.raises(DataError, match="illisible"):
        Training(None, 4, None, kept, checkpoint=path)


def test_the_bar_tells_the_unit_of_the_measure(capsys):
    quadratic()[0].run(1)
    assert "erreur de validation" in capsys.readouterr().out
    quadratic(unit="bits")[0].run(1)
    said = capsys.readouterr().out
    assert "bits" in said and "erreur de validation" not in said
