"""L’épreuve d’un programme : dans chaque mode, deux appels, la valeur, le dtype, la forme, le
gradient, les entrées intactes, les résultats déjà rendus inchangés.

Ordre de lecture : `MODES`, `Built` (le programme en variables du moteur), `judge`, `reduce`.
"""

import itertools
import warnings
import zlib

import numpy as np

import engine.tensor as T
from engine import Mode, function, grad, shared  # noqa: F401  Mode : lu dans MODES
from engine.core.errors import DebugModeError, EngineError
from engine.core.types import TensorType
from engine.rewriting import REWRITES
from tests.random_programs.campaign import Counts, Wrong, minimise
from tests.random_programs.oracle import (
    FLOATS,
    READINGS,
    SAMPLES,
    Difference,
    Own,
    Perturbed,
    Wide,
    compare,
    evaluate,
)
from tests.random_programs.program import CALLS, Input, smaller

MODES = {  # nom : (texte, un programme sur combien, un gradient sur combien)
    "référence": ("Mode('numpy', None)", 1, 1),
    "FAST_COMPILE": ("'FAST_COMPILE'", 1, 1),
    "NumPy, récrit": ("Mode('numpy')", 1, 1),
    "Numba, sans fusion": ("Mode('numba').excluding('fusion')", 1, 6),
    "défaut": ("None", 4, 16),  # un noyau par programme : ce qui coûte le plus
    "DebugMode": ("'DebugMode'", 16, 16),
}
# Une réécriture peut ôter le nœud qui aurait échoué ; les mêmes réécritures ôtent les mêmes.
REWRITTEN = ("NumPy, récrit", "Numba, sans fusion", "défaut")
COORDINATES = 6  # éléments d’une entrée que l’on dérive
LARGE = 1e12  # au-delà, un gradient de float32 peut déborder en chemin
# De loin, un escalier a l’air d’une pente : au-delà, le pas des différences saute des marches.
STEPS = {"floor", "ceil", "trunc", "round", "round_half_to_even", "round_half_away_from_zero",
         "int_div", "mod", "divmod", "floor_div", "cast"}  # fmt: skip
STAIRS = 1e3


def _mode(name):
    return eval(MODES[name][0])


class Built:
    """Le programme, en variables du moteur."""

    def __init__(self, program):
        self.program = program
        names = {"T": T, "np": np, "TensorType": TensorType, "shared": shared}
        for place in program.used():
            item = program.items[place]
            if isinstance(item, Input):
                names[f"v{place}_values"] = item.values
        for place, text in program.text("engine").items():
            names[f"v{place}"] = eval(text, names)
        self.variable = lambda place: names[f"v{place}"]
        self.arguments = program.places("argument")
        self.shared = program.places("partagée")

    def compile(self, mode, outputs, extra=()):
        """La fonction de ces sorties ; `extra` : d’autres entrées, à la suite."""
        inputs = [*map(self.variable, self.arguments), *extra]
        updates = (
            [] if extra else [tuple(map(self.variable, pair)) for pair in self.program.updates]
        )
        return function(inputs, outputs, updates=updates, mode=mode, on_unused_input="ignore")

    def prepare(self, call):
        """Pose les variables partagées, rend les arguments de cet appel."""
        for place in self.shared:
            item = self.program.items[place]
            self.variable(place).set_value(item.values[call])
        return [self.program.items[place].given(call) for place in self.arguments]


def judge(program, counts, only=None):
    """Éprouve un programme ; lève `Wrong` à la première faute, compte tout ce qui est vérifié.

    Paramètres
        only : le seul mode à essayer ; None, chacun à son tour, selon sa part.
    """
    _count(program, counts)
    readings = [
        [evaluate(program, call, reading) for reading in READINGS[:2]] for call in range(CALLS)
    ]
    perturbed = []
    for call in range(CALLS):
        try:
            perturbed.append([evaluate(program, call, reading) for reading in READINGS[2:]])
        except Exception:
            perturbed.append(None)
            counts.add("comparaisons omises", "une forme dépend d’un arrondi")
    slopes = Slopes(program)
    spoiled, errors = _spoiled(program), {}
    checksum = zlib.crc32(program.text("engine")[program.outputs[-1]].encode())
    for mode, (_, share, gradient_share) in MODES.items():
        if mode == only or (only is None and checksum % share == 0):
            counts.add("modes", mode)
            built, compiled = _judge_values(program, mode, readings, perturbed, counts)
            if spoiled is not None:
                errors[mode] = _error(built, compiled, *spoiled)
        if mode == only or (only is None and checksum % gradient_share == 0):
            _judge_gradient(program, mode, slopes, counts)
    if errors:
        counts.add("formes que NumPy refuse", *set(errors.values()))
    rewritten = {errors[mode] for mode in REWRITTEN if mode in errors}
    told = {*errors.values()} - {"aucune"}
    # deux fautes à la fois : la référence en rencontre une, le graphe réécrit l’autre
    if len(rewritten) > 1 or (len(told) > 1 and told != {"MatrixError", "ShapeError"}):
        place, value = spoiled
        raise Wrong("erreurs différentes", f"v{place} de forme {value.shape} : {errors}")


