"""La couture : ce qui se recopie, ce qui est refusé, et ce que devient une erreur de l’élève."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grading.checks import Exercise, close, equal
from course.grading.learner import LocalLearner, Missing
from course.grading.wire import NotPlain, plain


class Flatterer(float):
    """Un nombre qui se dit égal à tout."""

    __hash__ = float.__hash__

    def __eq__(self, other):
        return True

    def __float__(self):
        return 42.0

    def __sub__(self, other):
        return 0.0


class FlatteringArray(np.ndarray):
    __hash__ = None

    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def tolist(self):
        return [42.0]

    def __array__(self, *args, **kwargs):
        return np.array([42.0])


class Impostor:
    @property
    def __class__(self):
        return float


SIMPLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(SIMPLE)
def test_plain_is_what_json_carries(value):
    assert json.loads(json.dumps(plain(value))) == plain(value) == value


def test_liars_are_unmasked():
    assert type(plain(Flatterer(1.5))) is float and plain(Flatterer(1.5)) == 1.5
    assert plain(np.array([1.0, 2.0]).view(FlatteringArray)) == [1.0, 2.0]
    with pytest.raises(NotPlain):
        plain(Impostor())


@pytest.mark.parametrize(
    "value",
    [
        object(),
        1j,
        {1: 2},
        np.array(["a"]),
        np.array([None]),
        np.zeros(3, [("a", float)]),
        lambda: 0,
        b"x",
        {1, 2},
    ],
)
def test_everything_else_is_refused(value):
    with pytest.raises(NotPlain):
        plain(value)


def test_endless_values_are_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(NotPlain):
        plain(loop)
    with pytest.raises(NotPlain):
        plain(np.zeros(2_000_000))


def test_values_and_functions_cross_the_seam():
    learner = LocalLearner({"taux": np.float32(0.5), "double": lambda x: 2 * x})
    assert learner.value("taux") == 0.5
    assert learner.double(3) == 6
    assert learner.last_call == "double(3)"
    with pytest.raises(Missing):
        learner.triple(3)


def double_check():
    exercise = Exercise("01_essai")

    @exercise.check("q1", points=1, hints=("un", "deux"), review="Doubler")
    def doubles(learner, draw):
        "Le double"
        number = draw.randint(1, 9)
        close(learner.double(number), 2 * number)

    @exercise.check("q1", points=2)
    def doubles_text(learner, draw):
        "Le double d’un texte"
        equal(learner.double("ab"), "abab")

    return exercise


def leave(x):
    raise SystemExit


def endless(x):
    return endless(x)


def interrupted(x):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: None, "À vous de jouer"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda: 1, "TypeError"),
        (lambda x: object(), "type `object`"),
        (lambda x: Flatterer(0), "attendu"),
        (lambda x: [x, x], "tableau"),
        (lambda x: float("nan"), "obtenu `nan`"),
        (lambda x: True, "un nombre"),
        (7, "n’existe pas encore"),
        (leave, "SystemExit"),
        (endless, "RecursionError"),
        (interrupted, "interrompu"),
    ],
)
def test_evaluation_never_raises(answer, said):
    report = double_check().evaluate("q1", LocalLearner({"double": answer}))
    assert report.earned == 0
    assert said in repr(report)


def test_after_an_interruption_the_rest_is_not_tried():
    report = double_check().evaluate("q1", LocalLearner({"double": interrupted}))
    assert "Non essayée" in report.outcomes[1].message


def test_partial_credit():
    report = double_check().evaluate("q1", LocalLearner({"double": lambda x: x * 2.0}))
    assert (report.earned, report.available) == (1, 3)


def test_learner_line_is_named():
    namespace = {}
    exec("def double(x):\n    y = x\n    return y / 0", namespace)
    report = double_check().evaluate("q1", LocalLearner(namespace))
    assert "ligne 3, dans `double`" in report.outcomes[0].message


def test_seed_replays_and_fresh_draws_differ():
    answer = LocalLearner({"double": lambda x: 0})
    exercise = double_check()
    messages = {exercise.evaluate("q1", answer, seed=3).outcomes[0].message for _ in range(5)}
    assert len(messages) == 1
    messages = {exercise.evaluate("q1", answer).outcomes[0].message for _ in range(40)}
    assert len(messages) > 3


def test_close_shows_enough_digits_and_recognises_mistakes():
    with pytest.raises(Exception, match=r"attendu `1\.00000001`, obtenu `1`.*presque"):
        close(1.0, 1.00000001, likely=[(5.0, "non"), (1.0, "presque")])
