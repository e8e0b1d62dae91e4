"""Chercher une faute : la valeur qui déborde, la réécriture fausse, la forme qui ne va pas.

- `NanGuardMode` arrête le calcul au premier NaN, infini ou nombre démesuré.
- `DebugMode` vérifie chaque réécriture, chaque noyau et chaque entrée contre la référence.
- `config.compute_test_value` calcule `v.tag.test_value` dès que la variable est construite : une
  faute de forme est dite à la ligne qui la commet.
- `Print` et `PdbBreakpoint` (`engine.ops.probes`) sont aussi rendus ici.

Ordre de lecture : `NanGuard`, `Checker`, `compute_test_values`.

Référence : les modules `nanguardmode` et `debugmode` de Theano.
"""

import warnings
from functools import partial

import numpy as np

from engine.core.contract import perform_call
from engine.core.dtypes import FLOATS, HALVES, epsilon, widened
from engine.core.errors import (
    BadDestroyMap,
    BadOptimization,
    BadThunkOutput,
    BadValueError,
    EngineError,
    MissingTestValueError,
    RuntimeNodeError,
)
from engine.core.graph import Constant, walk
from engine.core.modes import LINKERS, MODES, Mode, Watcher
from engine.core.registry import find_kernel, is_available
from engine.core.rewriting import GRAPH_REWRITES, REWRITES
from engine.core.settings import config
from engine.core.sharedvalue import SharedVariable
from engine.look.contract import check_results, strict_perform
from engine.ops.probes import PdbBreakpoint, Print
from engine.ops.test_value import get_test_value

BIG = 1e10  # le seuil de Theano
TOLERANCES = {"float32": (1e-4, 1e-6), "float64": (1e-8, 1e-12)}  # relative, absolue
TOLERANCES |= {half: (4 * epsilon(half), epsilon(half)) for half in HALVES}
STABILIZED = 5e-2  # la forme naïve, avant stabilisation, peut être fausse d’autant


# ---- la garde contre les NaN -------------------------------------------------------------


class NanGuard(Watcher):
    """Regarde les entrées et les sorties de chaque nœud ; s’arrête à la première valeur mauvaise.

    Paramètres
        nan, inf, big : ce qui est une erreur.
    """

    def __init__(self, fgraph, name, nan=True, inf=True, big=True):
        super().__init__(fgraph, name)
        self.tests = [
            (kind, test)
            for wanted, kind, test in (
                (nan, "NaN", np.isnan),
                (inf, "infini(s)", np.isinf),
                (big, f"nombre(s) de valeur absolue supérieure à {BIG:g}", _is_big),
            )
            if wanted
        ]

    def wrap(self, node, call):
        free = [
            (k, entry)
            for k, entry in enumerate(node.inputs)
            if entry.owner is None and not isinstance(entry, Constant)
        ]

        def guarded(*inputs):
            for position, entry in free:
                self._check(f"{entry}, entrée de {node.op},", inputs[position], node, inputs)
            result = call(*inputs)
            for value in [result] if len(node.outputs) == 1 else result:
                self._check(f"{node.op}", value, node, inputs)
            return result

        return guarded

    def _check(self, what, value, node, inputs):
        if getattr(getattr(value, "dtype", None), "kind", "") != "f":
            return
        value = _on_host(value)
        for kind, test in self.tests:
            bad = np.argwhere(test(value))
            if len(bad):
                place = f", le premier à l'indice {tuple(bad[0].tolist())}" if value.ndim else ""
                entries = "\n".join(
                    f"entrée {k} : {_extent(_on_host(entry))}" for k, entry in enumerate(inputs)
                )
                raise BadValueError(
                    f"{what} contient {len(bad)} {kind} sur {value.size} valeur(s){place}",
                    expected="des nombres finis et raisonnables",
                    received=entries,
                    where=str(node.trace),
                    hint="regardez les entrées de ce nœud : log ou division d'un nombre nul ou "
                    "négatif, exponentielle d'un grand nombre, pas d'apprentissage trop grand ?",
                )


def _is_big(value):
    return np.isfinite(value) & (np.abs(value) > BIG)


def _extent(value):
    if not isinstance(value, np.ndarray) or value.size == 0:
        return str(value)
    low, high = (_brief(number) for number in (value.min(), value.max()))
    return low if value.size == 1 else f"de {low} à {high}"


def _brief(number):
    return f"{number:.4g}" if isinstance(number, np.floating) else str(number)


