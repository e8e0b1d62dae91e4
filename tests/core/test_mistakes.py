"""Chaque faute de `tests.core.mistakes` a sa réponse : du moteur, en français, entière, vraie."""

import re

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import config, nn
from engine.core.errors import EngineError, RuntimeNodeError, ShapeError, UpdateError
from engine.core.settings import FLAGS
from tests.core.mistakes import MISTAKES, answer, names, report

ROWS = [row for rows in MISTAKES.values() for row in rows]
CODES = [code for _, code, *_ in ROWS]
ENGLISH = re.compile(r"\b(the|is|are|not|must|expected|got|cannot|should|with|of)\b")
CODE = re.compile(r"[\w.]*\([^)]*\)|'[^']*'|\w+=\S+|\b\w+\.\w+")
FRENCH = re.compile(r"\b(une?|des?|les?|la|du|n’|d’|l’|s’|pour|et|ou|à)", re.IGNORECASE)
FALSE_HINTS = re.compile(r"floatX = ‘?'int|étiquette plus grande|FAST_COMPILE")


def test_there_are_two_hundred():
    assert len(ROWS) >= 200 and len(set(CODES)) == len(ROWS)


@pytest.mark.parametrize("code", CODES)
def test_the_answer_is_whole_french_and_true(code):
    error = answer(code)
    assert error.expected and error.received and error.hint
    told = str(error)
    assert all(title in told for title in ("Attendu", "Reçu", "À essayer"))
    summary = "" if isinstance(error, RuntimeNodeError) else error.summary  # il cite la panne
    for text in (summary, str(error.expected), str(error.hint)):
        assert not ENGLISH.search(CODE.sub("", text)), text
    assert FRENCH.search(told)
    assert not FALSE_HINTS.search(str(error.hint))
    check_hint(str(error.hint))


def check_hint(hint):
    """Les noms que l’on conseille existent, les réglages que l’on conseille sont permis."""
    for path in re.findall(r"\bT\.((?:[a-z_]\w*\.)*[a-z_]\w*)", hint):
        owner = T
        for name in path.split("."):
            assert hasattr(owner, name), path
            owner = getattr(owner, name)
    for name in re.findall(r"\bnn\.([a-z_]+\.[a-z_]+)", hint):
        module, function = name.split(".")
        assert hasattr(getattr(nn, module), function), name
    for name, value in re.findall(r"config\.(\w+) = '(\w+)'", hint):
        assert value in FLAGS[name].choices, hint
    for dtype in re.findall(r"astype\('(\w+)'\)", hint):
        T.TensorType(dtype)


@pytest.mark.parametrize("row", [row for row in ROWS if len(row) == 3], ids=lambda row: row[1])
def test_what_one_writes_instead_runs(row):
    with config.change_flags():
        exec(row[2], names())


def test_all_are_printed():
    text = report()
    assert all(code in text for code in CODES)


# ---- les conseils qui étaient faux -----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool", "float16", "float32"])
def test_an_update_never_advises_a_floatx_that_is_refused(dtype):
    w = engine.shared(np.ones(2, dtype), name="w")
    with pytest.raises(UpdateError) as caught:
        engine.function([], [], updates=[(w, w * np.float64(0.5))])
    check_hint(caught.value.hint)
    assert f".astype('{dtype}')" in caught.value.hint


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (lambda v: v[7], "2 pour l'axe 0"),
        (lambda v: v[[0, -4]], "2 pour l'axe 0"),
        (lambda v: v[np.array([True, False])], "masque"),
        (lambda v: v.dimshuffle("x", 0)[[0, 0], [0, 1, 2]], "même longueur"),
    ],
)
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_bad_index_is_told_what_is_wrong_with_it(index, said, mode):
    v = T.dvector("v")
    with pytest.raises(ShapeError) as caught:
        engine.function([v], index(v), mode=mode)(np.ones(3))
    assert said in caught.value.hint


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_lack_of_memory_is_not_a_matter_of_mode(mode):
    n = T.lscalar("n")
    with pytest.raises(RuntimeNodeError) as caught:
        engine.function([n], T.zeros((n, n)), mode=mode)(2**28)
    assert "réduisez" in caught.value.hint


def test_a_condition_told_is_of_the_engine():
    with pytest.raises(EngineError, match="ni vraie ni fausse"):
        assert T.dscalar("x") > 0
