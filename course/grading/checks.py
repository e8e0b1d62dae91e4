"""Les vérifications d’un exercice : une seule définition, du carnet ouvert à la notation.

Un exercice est un `Exercise`, qui réunit ses vérifications :

    exercise = Exercise("01_regle_de_chainage")

    @exercise.check("q1", points=1, hints=("…", "…"), review="La règle de Leibniz à la main")
    def derivative_at_zero(learner, draw):
        "En x = 0, la dérivée est nulle"
        close(learner.derivee(0.0), 0.0)

`learner` est la couture (voir `learner`), `draw` un `random.Random` neuf à chaque lancement : les
entrées changent, et le message montre celle qui a échoué. La docstring est le titre que lit
l’élève. Une vérification échoue par `close`, `equal` ou `expect` ; quoi qu’il arrive chez l’élève,
`evaluate` rend un `Report` et ne lève rien.

Dans le carnet : `verifier("q1")`, ou `verifier("q1", graine=7)` pour rejouer les mêmes entrées.
"""

import math
import random
import sys
from dataclasses import dataclass

from course.grading.feedback import EMPTY, FAILED, PASSED, Outcome, Report
from course.grading.learner import Blank, Interrupted, LocalLearner, Missing, Raised, Shipped
from course.grading.progress import record
from course.grading.wire import NotPlain


class Failure(Exception):
    """Une vérification qui échoue, avec l’explication destinée à l’élève."""


@dataclass(frozen=True)
class Check:
    """Une vérification : sa question, sa fonction, ses points, ses indices, que relire."""

    question: str
    function: object
    points: float
    hints: tuple
    review: str
    hidden: bool = False

    @property
    def title(self):
        return self.function.__doc__.strip()


class Exercise:
    """Les vérifications d’un exercice, dans l’ordre ; `slug` nomme le carnet et sa leçon."""

    def __init__(self, slug, checks=()):
        self.slug = slug
        self.checks = list(checks)

    def probe(self, name):
        """La sonde `name` de l’exercice, une fonction de `probesNN`, à jouer chez l’élève."""
        return Shipped(f"course.grading.exercises.probes{self.slug[:2]}:{name}")

    def check(self, question, points=1, hints=(), review=""):
        """Décorateur : inscrit une vérification de `question`."""

        def register(function):
            self.checks.append(Check(question, function, points, tuple(hints), review))
            return function

        return register

    def evaluate(self, question, learner, seed=None):
        """Le bilan de `question` ; ne lève jamais. `seed` rejoue un tirage."""
        seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        outcomes, stopped = [], ""
        for rank, check in enumerate(c for c in self.checks if c.question == question):
            learner.last_call = ""
            draw = random.Random(f"{seed}/{question}/{rank}")
            state, message = (FAILED, stopped) if stopped else _attempt(check, learner, draw)
            if message == _INTERRUPTED:
                stopped = _SKIPPED
            outcomes.append(
                Outcome(
                    check.title,
                    state,
                    check.points,
                    message,
                    check.hints,
                    check.review,
                    check.hidden,
                )
            )
        return Report(question, tuple(outcomes), self.slug)

    def verifier(self, question, graine=None):
        """Vérifie la réponse à `question` dans le carnet ouvert, garde ses points, montre le
        retour.
        """
        report = self.evaluate(question, LocalLearner(sys._getframe(1).f_globals), graine)
        record(self.slug, report)
        return report


_INTERRUPTED = (
    "Le calcul a été interrompu : y a-t-il une boucle qui ne finit pas, ou une fonction "
    "qui s'appelle elle-même sans fin ?"
)
_SKIPPED = "Non essayée : la vérification précédente a été interrompue."


def _attempt(check, learner, draw):
    """(état, message) d’une vérification, quoi que fasse le code de l’élève."""
    try:
        check.function(learner, draw)
    except Failure as failure:
        return FAILED, f"Pour `{learner.last_call}` : {failure}"
    except Blank:
        return EMPTY, "À vous de jouer : la réponse est encore vide (elle vaut `None`)."
    except Missing as missing:
        return FAILED, f"`{missing}` n'existe pas encore : exécutez d'abord la cellule de réponse."
    except Interrupted:
        return FAILED, _INTERRUPTED
    except Raised as error:
        where = f" ({error.where})" if error.where else ""
        text = error.text.replace("`", "'")[:300]
        return FAILED, (
            f"Pour `{learner.last_call}`, votre code s'est arrêté sur une erreur{where} : "
            f"`{error.kind}`, « {text} »."
        )
    except NotPlain as error:
        return FAILED, (
            f"Pour `{learner.last_call}`, j'attendais des nombres, des listes ou des tableaux ; "
            f"j'ai reçu autre chose : {error}."
        )
    except Exception as error:  # une réponse d’une forme imprévue
        return FAILED, (
            f"Pour `{learner.last_call}`, la réponse n'a pas la forme attendue "
            f"(`{type(error).__name__}`) : relisez la signature demandée."
        )
    return PASSED, ""


