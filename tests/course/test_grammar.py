"""La grammaire du cours : son entropie est exacte, et elle n’est pas ambiguë."""

import math
import random
from collections import Counter
from itertools import combinations

import pytest

from course.data import Grammar, course_grammar, sentences
from course.data.grammar import PATH
from engine.core.errors import DataError

SMALL = """
phrase
  2  {qui} dort{où}
  1  {qui} dit que {phrase} | on rêve
qui
  3  le chat
  1  la lune | léa
où
  1  . | ici
"""


@pytest.fixture(scope="module")
def grammar():
    return course_grammar()


def language(grammar, depth):
    """Toutes les phrases de `depth` appels emboîtés au plus : Counter phrase -> probabilité."""

    def texts(name, left):
        if left == 0:
            return
        for choice in grammar.rules[name]:
            yield from follow(choice.parts, choice.probability, "", left - 1)

    def follow(parts, p, before, left):
        if not parts:
            yield before, p
            return
        is_rule, part = parts[0]
        for text, q in texts(part, left) if is_rule else [(part, 1.0)]:
            yield from follow(parts[1:], p * q, before + text, left)

    total = Counter()
    for text, p in texts(grammar.start, depth):
        total[text] += p
    return total


def test_entropy_and_length_by_enumeration():
    grammar = Grammar(SMALL)
    found = language(grammar, 10)  # ce qui manque a moins d’une chance sur 100 000
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    bits = -sum(p * math.log2(p) for p in found.values())
    assert grammar.entropy() == pytest.approx(bits, rel=1e-3)
    length = sum(p * len(text) for text, p in found.items())
    assert grammar.mean_length() == pytest.approx(length, rel=1e-3)
    for text, p in found.items():
        if p > 1e-4:
            assert 2 ** grammar.log2_probability(text) == pytest.approx(p)


def test_probabilities_add_up_over_derivations():
    grammar = Grammar("s\n  1  {a}{b}\na\n  1  x | xx\nb\n  1  x | xx\n")
    assert 2 ** grammar.log2_probability("xxx") == pytest.approx(1 / 2)
    assert grammar.entropy() == pytest.approx(2)  # celle des choix : la phrase en a moins
    assert ambiguity(grammar) == "xx"  # après deux caractères, deux lectures attendent la même fin


def test_samples_follow_the_probabilities():
    grammar = Grammar(SMALL)
    draw = random.Random(0)
    counts = Counter(grammar.sample(draw) for _ in range(20_000))
    for text, p in language(grammar, 6).most_common(5):
        assert counts[text] / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p / 20_000))


def test_entropy_of_the_course_by_monte_carlo(grammar):
    drawn = sentences(2000, 1, 1, seed=3).train
    bits = [-grammar.log2_probability(text) for text in drawn]
    mean = sum(bits) / len(bits)
    deviation = math.sqrt(sum((b - mean) ** 2 for b in bits)) / len(bits)
    assert abs(mean - grammar.entropy()) < 4 * deviation
    assert abs(sum(map(len, drawn)) / len(drawn) - grammar.mean_length()) < 2


def successors(grammar, rest, after):
    """Les états où l’on attend un caractère : (texte à lire, la suite) ; None, la phrase est finie.

    `rest` : morceaux à lire ; `after` : ce qui suit, une pile (morceaux, suite).
    """
    while not rest:
        if after is None:
            return [None]
        rest, after = after
    (is_rule, part), *rest = rest
    after = (tuple(rest), after) if rest else after
    if not is_rule:
        return [(part, after)]
    return [
        state
        for choice in grammar.rules[part]
        for state in successors(grammar, choice.parts, after)
    ]


def ambiguity(grammar):
    """Une phrase (ou son début) qui s’écrit de deux façons ; None s’il n’y en a aucune.

    On suit ensemble deux lectures du même texte. La grammaire, vue comme un automate, n’est
    ambiguë que si deux lectures différentes se rejoignent. Elle n’a que des récursions en fin de
    règle : les états sont en nombre fini, et les avoir tous vus prouve qu’il n’y en a pas.
    """
    known = {}

    def step(state):
        if state not in known:
            text, after = state
            rest = text[1:]
            known[state] = [(rest, after)] if rest else successors(grammar, (), after)
        return known[state]

    seen, work = set(), []

    def meet(reached, text):
        """Range les lectures à suivre ; vrai si deux d’entre elles se sont rejointes."""
        for one, other in reached:
            if one == other:
                return True
            if one and other and one[0][0] == other[0][0] and (one, other) not in seen:
                seen.add((one, other))
                work.append((one, other, text))
        return False

    def alone(states, text):
        for state in states:
            if state and state not in seen:
                seen.add(state)
                work.append((state, None, text))
        return meet(combinations(states, 2), text)

    if alone(successors(grammar, ((True, grammar.start),), None), ""):
        return ""
    while work:
        one, other, text = work.pop()
        text += one[0][0]
        if other is None:
            if alone(step(one), text):
                return text
        elif meet(((a, b) for a in step(one) for b in step(other)), text):
            return text
    return None


def test_the_course_is_not_ambiguous(grammar):
    assert ambiguity(grammar) is None


def test_the_course_agrees(grammar):
    for text in sentences(1000, 1, 1, seed=5).train:
        assert not any(f" {word}" in f" {text}" for word in ("de aim", "ne aim", "le enfant"))
    assert grammar.log2_probability("la lune est content") == -math.inf
    assert grammar.log2_probability("la lune est contente") > -math.inf
    assert grammar.log2_probability("les chats que léa regarde dort") == -math.inf
    assert grammar.log2_probability("les chats que léa regarde dansent") > -math.inf


def test_sentences_are_drawn_by_seed():
    small, large, other = sentences(5, 2, 2), sentences(9, 4, 3), sentences(5, 2, 2, seed=1)
    assert small.train == large.train[:5] and small.test == large.test[:2]
    assert small.train != other.train and small.train[:2] != small.valid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n  1  {b}\n", "la règle b n’existe pas"),
        ("a\n  1  x | y | x\n", "deux fois"),
        ("a\nb\n  1  x\n", "pas de possibilité"),
        ("a\n  x y\n", "ne se lit pas"),
        ("a\n  0  y\n", "ne se lit pas"),
        ("  1  y\n", "ne se lit pas"),
        ("a\n  1  x\na\n  1  y\n", "ne se lit pas"),
        ("a\n  1  x{a} | {a}{a}\n", "ne finissent pas"),
    ],
)
def test_a_bad_grammar_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        Grammar(text)


def test_a_damaged_grammar_is_named(tmp_path):
    for path in (PATH, PATH.with_name("SHA256SUMS")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with open(tmp_path / PATH.name, "a") as file:
        file.write("#")
    with pytest.raises(DataError, match="abîmé"):
        course_grammar(tmp_path / PATH.name)