class NanGuardMode(Mode):
    """Un mode qui s’arrête au premier nœud dont une valeur est mauvaise, et dit où il est né.

    Les nœuds ne sont ni fondus en boucles, ni placés sur la mémoire de leurs entrées : l’erreur
    désigne l’opération écrite, et ses entrées sont encore là.

    Paramètres
        nan_is_error, inf_is_error, big_is_error : ce qui est une erreur (un nombre est « grand »
            au-delà de 1e10).
        linker, optimizer : voir `Mode`.

    Lève
        BadValueError, à l’appel de la fonction compilée.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dscalar("x")
        >>> f = function([x], T.log(x), mode=NanGuardMode())
        >>> f(1.0)
        array(0.)
    """

    def __init__(
        self,
        nan_is_error=True,
        inf_is_error=True,
        big_is_error=True,
        linker=None,
        optimizer="fast_run",
    ):
        guard = partial(NanGuard, nan=nan_is_error, inf=inf_is_error, big=big_is_error)
        super().__init__(linker, optimizer, exclude=("fusion", "inplace"), watch=(guard,))


# ---- la vérification de tout -------------------------------------------------------------


class Checker(Watcher):
    """Tient le journal des remplacements et les rejoue sur les valeurs de chaque appel.

    Chaque remplacement n’ajoute que quelques nœuds : leurs entrées sont notées aussitôt (les
    suivants les changeront), si bien que tout rejouer coûte un calcul par nœud jamais apparu.
    """

    def __init__(self, fgraph, name):
        super().__init__(fgraph, name)
        fgraph.on_replace = self._record
        self.known = set(fgraph.inputs)
        self.leaves = set()
        self.steps = self._fresh(fgraph.outputs)
        self.replacements = []  # (remplacement, nœuds nouveaux)
        self.broken = None
        self.backends = [name for name in LINKERS if name != "py" and is_available(name)]

    def _fresh(self, variables):
        """Les nœuds jamais vus dont dépendent `variables`, avec leurs entrées d’aujourd’hui."""
        rows = {}
        for variable in walk(variables, stop=self.known):
            if variable not in self.known and variable.owner is not None:
                rows[variable.owner] = tuple(variable.owner.inputs)
            elif variable not in self.known:
                self.leaves.add(variable)
        self.known.update(output for node in rows for output in node.outputs)
        self.known.update(self.leaves)
        return list(rows.items())

    def _record(self, replacement):
        self.replacements.append((replacement, self._fresh([replacement.new])))
        if self.broken is None:
            try:
                self.fgraph.check()
            except EngineError as error:
                self.broken = BadOptimization(
                    f"la réécriture « {replacement.reason} » a rompu le graphe : {error.summary}",
                    received=error.received,
                    where=_where(replacement.old),
                )

    def wrap_call(self, program):
        if self.broken is not None:
            raise self.broken

        def checked(*args):
            self._replay(args)
            return program(*args)

        return checked

    def _replay(self, args):
        try:
            values = {
                variable: variable.type.filter(value, allow_downcast=True)
                for variable, value in zip(self.fgraph.inputs, args, strict=True)
            }
            for leaf in self.leaves:
                shared = isinstance(leaf, SharedVariable)
                values[leaf] = leaf.get_value(borrow=True) if shared else leaf.data
            _compute(self.steps, values)
        except Exception:
            return  # la faute est dans le graphe écrit : le programme la dira, avec son contexte
        repaired, done = set(), list(self.steps)
        for replacement, steps in self.replacements:
            done += steps
            self._check_replacement(replacement, steps, values, repaired, done)

    def _check_replacement(self, replacement, steps, values, repaired, done):
        """Compare l’ancienne et la nouvelle valeur.

        `repaired` : les variables dont l’écart est une réparation ; ce qui en dépend (parmi les
        nœuds `done`) n’est plus comparable à la forme naïve.
        """
        reason, old, new = replacement
        rule = REWRITES.get(reason) or GRAPH_REWRITES.get(reason)
        try:
            _compute(steps, values)
        except Exception as error:
            raise BadOptimization(
                f"la réécriture « {reason} » échoue où le graphe écrit réussit : "
                f"{type(error).__name__} : {error}",
                where=_where(old),
            ) from error
        expected, found = values[old], values[new]
        inputs = [values[entry] for entry in (old.owner.inputs if old.owner else ())]
        difference = _difference(expected, found, inputs, _coarsest([old, new]))
        if difference is None:
            return
        for node, entries in done if repaired else ():
            if not repaired.isdisjoint(entries):
                repaired.update(node.outputs)
        stabilizes = rule is not None and rule.stage == "stabilize"
        if old in repaired or new in repaired or _is_improvement(expected, found, stabilizes):
            repaired.update((old, new))
            return
        raise BadOptimization(
            f"la réécriture « {reason} » change la valeur : {difference}",
            expected=f"{old.owner or old} : {_extract(expected)}",
            received=f"{new.owner or new} : {_extract(found)}",
            where=_where(old),
            hint=f"la règle dit : {rule.reason}. Pour s'en passer : mode.excluding('{reason}')"
            if rule
            else None,
        )

    def wrap(self, node, call):
        allowed = {position for positions in node.op.destroy_map.values() for position in positions}
        found = ((backend, find_kernel(node, backend)) for backend in self.backends)
        kernels = [(backend, kernel) for backend, kernel in found if kernel is not None]

        def compare(who, expected, before, inputs, result):
            results = result if len(node.outputs) > 1 else [result]
            _check_untouched(node, who, allowed, before, inputs)
            results, inputs = ([_on_host(v) for v in values] for values in (results, inputs))
            check_results(node, results, inputs, who)
            _compare(node, who, before, expected, results)

        def checked(*inputs):
            expected = strict_perform(node, inputs)
            before = [np.array(value) for value in inputs]
            for backend, kernel in kernels:
                copies = [value.copy() for value in inputs]
                result = kernel(*copies)
                if result is not None:  # celui d’une boucle laisse certaines formes à `run`
                    compare(f"le noyau {backend}", expected, before, copies, result)
            result = call(*inputs)
            compare("le noyau choisi", expected, before, inputs, result)
            return result

        return checked