def decimals(draw, *shape, bound=1):
    """Des nombres à deux décimales, au plus `bound` en valeur absolue, rangés selon `shape`.

    Exemple
        >>> [len(row) for row in decimals(random.Random(0), 2, 3)]
        [3, 3]
    """
    if not shape:
        return round(draw.uniform(-bound, bound), 2)
    return [decimals(draw, *shape[1:], bound=bound) for _ in range(shape[0])]


def expect(condition, explanation):
    """Échoue avec `explanation` si `condition` est fausse."""
    if not condition:
        raise Failure(explanation)


def equal(got, expected, what="", likely=()):
    """Exige l’égalité exacte de deux données simples (un booléen n’est pas un nombre).

    `likely` : voir `close`.
    """

    def same(value):
        return got == value and isinstance(got, bool) == isinstance(value, bool)

    if not same(expected):
        shown = f"{_prefix(what)}attendu `{_short(expected)}`, obtenu `{_short(got)}`."
        raise Failure(shown + _explanation(same, likely))


def close(got, expected, what="", *, rel=1e-9, near=1e-12, likely=()):
    """Exige deux nombres, ou deux listes de nombres de même forme, égaux à la tolérance près.

    Paramètres
        got, expected : données simples, emboîtées de la même façon.
        what : ce dont il s’agit, quand la réponse en contient plusieurs (« la dérivée en b »).
        rel, near : tolérances relative et absolue, élément par élément.
        likely : couples (valeur, explication) d’erreurs classiques ; si `got` vaut l’une
            d’elles, l’explication est ajoutée au message.
    """
    shape, wanted = _shape(got), _shape(expected)
    if shape is None:
        raise Failure(f"{_prefix(what)}j'attendais un nombre, j'ai reçu `{_short(got)}`.")
    if shape != wanted:
        raise Failure(
            f"{_prefix(what)}j'attendais {_shape_text(wanted)}, j'ai reçu {_shape_text(shape)}."
        )

    def same(value):
        return _shape(value) == shape and _within(got, value, rel, near)

    if not same(expected):
        shown_expected, shown_got = _distinct(expected, got)
        shown = f"{_prefix(what)}attendu `{shown_expected}`, obtenu `{shown_got}`."
        raise Failure(shown + _explanation(same, likely))


def _prefix(what):
    return f"{what}, " if what else ""


def _explanation(same, likely):
    """L’explication de la première erreur classique à laquelle ressemble la réponse."""
    return next((" " + text for value, text in likely if same(value)), "")


def _shape(value):
    """La forme d’un nombre ou de listes emboîtées régulières de nombres ; None sinon."""
    if isinstance(value, list):
        shapes = {_shape(item) for item in value}
        if len(shapes) > 1 or None in shapes:
            return None
        return (len(value), *(shapes.pop() if shapes else ()))
    return () if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _shape_text(shape):
    return f"un tableau de forme `{shape}`" if shape else "un seul nombre"


def _within(got, expected, rel, near):
    if isinstance(expected, list):
        return all(_within(g, e, rel, near) for g, e in zip(got, expected, strict=True))
    return math.isclose(got, expected, rel_tol=rel, abs_tol=near)


def _distinct(expected, got):
    """Les deux valeurs, avec juste assez de chiffres pour que l’œil voie leur différence."""
    for digits in (6, 9, 12, 17):
        pair = _digits(expected, digits), _digits(got, digits)
        if pair[0] != pair[1]:
            break
    return pair


def _digits(value, digits):
    if isinstance(value, list):
        return _cut("[" + ", ".join(_digits(item, digits) for item in value) + "]")
    return f"{value:.{digits}g}"


def _short(value):
    return _cut(repr(value).replace("`", "'"))


def _cut(text):
    return text if len(text) <= 200 else text[:200] + "…"
