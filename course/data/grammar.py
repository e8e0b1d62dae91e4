"""Une grammaire probabiliste : elle tire des phrases, et l’on connaît exactement leur entropie.

Une phrase naît de choix indépendants. Si deux suites de choix ne donnent jamais la même phrase (la
grammaire n’est pas ambiguë), l’entropie de la phrase est celle des choix, et aucun modèle de langue
ne peut, en moyenne, payer moins : c’est la meilleure perte possible.

Ordre de lecture : le format, en tête de `datasets/phrases/grammaire.txt` ; `Grammar`, `sentences`.

Source : U. Grenander, *Syntax-controlled probabilities*, 1967, pour l’entropie d’une grammaire.
"""

import math
import random
import re
from bisect import bisect
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from course.data.shipped import DATASETS, read_shipped
from engine.core.errors import DataError

PATH = DATASETS / "phrases" / "grammaire.txt"
REFERENCE = re.compile(r"\{(\w+)\}")


class Choice(NamedTuple):
    """Une possibilité d’une règle : sa probabilité, et ses morceaux.

    Champs
        probability : entre 0 et 1.
        parts : des couples (est une règle, nom de la règle ou texte).
    """

    probability: float
    parts: tuple


class Grammar:
    """Une grammaire probabiliste hors contexte, lue d’un texte.

    Paramètres
        text : les règles ; une règle est un nom, puis des lignes décalées, un poids suivi de textes
            séparés par « | ». {nom} renvoie à une règle. La première règle donne les phrases.

    Attributs
        rules : dictionnaire nom -> liste de `Choice`.
        start : nom de la première règle.

    Lève
        DataError : une ligne illisible, une règle absente ou écrite deux fois, une possibilité
            répétée, des phrases de longueur infinie.

    Exemple
        >>> grammar = Grammar('''
        ... phrase
        ...   1  le {nom} dort | le {nom} rêve
        ... nom
        ...   2  chat
        ...   1  chien | lapin
        ... ''')
        >>> grammar.sample(random.Random(1)), grammar.entropy(), grammar.mean_length()
        ('le lapin dort', 2.5, 12.5)
        >>> 2 ** grammar.log2_probability("le chat dort"), grammar.log2_probability("le coq dort")
        (0.25, -inf)
    """

    def __init__(self, text):
        self.rules = _read_rules(text)
        self.start = next(iter(self.rules))
        self._names = {name: rank for rank, name in enumerate(self.rules)}
        self._cumulative = {
            name: list(accumulate(choice.probability for choice in choices))
            for name, choices in self.rules.items()
        }
        self._check_references()

    def sample(self, draw):
        """Tire une phrase.

        Paramètres
            draw : `random.Random(graine)`.
        """
        return "".join(self._expand(self.start, draw))

    def _expand(self, name, draw):
        cumulative = self._cumulative[name]
        rank = min(bisect(cumulative, draw.random()), len(cumulative) - 1)
        for is_rule, part in self.rules[name][rank].parts:
            if is_rule:
                yield from self._expand(part, draw)
            else:
                yield part

    def entropy(self):
        """L’entropie exacte des choix d’une phrase, en bits ; celle des phrases, sans ambiguïté.

        La formule : pour chaque règle A, H(A) = -Σ p log₂ p + Σ p Σ_B H(B), les B étant les règles
        appelées par la possibilité de probabilité p ; c’est un système linéaire.
        """
        return self._expected(lambda choice: -choice.probability * math.log2(choice.probability))

    def mean_length(self):
        """La longueur moyenne exacte d’une phrase, en caractères, par le même système."""
        return self._expected(
            lambda choice: (
                choice.probability * sum(len(part) for is_rule, part in choice.parts if not is_rule)
            )
        )

    def _expected(self, own):
        """L’espérance d’une somme faite, choix après choix, de `own(choix)`."""
        constant = [sum(map(own, choices)) for choices in self.rules.values()]
        calls = self._mean_calls()
        totals = np.linalg.solve(np.eye(len(calls)) - calls, constant)
        return float(totals[self._names[self.start]])

    def _mean_calls(self):
        """La matrice des nombres moyens d’appels : ligne A, colonne B."""
        calls = np.zeros((len(self.rules), len(self.rules)))
        for name, choices in self.rules.items():
            for choice in choices:
                for is_rule, part in choice.parts:
                    if is_rule:
                        calls[self._names[name], self._names[part]] += choice.probability
        return calls

    def log2_probability(self, sentence):
        """Le logarithme en base 2 de la probabilité d’une phrase ; -inf si elle est impossible.

        Toutes les façons de dériver la phrase sont additionnées : c’est l’algorithme « inside », de
        gauche à droite. Une règle ne doit donc pas commencer par s’appeler elle-même.
        """
        found = {}

        def ends(name, start):
            """Où peut finir ce que la règle écrit depuis `start`, avec quelle probabilité."""
            if (name, start) not in found:
                total = {}
                for choice in self.rules[name]:
                    for end, p in follow(choice, start).items():
                        total[end] = total.get(end, 0.0) + p
                found[name, start] = total
            return found[name, start]

        def follow(choice, start):
            reached = {start: choice.probability}
            for is_rule, part in choice.parts:
                after = {}
                for place, p in reached.items():
                    if is_rule:
                        steps = ends(part, place)
                    else:
                        steps = {place + len(part): 1.0} if sentence.startswith(part, place) else {}
                    for end, q in steps.items():
                        after[end] = after.get(end, 0.0) + p * q
                reached = after
            return reached

        probability = ends(self.start, 0).get(len(sentence), 0.0)
        return math.log2(probability) if probability else -math.inf

    def _check_references(self):
        for name, choices in self.rules.items():
            for choice in choices:
                for is_rule, part in choice.parts:
                    if is_rule and part not in self.rules:
                        raise DataError(
                            f"grammaire : la règle {part} n’existe pas",
                            received=f"{{{part}}}, dans la règle {name}",
                            hint="une règle est un nom, seul sur sa ligne, sans blanc devant",
                        )
        if max(abs(np.linalg.eigvals(self._mean_calls()))) >= 1:
            raise DataError(
                "grammaire : ses phrases ne finissent pas",
                expected="des règles qui s’appellent elles-mêmes moins d’une fois en moyenne",
                hint="donnez plus de poids aux possibilités qui finissent",
            )