def _on_host(value):
    """Un tableau NumPy, d’où que vienne la valeur."""
    return value.to_host() if hasattr(value, "to_host") else value


def _compute(steps, values):
    for node, inputs in steps:
        results = strict_perform(node, [values[entry] for entry in inputs])
        values.update(zip(node.outputs, results, strict=True))


def _compare(node, who, inputs, expected, results):
    inside = [output for _, outputs in node.op.inner_graphs() for output in outputs]
    coarsest = _coarsest(inside)
    for position, (wanted, found) in enumerate(zip(expected, results, strict=True)):
        difference = _difference(wanted, found, inputs, coarsest)
        if difference is not None:
            raise BadThunkOutput(
                f"{node.op} : {who} ne rend pas la valeur de référence (sortie {position}) : "
                f"{difference}",
                expected=_extract(wanted),
                received=_extract(found),
                where=str(node.trace),
            )


def _check_untouched(node, who, allowed, before, after):
    for position, (old, new) in enumerate(zip(before, after, strict=True)):
        if position not in allowed and _difference(old, new) is not None:
            raise BadDestroyMap(
                f"{node.op} : {who} a écrasé son entrée {position} sans l'annoncer",
                expected=f"une entrée intacte, ou {position} dans destroy_map",
                received=_extract(new),
                where=str(node.trace),
            )


def _coarsest(variables):
    """Le moins précis des dtypes flottants où ces variables se calculent, ou None.

    Un float64 tiré d’un calcul en float32 n’en a pas plus de chiffres justes.
    """
    made = {v.dtype for v in walk(variables) if v.owner is not None and v.dtype in FLOATS}
    return max(made, key=epsilon, default=None)


def _difference(expected, found, inputs=(), coarsest=None):
    """Ce qui distingue deux tableaux, en quelques mots, ou None.

    L’arrondi permis tient compte de la grandeur du résultat et de celle des `inputs` : une
    différence de grands nombres est peu précise ; et de celui de `coarsest`, si l’on y a calculé.
    """
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.dtype != found.dtype:
        return f"dtype {found.dtype} au lieu de {expected.dtype}"
    if expected.shape != found.shape:
        return f"forme {found.shape} au lieu de {expected.shape}"
    if expected.dtype.name not in FLOATS:
        return None if np.array_equal(expected, found) else "les valeurs diffèrent"
    dtype = max((str(expected.dtype), coarsest or "float64"), key=epsilon)
    rtol, atol = TOLERANCES[dtype]
    atol += rtol * _scale(expected)
    atol += 100 * epsilon(dtype) * max(map(_scale, inputs), default=0.0)
    expected, found = (v.astype(widened(v.dtype.name), copy=False) for v in (expected, found))
    if np.allclose(found, expected, rtol=0, atol=atol, equal_nan=True):
        return None
    with np.errstate(all="ignore"):
        gap = np.abs(found - expected)
    return f"écart de {np.nanmax(gap, initial=0.0):.3g}"


