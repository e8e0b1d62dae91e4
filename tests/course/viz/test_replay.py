"""La réécriture rejouée : les étapes, les valeurs, les nœuds allumés, l’image fixe."""

import re

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz import RewritingReplay
from course.viz.history import history, rule_reasons

x = T.dscalar("x")


@pytest.fixture
def replay():
    return RewritingReplay(engine.function([x], T.log(1 + T.exp(x))), values={x: 1000.0})


def shown(svg):
    """Les opérations d’un dessin, et celles qui sont allumées (un anneau de plus)."""
    nodes = re.findall(r'<g class="chainage-node".*?</g>', svg, re.DOTALL)
    names = {node: re.findall(r">([^<]+)</text>", node)[0] for node in nodes if "<ellipse" in node}
    return list(names.values()), [name for node, name in names.items() if "-training" in node]


def test_each_step_says_its_rule_and_why(replay):
    reasons = rule_reasons()
    assert [caption.split("\u00a0: ") for caption in replay.captions] == [
        [name, reasons[name]] for name in ("log_un_plus", "log1p_exp")
    ]


def test_what_leaves_is_lit_before_and_what_comes_is_lit_after(replay):
    operations, lit = shown(replay.before)
    assert sorted(operations) == ["add", "exp", "log"]
    assert sorted(lit) == ["add", "log"]
    assert shown(replay.after) == (["exp", "log1p"], ["log1p"])
    replay.step = 2
    assert shown(replay.before) == (["exp", "log1p"], ["exp", "log1p"])
    assert shown(replay.after) == (["softplus"], ["softplus"])


def test_values_run_along_the_edges(replay):
    replay.step = 2
    assert ">inf<" in replay.before and ">inf<" not in replay.after
    assert ">1000.<" in replay.after


def test_types_are_shown_without_values():
    v = T.dvector("v")
    replay = RewritingReplay(engine.function([v], T.exp(v) - 1))
    assert "float64 (?,)" in replay.before


def test_a_step_stays_within_bounds(replay):
    for asked, kept in ((0, 1), (7, 2)):
        replay.step = asked
        assert replay.step == kept


def test_static_picture_goes_from_end_to_end_and_says_it(replay):
    before, after = replay.fallback().pictures
    assert "(exp, add, log)" in before.alt and "3 nœuds modifiés" in before.alt
    assert "1 opération (softplus)" in after.alt and "1 nœud modifié (softplus)" in after.alt
    assert repr(replay) == "<RewritingReplay>"


def test_nothing_to_rewrite_is_said():
    replay = RewritingReplay(engine.function([x], T.exp(x)))
    assert replay.captions == ["aucune règle ne s’applique"]
    assert shown(replay.before) == shown(replay.after) == (["exp"], [])


def test_history_keeps_the_value_while_the_rules_are_exact():
    w = engine.shared(np.array([0.5, -1.0]), name="w")
    v = T.dvector("v")
    f = engine.function([v], T.log(1 + T.exp(v * w)).sum(), mode=engine.Mode("numpy"))
    frames = history(f, values={v: [1.0, 2.0]})
    nodes = [node for frame in frames for node in frame.data["nodes"]]
    outputs = {node["value"] for node in nodes if node["kind"] == "output"}
    assert len(frames) > 2 and outputs == {"1.101"}