class Sentences(NamedTuple):
    """Les trois jeux de phrases : entraînement, validation, test."""

    train: list
    valid: list
    test: list


def course_grammar(path=PATH):
    """La grammaire du cours, lue de `datasets/phrases/grammaire.txt`.

    Paramètres
        path : le fichier ; `SHA256SUMS`, à côté, porte son empreinte.

    Lève
        DataError : le fichier manque, est abîmé ou mal écrit.

    Exemple
        >>> round(course_grammar().entropy(), 3)
        31.488
    """
    return Grammar(read_shipped(path).decode("utf-8"))


def sentences(n_train=20_000, n_valid=1000, n_test=1000, seed=0, grammar=None):
    """Des phrases tirées de la grammaire, en trois jeux tirés chacun à part.

    Paramètres
        n_train, n_valid, n_test : nombres de phrases.
        seed : entier ; la même graine redonne les mêmes phrases, et un jeu plus grand commence
            comme un plus petit.
        grammar : une `Grammar` ; par défaut `course_grammar()`.

    Renvoie
        `Sentences(train, valid, test)`, trois listes de chaînes. Une phrase courante peut revenir
        dans plusieurs jeux, comme dans une langue.

    Exemple
        >>> sentences(2, 1, 1).train[1]
        'on raconte que paul croit que cette vague est un peu prudente'
    """
    grammar = course_grammar() if grammar is None else grammar
    parts = zip(("train", "valid", "test"), (n_train, n_valid, n_test), strict=True)
    draws = {name: (random.Random(f"{seed} {name}"), n) for name, n in parts}
    return Sentences(
        **{name: [grammar.sample(draw) for _ in range(n)] for name, (draw, n) in draws.items()}
    )


def _read_rules(text):
    weighted, current = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if line == line.lstrip():
            if content in weighted or not content.isidentifier():
                raise _unreadable(number, line, "un nom de règle, nouveau, sans blanc devant")
            current = weighted.setdefault(content, [])
            continue
        weight, _, texts = content.partition(" ")
        if current is None or not weight.isdigit() or int(weight) == 0 or not texts.strip():
            raise _unreadable(number, line, "un poids entier positif, puis des textes, sous un nom")
        current += [(int(weight), choice.strip()) for choice in texts.split("|")]
    return {name: _choices(name, pairs) for name, pairs in weighted.items()}


def _choices(name, pairs):
    texts = [text for _, text in pairs]
    if not texts or len(set(texts)) < len(texts):
        raise DataError(
            f"grammaire : la règle {name} n’a pas de possibilité, ou deux fois la même",
            received=", ".join(sorted({text for text in texts if texts.count(text) > 1})) or "rien",
        )
    total = sum(weight for weight, _ in pairs)
    return [Choice(weight / total, tuple(_parts(text))) for weight, text in pairs]


def _parts(text):
    """« le {nom} dort » -> (False, "le "), (True, "nom"), (False, " dort")."""
    for rank, part in enumerate(REFERENCE.split(text)):
        if part:
            yield rank % 2 == 1, part


def _unreadable(number, line, expected):
    return DataError(
        "grammaire : une ligne ne se lit pas",
        expected=expected,
        received=line,
        where=f"ligne {number}",
    )