def _spoiled(program):
    """Un argument (son rang, sa valeur) qui, plus long de deux lignes, fait échouer NumPy."""
    for place in program.places("argument"):
        item = program.items[place]
        value = item.values[0]
        if value.size and item.static[:1] == (None,):
            longer = np.concatenate([value, value[:1], value[:1]])
            try:
                evaluate(program, 0, Own(), {place: longer})
            except Exception:
                return place, longer
    return None


def _error(built, compiled, place, value):
    """Ce que dit le moteur quand NumPy échoue : la classe de son erreur."""
    arguments = built.prepare(0)
    arguments[built.arguments.index(place)] = value
    try:
        compiled(*arguments)
    except Exception as error:
        return type(error).__name__
    return "aucune"


def _count(program, counts):
    for place in program.used():
        item = program.items[place]
        if isinstance(item, Input):
            counts.add("entrées", item.kind)
            counts.add("dtypes d’entrée", item.dtype)
            if item.kind == "argument":
                counts.add("dispositions", item.layout)
            if 0 in item.values[0].shape:
                counts.add("dispositions", "vide")
        else:
            counts.add("fonctions", item.name)
            counts.add("dtypes de résultat", item.dtype)


def _attempt(what, mode, action):
    """Le résultat de `action`, ou `Wrong` : NumPy, lui, a réussi."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return action()
        except DebugModeError as error:
            raise Wrong(f"{what}, DebugMode accuse", f"{mode} : {error}") from error
        except EngineError as error:
            raise Wrong(f"{what}, refus {type(error).__name__}", f"{mode} : {error}") from error
        except Exception as error:
            kind = f"{what}, exception {type(error).__name__}"
            raise Wrong(kind, f"{mode} : {error!r}") from error


def _judge_values(program, mode, readings, perturbed, counts):
    built = _attempt("construction", mode, lambda: Built(program))
    places = [*program.outputs, *(new for _, new in program.updates)]
    variables = [built.variable(place) for place in program.outputs]
    for place, variable in zip(program.outputs, variables, strict=True):
        if variable.dtype != program.items[place].dtype:
            raise Wrong("dtype annoncé", f"{variable.dtype}, et non {program.items[place].dtype}")
    compiled = _attempt("compilation", mode, lambda: built.compile(_mode(mode), variables))
    changes = _changes_on_purpose(compiled)
    kept = []
    for call in range(CALLS):
        arguments = built.prepare(call)
        copies = [argument.copy() for argument in arguments]
        results = _attempt("appel", mode, lambda: compiled(*arguments))  # noqa: B023
        for argument, copy in zip(arguments, copies, strict=True):
            if argument.tobytes() != copy.tobytes():
                raise Wrong("entrée modifiée", f"{mode} : {copy} devient {argument}")
        if len(results) != len(program.outputs):
            raise Wrong("nombre de sorties", f"{mode} : {len(results)}")
        kept.append((results, [np.array(result) for result in results]))
        results = [*results, *(built.variable(target).get_value() for target, _ in program.updates)]
        for place, found in zip(places, results, strict=True):
            own, wide = (values[place] for values in readings[call])
            samples = perturbed[call] and [values[place] for values in perturbed[call]]
            try:
                _judge_array(f"{mode}, appel {call}, v{place}", found, own, wide, samples, counts)
            except Wrong:
                if not (changes and _any_nan(readings[call][0])):
                    raise
                counts.add("comparaisons omises", f"NaN changé exprès par {', '.join(changes)}")
    for results, copies in kept:
        for result, copy in zip(results, copies, strict=True):
            if result.tobytes() != copy.tobytes():
                raise Wrong("résultat changé après coup", f"{mode} : {copy} devient {result}")
    return built, compiled


def _changes_on_purpose(compiled):
    """Les règles appliquées dont le domaine dit qu’elles changent un NaN en nombre."""
    fired = {REWRITES[reason] for reason, _, _ in compiled.fgraph.log if reason in REWRITES}
    return sorted(
        rule.name for rule in fired if getattr(getattr(rule, "domain", None), "changes", "")
    )


def _any_nan(values):
    return any((value != value).any() for value in values.values())


def _judge_array(where, found, own, wide, samples, counts):
    if type(found) is not np.ndarray:
        raise Wrong("le résultat n’est pas un tableau", f"{where} : {type(found)}")
    if found.dtype != own.dtype:
        raise Wrong("dtype", f"{where} : {found.dtype}, et non {own.dtype}")
    if samples is None or any(sample.shape != own.shape for sample in (wide, *samples)):
        counts.add("comparaisons omises", "une forme dépend d’un arrondi")
        return
    if found.shape != own.shape:
        raise Wrong("forme", f"{where} : {found.shape}, et non {own.shape}")
    wrong, unsure = compare(found, own, wide, samples, own.dtype.name)
    counts.add("valeurs comparées", own.dtype.name)
    if unsure.any():
        counts.add("comparaisons omises", f"{own.dtype.kind} : un arrondi décide, en partie")
    if wrong.any():
        raise Wrong("valeur", f"{where} : {_shown(found, wrong)}, NumPy {_shown(own, wrong)}, "
                    f"large {_shown(wide, wrong)}")  # fmt: skip


def _shown(array, where):
    return np.array2string(np.asarray(array)[where][:4], precision=12)


# ---- le gradient -------------------------------------------------------------------------


class Slopes:
    """Le coût Σ sortie × poids, et sa dérivée par différences finies, à chaque appel.

    `places` : les sorties flottantes, puis les entrées flottantes que l’on dérive.
    """

    def __init__(self, program):
        self.program = program
        items = program.items
        self.outputs = [p for p in program.outputs if items[p].dtype in FLOATS]
        self.wrt = [
            place
            for place in (*program.places("argument"), *program.places("partagée"))
            if items[place].dtype in FLOATS
        ]
        self.numbers = np.random.default_rng(0)
        self._found = {}

    def weights(self, call, values):
        """Le poids de chaque sortie."""
        numbers = np.random.default_rng(call)
        return [
            numbers.uniform(0.5, 1.5, values[place].shape).astype(self.program.items[place].dtype)
            for place in self.outputs
        ]

    def at(self, call, values):
        """[(rang d’entrée, indice, dérivée, doute)] pour cet appel."""
        if call not in self._found:
            self._found[call] = list(self._differences(call, values))
        return self._found[call]

    def _differences(self, call, values):
        weights = self.weights(call, values)
        for place in self.wrt:
            x = self.program.items[place].values[call]
            chosen = np.random.default_rng(place).permutation(x.size)[:COORDINATES]
            for flat in chosen.tolist():
                index = np.unravel_index(flat, x.shape)
                if not np.isfinite(x[index]) or abs(x[index]) > 1e6 or 0 < abs(x[index]) < 1e-6:
                    continue
                found = [
                    Difference(self._cost(call, place, index, reading, weights), x[index])
                    for reading in (Wide(), *map(Perturbed, range(SAMPLES - 1)))
                ]
                spread = max(abs(other.value - found[0].value) for other in found[1:])
                yield place, index, found[0].value, found[0].doubt, spread

    def _cost(self, call, place, index, reading, weights):
        def cost(value):
            x = self.program.items[place].values[call].astype(np.longdouble)
            x[index] = value
            try:
                values = evaluate(self.program, call, reading, {place: x})
                if any(
                    values[out].shape != weight.shape
                    for out, weight in zip(self.outputs, weights, strict=True)
                ):
                    return np.longdouble("nan")  # un saut : le nombre d’éléments change
                return sum(
                    (values[out] * weight).sum()
                    for out, weight in zip(self.outputs, weights, strict=True)
                )
            except Exception:
                return np.longdouble("nan")

        return cost


def _judge_gradient(program, mode, slopes, counts):
    if not slopes.outputs or not slopes.wrt:
        return
    built = Built(program)
    outputs = [built.variable(place) for place in slopes.outputs]
    weights = [TensorType(v.dtype, shape=(None,) * v.ndim)() for v in outputs]
    cost = sum((v * w).sum() for v, w in zip(outputs, weights, strict=True))
    wrt = [built.variable(place) for place in slopes.wrt]
    grads = _attempt("dérivation", mode, lambda: grad(cost, wrt, disconnected_inputs="ignore"))
    for place, g in zip(slopes.wrt, grads, strict=True):
        if g.dtype != program.items[place].dtype:
            raise Wrong("dtype du gradient", f"{g.dtype}, et non {program.items[place].dtype}")
    compiled = _attempt(
        "compilation du gradient", mode, lambda: built.compile(_mode(mode), grads, weights)
    )
    for call in range(CALLS):
        arguments = built.prepare(call)
        own = evaluate(program, call, Own())
        given = slopes.weights(call, own)
        results = _attempt("appel du gradient", mode, lambda: compiled(*arguments, *given))  # noqa: B023
        for place, g in zip(slopes.wrt, results, strict=True):
            shape = program.items[place].values[call].shape
            if g.shape != shape:
                raise Wrong("forme du gradient", f"{mode}, v{place} : {g.shape}, et non {shape}")
        found = dict(zip(slopes.wrt, results, strict=True))
        _compare_gradient(program, mode, call, slopes, own, found, counts)


def _chooses(name, arguments):
    """Vrai si l’op choisit au bord : selon qu’un flottant est nul, ou entre nombres égaux."""
    if name in ("switch", "where"):
        return arguments[0].dtype.kind == "f" and (arguments[0] == 0).any()
    if name in ("maximum", "minimum", "largest", "smallest"):
        pairs = itertools.combinations(arguments, 2)
        return any((one == other).any() for one, other in pairs)
    if name == "topk":
        return np.unique(arguments[0]).size < arguments[0].size
    return False


def _compare_gradient(program, mode, call, slopes, own, grads, counts):
    floats = [v for place, v in own.items() if program.items[place].dtype in FLOATS and v.size]
    with np.errstate(all="ignore"):
        steps = any(getattr(program.items[place], "name", None) in STEPS for place in own)
        sized = [v.astype("float64") for v in own.values()] if steps else floats
        size = max((np.abs(v[np.isfinite(v)]).max(initial=0) for v in sized), default=0)
        tiny = min((np.abs(v[v != 0]).min(initial=1) for v in floats), default=1)
        calm = all(np.isfinite(v).all() for v in floats) and size < (STAIRS if steps else LARGE)
        calm &= not steps or tiny > 1 / LARGE  # une marche si étroite que la différence la saute
    singular = any(
        (own[place] == 0).any()
        for place in program.used()
        if getattr(program.items[place], "name", None) in ("sqrt", "std", "hypot", "arctan2")
    )
    nodes = [program.items[place] for place in program.used()]
    choosing = any(
        _chooses(node.name, [own[arg] for arg in node.args])
        for node in nodes
        if getattr(node, "args", ())
    )
    eps = max(np.finfo(program.items[place].dtype).eps for place in (*slopes.outputs, *slopes.wrt))
    eps = max([eps, *(np.finfo(v.dtype).eps for v in floats)])
    found_slopes = slopes.at(call, own)
    steepest = max(
        (abs(value) for _, _, value, doubt, _ in found_slopes if doubt < np.inf), default=0
    )
    steepest = max(1, steepest)
    for place, index, value, doubt, spread in found_slopes:
        if not np.isfinite(doubt):
            counts.add("gradients omis", "coude, saut ou valeur infinie")
            continue
        allowed = 24 * spread + 10 * doubt + 300 * eps * (abs(value) + steepest)
        if not np.isfinite(allowed) or allowed > 0.1 * abs(value) + 1e-2:
            counts.add("gradients omis", "mal conditionné")
            continue
        found = grads[place][index]
        if abs(found - value) <= allowed:
            counts.add("gradients comparés", program.items[place].dtype)
        elif not calm:
            counts.add("gradients omis", "un intermédiaire est infini ou immense")
        elif singular and not np.isfinite(found):
            counts.add("gradients omis", "une racine ou un angle de 0 : sans dérivée")
        elif choosing:
            counts.add("gradients omis", "un choix au bord : un flottant nul, deux égaux")
        else:
            raise Wrong(
                "gradient",
                f"{mode}, appel {call}, v{place}{list(map(int, index))} : {found}, "
                f"et non {value:.12g} (± {allowed:.2g})",
            )


# ---- réduire -----------------------------------------------------------------------------


def reduce(program, wrong):
    """Le plus petit programme trouvé qui soit faux de la même façon, et son mode : un texte."""
    across = wrong.kind == "erreurs différentes"
    mode = None if across else next((name for name in MODES if name in str(wrong)), "référence")

    def values_of(candidate):
        return [evaluate(candidate, call, Own()) for call in range(CALLS)]

    def is_wrong(candidate):
        try:
            judge(candidate, Counts(), mode)
        except Wrong as found:
            return found.kind == wrong.kind
        except Exception:
            return False
        return False

    if not is_wrong(program):
        return f"{program.source(MODES[mode or 'défaut'][0])}\n# {wrong} (ne se reproduit pas seul)"
    small = minimise(program, lambda p: smaller(p, values_of(p)), is_wrong)
    try:
        judge(small, Counts(), mode)
    except Wrong as found:
        wrong = found
    return f"{small.source(MODES[mode or 'défaut'][0])}\n# {wrong}"
