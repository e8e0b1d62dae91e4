"""Les optimiseurs contre NumPy float64 ; leur composition, leurs dtypes, les bornes, les pas."""

import math

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import GradientError, UpdateError
from engine.nn import gradients, optimizers, regularization, schedules
from tests.nn import references

CASES = {
    "sgd": (optimizers.sgd, (0.05,), references.sgd, (0.05,)),
    "momentum": (optimizers.momentum, (0.05, 0.8), references.momentum, (0.05, 0.8)),
    "nesterov": (optimizers.nesterov_momentum, (0.05, 0.8), references.nesterov, (0.05, 0.8)),
    "adagrad": (optimizers.adagrad, (0.3,), references.adagrad, (0.3, 1e-8)),
    "rmsprop": (optimizers.rmsprop, (0.05, 0.8), references.rmsprop, (0.05, 0.8, 1e-8)),
    "adadelta": (optimizers.adadelta, (), references.adadelta, (1.0, 0.95, 1e-6)),
    "adam": (optimizers.adam, (0.05,), references.adamw, (0.05, 0.9, 0.999, 1e-8, 0.0)),
    "adamw": (
        optimizers.adamw,
        (0.05, 0.9, 0.999, 1e-8, 0.1),
        references.adamw,
        (0.05, 0.9, 0.999, 1e-8, 0.1),
    ),
}
START = np.array([[1.5, -0.7, 0.3], [-2.0, 0.1, 1.1]])
SCALES = np.array([0.5, 1.0, 4.0])


def cost_of(w):
    """Un creux mal conditionné et sans symétrie, de gradient `gradient_at`."""
    return (T.constant(SCALES, dtype=w.dtype) * w**2).sum() + T.sin(w).sum()


def gradient_at(w):
    return 2 * SCALES * w + np.cos(w)


def parameter(dtype="float64"):
    return engine.shared(START.astype(dtype), name="w")