def _scale(value):
    """La plus grande valeur absolue finie d’un tableau de flottants (0 pour les autres)."""
    value = np.asarray(value)
    if value.dtype.name not in FLOATS:
        return 0.0
    value = value.astype(widened(value.dtype.name), copy=False)
    return np.abs(value[np.isfinite(value)]).max(initial=0.0)


def _is_improvement(expected, found, stabilizes):
    """Vrai si l’écart est une réparation : un nombre fini au lieu d’un infini, d’un NaN, ou, pour
    une stabilisation, un nombre plus juste.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    sound = np.isfinite(expected)
    rtol, atol = TOLERANCES.get(str(expected.dtype), (1e-3, 1e-3))
    if stabilizes:
        rtol = STABILIZED
    return np.allclose(found[sound], expected[sound], rtol=0, atol=atol + rtol * _scale(expected))


def _extract(value):
    text = np.array2string(np.asarray(value), threshold=6, edgeitems=2).replace("\n", "")
    return f"{text} ({np.asarray(value).dtype} {np.shape(value)})"


def _where(variable):
    return str(variable.owner.trace) if variable.owner is not None else None


class DebugMode(Mode):
    """Un mode lent qui vérifie tout, à chaque appel, contre la référence NumPy.

    - chaque remplacement fait par une réécriture garde la valeur (une stabilisation peut rendre un
      nombre plus juste, ou fini au lieu d’infini), et le graphe reste bien formé ;
    - chaque nœud rend sur chaque dos de calcul ce que rend `perform` ;
    - chaque `perform` tient son contrat (voir `Op`) : des tableaux du dtype et des axes annoncés,
      dans une mémoire à eux ; aucune entrée n’est écrasée, sauf celles que `destroy_map` annonce.

    Chaque nœud est calculé plusieurs fois par appel : un `Print` y affiche autant de fois.

    S’emploie aussi par son nom : `mode="DebugMode"`.

    Paramètres
        linker, optimizer : voir `Mode`.

    Lève
        DebugModeError : la réécriture ou le nœud fautif est nommé.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dvector("x")
        >>> function([x], T.log(1 + T.exp(x)).sum(), mode=DebugMode())([0.0])
        array(0.69314718)
    """

    def __init__(self, linker=None, optimizer="fast_run"):
        super().__init__(linker, optimizer, exclude=("formes_supposées",), watch=(Checker,))


MODES["DebugMode"] = MODES["DEBUG_MODE"] = DebugMode


# ---- les valeurs d’essai -----------------------------------------------------------------


def compute_test_values(node):
    """Calcule `tag.test_value` des sorties d’un nœud neuf, si `config.compute_test_value` le veut.

    Lève
        MissingTestValueError : une entrée n’en a pas (réglage "raise" ; "warn" avertit).
        EngineError : le calcul échoue ; `where` est la ligne qui vient de construire le nœud.
    """
    policy = config.compute_test_value
    if policy == "off":
        return
    values = []
    for entry in node.inputs:
        value = get_test_value(entry)
        if value is None:
            return _missing(entry, node, policy)
        values.append(value)
    try:
        results = perform_call(node)(*(np.array(value) for value in values))
    except Exception as error:
        explained = _explain(error, node, values)
        raise explained from (error if explained is not error else error.__cause__)
    results = results if len(node.outputs) > 1 else [results]
    for output, result in zip(node.outputs, results, strict=True):
        output.tag.test_value = result


def _missing(entry, node, policy):
    error = MissingTestValueError(
        f"{entry} n'a pas de valeur d'essai",
        expected=f"{entry}.tag.test_value = un tableau {entry.short()}",
        received=f"rien, dans {node}",
        where=str(node.trace),
        hint="config.compute_test_value = 'ignore' passe les variables sans valeur d'essai",
    )
    if policy == "raise":
        raise error
    if policy == "warn":
        warnings.warn(str(error), stacklevel=5)


def _explain(error, node, values):
    shown = ", ".join(
        f"{entry} de forme {np.shape(value)} ({np.asarray(value).dtype})"
        for entry, value in zip(node.inputs, values, strict=True)
    )
    if isinstance(error, EngineError):
        error.received = f"{error.received}\n{shown}" if error.received else shown
        error.where = error.where or str(node.trace)
        return error
    return RuntimeNodeError(
        f"{node.op} a échoué sur ses valeurs d'essai : {type(error).__name__} : {error}",
        received=shown,
        where=str(node.trace),
    )


__all__ = ["DebugMode", "NanGuardMode", "PdbBreakpoint", "Print", "get_test_value"]
