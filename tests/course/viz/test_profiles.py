"""Le profil en figure : par op et par nœud, temps, part, mémoire."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz import profile_figure
from engine.core.errors import InputError


def measured(calls=3):
    x = T.dmatrix("x")
    f = engine.function([x], T.dot(T.exp(x), x.T).sum(), profile=True, name="mesurée")
    for _ in range(calls):
        f(np.ones((50, 50)))
    return f


def texts_of(picture):
    """matplotlib écrit chaque texte en commentaire, devant ses contours."""
    return [line.strip() for line in picture.content.decode().split("<!--")[1:]]


def test_ops_and_nodes_are_named_with_share_and_memory():
    f = measured()
    picture = profile_figure(f)
    texts = " ".join(texts_of(picture))
    for row in f.profile.by_op():
        assert row.label in texts
    assert "(ligne" in texts and "3 appel(s)" in texts
    assert "20 ko" in texts.replace("\u00a0", " ").replace("\u202f", " ")
    slowest = f.profile.by_op()[0].label
    assert picture.alt.startswith(f"Profil de mesurée, par op\u00a0: {slowest} (")


def test_rows_left_out_are_counted():
    f = measured()
    texts = " ".join(texts_of(profile_figure(f, n_rows=1)))
    assert f"les 1 premiers sur {len(f.profile.by_op())}" in texts


@pytest.mark.parametrize("calls", [None, 0])
def test_nothing_measured_is_said(calls):
    x = T.dscalar("x")
    f = engine.function([x], T.exp(x)) if calls is None else measured(calls)
    with pytest.raises(InputError, match="aucune mesure"):
        profile_figure(f)