def descend(reference, options, steps=20):
    walker = reference(START.copy(), *options)
    point, path = next(walker), []
    for _ in range(steps):
        point = walker.send(gradient_at(point))
        path.append(point)
    return path


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 2e-5)])
@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_follow_the_reference(name, dtype, tolerance):
    optimizer, options, reference, reference_options = CASES[name]
    w = parameter(dtype)
    step = engine.function([], updates=optimizer(cost_of(w), [w], *options))
    for expected in descend(reference, reference_options):
        step()
        np.testing.assert_allclose(w.get_value(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_updates_keep_the_dtype_of_each_parameter(name, floatX):
    engine.config.floatX = floatX
    optimizer, options, *_ = CASES[name]
    w, v = parameter("float32"), engine.shared(np.ones(3), name="v")
    rate = {"learning_rate": engine.shared(np.float64(0.1))} if not options else {}
    updates = optimizer(cost_of(w) + (v**2).sum(), [w, v], *options, **rate)
    for target, new in updates.items():
        assert new.dtype == target.dtype, target
    states = [target for target in updates if target.name.startswith("w.")]
    assert all(state.dtype == "float32" for state in states)
    engine.function([], updates=updates)()
    assert w.get_value().dtype == "float32"
    assert v.get_value().dtype == "float64"


def test_wider_gradients_do_not_widen_a_parameter():
    w = parameter("float32")
    updates = optimizers.adam([T.constant(START)], [w])
    assert updates[w].dtype == "float32"


def test_adam_is_unbiased_from_its_first_step_in_float32():
    w = engine.shared(np.zeros(1, "float32"), name="w")
    updates = optimizers.adam([T.constant([3e-4])], [w], 1.0, beta2=0.999999)
    engine.function([], updates=updates)()
    np.testing.assert_allclose(w.get_value(), [-1.0], rtol=1e-4)


@pytest.mark.parametrize("apply", ["apply_momentum", "apply_nesterov_momentum"])
@pytest.mark.parametrize("name", CASES)
def test_momentum_composes_with_any_base(apply, name):
    optimizer, options, reference, reference_options = CASES[name]
    w = parameter()
    base = optimizer(cost_of(w), [w], *options)
    kept = dict(base)
    updates = getattr(optimizers, apply)(base, [w], 0.5)
    assert dict(base) == kept  # la base n’est pas modifiée
    step = engine.function([], updates=updates)

    walker, velocity = reference(START.copy(), *reference_options), np.zeros_like(START)
    point, previous = START, next(walker)
    decay = reference_options[0] * reference_options[-1] if name == "adamw" else 0.0
    for _ in range(5):
        proposed = walker.send(gradient_at(point))
        # la base avance de son propre point ; seule la décroissance d’AdamW dépend du point
        change = proposed - previous + decay * previous - decay * point
        previous = proposed
        velocity = 0.5 * velocity + change
        point = point + (velocity if apply == "apply_momentum" else change + 0.5 * velocity)
        step()
        np.testing.assert_allclose(w.get_value(), point, rtol=1e-9)


def test_several_parameters_are_independent():
    w, alone = parameter(), parameter()
    v = engine.shared(np.ones(4), name="v")
    both = optimizers.adam(cost_of(w) + (v**4).sum(), [w, v], 0.1)
    step = engine.function([], updates=both)
    single = engine.function([], updates=optimizers.adam(cost_of(alone), [alone], 0.1))
    for _ in range(3):
        step()
        single()
    np.testing.assert_array_equal(w.get_value(), alone.get_value())
    assert [str(target) for target in both] == [
        *("steps", "w.mean", "w.mean_square", "w", "v.mean", "v.mean_square", "v"),
    ]


def test_a_lone_parameter_needs_no_list():
    w, listed = parameter(), parameter()
    engine.function([], updates=optimizers.momentum(cost_of(w), w, 0.1))()
    engine.function([], updates=optimizers.momentum(cost_of(listed), [listed], 0.1))()
    np.testing.assert_array_equal(w.get_value(), listed.get_value())


def test_learning_rate_may_change_between_calls():
    w, rate = engine.shared(1.0, name="w"), engine.shared(0.5, name="rate")
    step = engine.function([], updates=optimizers.sgd(3 * w, [w], rate))
    step()
    assert w.get_value() == -0.5
    rate.set_value(0.0)
    step()
    assert w.get_value() == -0.5


def test_mistakes_are_told():
    w = parameter()
    with pytest.raises(GradientError, match="un gradient par paramètre"):
        optimizers.sgd([w, w], [w], 0.1)
    with pytest.raises(UpdateError, match="variables partagées"):
        optimizers.sgd([w], [T.dmatrix("x")], 0.1)
    with pytest.raises(UpdateError, match="n’a rien à suivre"):
        optimizers.apply_momentum({}, [w])


# ---- bornes ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [1.0, 5.0, 100.0])
def test_clip_by_global_norm(dtype, max_norm):
    values = [np.array([[3.0, -4.0]], dtype), np.array(12.0, dtype)]  # de norme 13
    clipped = gradients.clip_by_global_norm([T.constant(v) for v in values], max_norm)
    results = engine.function([], clipped)()
    for value, result in zip(values, results, strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, value * min(1, max_norm / 13), rtol=1e-6)


def test_clipping_survives_zero_and_exploding_gradients():
    zero, huge = T.constant(np.zeros(2, "float32")), T.constant(np.array([3e30, 4e30], "float32"))
    assert (gradients.clip_by_global_norm([zero], 1.0)[0].eval() == 0).all()
    clipped = gradients.clip_by_global_norm([huge], 1.0)[0].eval()
    np.testing.assert_allclose(clipped, [0.6, 0.8], rtol=1e-6)


def test_clip_by_value_and_optimizer_together():
    w = engine.shared(np.array([10.0, -0.1], "float32"), name="w")
    grads = gradients.clip_by_value(engine.grad((w**2).sum(), [w]), 1.0)
    engine.function([], updates=optimizers.sgd(grads, [w], 0.5))()
    np.testing.assert_allclose(w.get_value(), [9.5, 0.0], atol=1e-7)


def test_penalties_and_their_gradients():
    w, b = parameter(), engine.shared(np.array([2.0, -3.0]), name="b")
    total, squares = regularization.l1([w, b]), regularization.l2([w, b])
    assert float(total.eval()) == pytest.approx(np.abs(START).sum() + 5)
    assert float(squares.eval()) == pytest.approx((START**2).sum() + 13)
    np.testing.assert_allclose(engine.grad(total, b).eval(), [1, -1])
    np.testing.assert_allclose(engine.grad(squares, w).eval(), 2 * START)


# ---- pas d’apprentissage ----

SCHEDULES = {
    "step": (lambda t: schedules.step_decay(t, 0.4, 3, 0.5), lambda t: 0.4 * 0.5 ** (t // 3)),
    "exponential": (
        lambda t: schedules.exponential_decay(t, 0.4, 3, 0.5),
        lambda t: 0.4 * 0.5 ** (t / 3),
    ),
    "cosine": (
        lambda t: schedules.cosine_decay(t, 0.4, 8, 0.1),
        lambda t: 0.1 + 0.3 * (1 + math.cos(math.pi * min(t / 8, 1))) / 2,
    ),
    "warm_up": (lambda t: schedules.warm_up(t, 0.4, 5), lambda t: 0.4 * min(1, (t + 1) / 5)),
    "warm_up then cosine": (
        lambda t: schedules.warm_up(t, schedules.cosine_decay(t, 0.4, 8), 5),
        lambda t: 0.2 * (1 + math.cos(math.pi * min(t / 8, 1))) * min(1, (t + 1) / 5),
    ),
}


@pytest.mark.parametrize("floatX", ["float32", "float64"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_follows_its_formula(name, floatX):
    engine.config.floatX = floatX
    build, expected = SCHEDULES[name]
    counter = schedules.iteration_counter()
    rate = build(counter)
    assert rate.dtype == floatX
    f = engine.function([], rate)
    got = [float(f()) for _ in range(12)]
    np.testing.assert_allclose(got, [expected(t) for t in range(12)], rtol=1e-6, atol=1e-8)


def test_schedule_drives_an_optimizer():
    counter = schedules.iteration_counter()
    w = engine.shared(np.zeros(1, "float32"), name="w")
    rate = schedules.step_decay(counter, 1.0, 2)
    step = engine.function([], updates=optimizers.sgd([T.constant([1.0])], [w], rate))
    for _ in range(4):
        step()
    np.testing.assert_allclose(w.get_value(), [-2.2], rtol=1e-6)
    assert int(counter.get_value()) == 4
