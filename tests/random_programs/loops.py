"""Des boucles tirées au sort, comparées à la même récurrence faite par NumPy.

`python -m tests.random_programs.loops --seed S --count N` en essaie N : dans le mode par défaut,
FAST_COMPILE, NumPy sans réécriture, et une part sous DebugMode. Valeurs, dtypes, formes, gradients,
un second appel avec d’autres longueurs, entrées intactes, premiers résultats inchangés. Une faute
est réduite et imprimée comme un petit programme ; la commande sort alors avec 1.

Ordre de lecture : `check`, `Trial`, `make`, `reduce_loop`.
"""

import random
import time
from typing import NamedTuple

import numpy as np

from engine import foldl, foldr, function, map, reduce, scan, shared
from engine import tensor as T
from engine.core.errors import EngineError
from engine.core.modes import Mode
from engine.loops import ifelse, until
from engine.tensor.shared_randomstreams import RandomStreams
from tests.random_programs.campaign import Counts, Wrong, main, minimise
from tests.random_programs.loop_oracle import NoSuchRow, cost, directional, unroll
from tests.random_programs.loop_programs import Choices, Loop, axes_of, draw_loop, kinds, source

MODES = {
    "FAST_RUN": "FAST_RUN",
    "FAST_COMPILE": "FAST_COMPILE",
    "NumPy sans réécriture": Mode("numpy", None),
    "NumPy réécrit": Mode("numpy"),
    "DebugMode": "DebugMode",
}
SLACK = {"float64": 1e-8, "float32": 2e-4}
UNSTABLE = {
    "float64": 1e6,
    "float32": 1e3,
}  # au-delà, une boucle amplifie les arrondis : on ne la juge pas


def softmax(x):
    """Le softmax, le long du dernier axe ; d’un vecteur, un vecteur."""
    return T.nnet.softmax(x)[0] if x.ndim == 1 else T.nnet.softmax(x)


NAMES = {
    "np": np, "T": T, "scan": scan, "map": map, "reduce": reduce, "foldl": foldl, "foldr": foldr,
    "shared": shared, "until": until, "ifelse": ifelse, "RandomStreams": RandomStreams,
    "softmax": softmax,
}  # fmt: skip


# ---- les données -------------------------------------------------------------------------


def lengths_of(loop, call):
    """Les longueurs du n-ième appel."""
    fixed = 0 if loop.is_rigid else call
    return {name: pair[call if name == "steps" else fixed] for name, pair in loop.lengths.items()}


def values_of(loop, call, seed=0):
    """Les tableaux du n-ième appel ; ce qui est écrit dans le programme reste celui du premier."""
    rng, lengths, values = np.random.default_rng([seed, call]), lengths_of(loop, call), {}

    def make(shape, scale=1.0):
        if loop.is_real:
            return (rng.uniform(-1, 1, shape) * scale).astype(loop.dtype)
        return rng.integers(-3, 4, shape).astype(loop.dtype)

    for item in loop.sequences:
        surplus = max(*item.taps, 0) - min(*item.taps, 0) + item.extra
        shape = [lengths["steps"] + surplus, *(lengths[axis] for axis in axes_of(loop, item.kind))]
        values[item.name] = make(shape)
    for item in loop.states:
        shape = [lengths[axis] for axis in axes_of(loop, item.kind)]
        shape = shape if item.taps == (-1,) else [-min(item.taps), *shape]
        values[item.name] = (
            make(shape) if item.start not in ("zeros", "number") else np.zeros(shape, loop.dtype)
        )
    for item in loop.fixed:
        values[item.name] = make([lengths[axis] for axis in axes_of(loop, item.kind)], 0.7)
    values["counter"] = make(())
    values["k"] = np.array(lengths["steps"] + loop.asked[call])
    return values


def laid_out(x, layout):
    """Une copie du tableau, rangée autrement."""
    if layout == "F":
        return np.asfortranarray(x) if x.ndim else x.copy()
    if layout == "reversed" and x.ndim:
        return x[::-1].copy()[::-1]
    return x.copy()


def drawn_values(loop, count):
    """Les `count` premières valeurs de chaque tirage, un appel après l’autre, sans boucle."""
    if not loop.draws:
        return []
    streams, lengths = RandomStreams(7), lengths_of(loop, 0)
    draws = [
        streams.uniform(tuple(lengths[axis] for axis in axes_of(loop, kind)), dtype=loop.dtype)
        for kind in loop.draws
    ]
    following = function([], draws, mode="FAST_COMPILE")
    return list(zip(*(following() for _ in range(count)), strict=True)) or [[] for _ in draws]


# ---- comparer ----------------------------------------------------------------------------


class Call:
    """Un appel : ses tableaux, et ce que NumPy en fait."""

    def __init__(self, loop, call, first, draws, counter):
        self.loop, self.lengths = loop, lengths_of(loop, call)
        self.values = values_of(loop, call)
        kept = {item.name for item in loop.sequences if item.shared}
        kept |= {item.name for item in loop.states if item.start not in ("input", "computed")}
        kept |= {item.name for item in loop.fixed if item.origin not in ("input", "computed")}
        kept |= {"k"} if loop.n_steps == "constant" else set()
        if first is not None:
            self.values |= {name: first.values[name] for name in kept}
        self.values["counter"] = np.asarray(counter)
        self.draws = draws
        self.given = dict(self.values)
        for item in [*loop.states, *loop.fixed]:
            if (
                getattr(item, "start", None) == "computed"
                or getattr(item, "origin", None) == "computed"
            ):
                self.given[f"{item.name}_in"] = self.values[item.name]
                self.values[item.name] = self.values[item.name] * 2
        try:
            self.results = unroll(loop, self.real(), self.lengths, draws)
        except NoSuchRow:
            self.results = None

    def real(self, dtype="float64"):
        """Les tableaux, les réels en `dtype`."""
        if not self.loop.is_real:
            return self.values
        return {k: v if k == "k" else v.astype(dtype) for k, v in self.values.items()}

    def is_stable(self):
        """Vrai si les nombres restent petits."""
        if self.results is None or not self.loop.is_real:
            return True
        rows = [*self.results.histories, *self.results.used, [self.results.counter]]
        limit = UNSTABLE[self.loop.dtype]
        return all(np.abs(x).max(initial=0) < limit for row in rows for x in map_arrays(row))

    def gradient_is_known(self, rng, name):
        """(direction, dérivée du coût dans cette direction ou None)."""
        direction = rng.uniform(-1, 1, self.values[name].shape)
        found = directional(
            self.loop, self.real(), self.lengths, self.draws, name, direction, self.results
        )
        return direction, found


def map_arrays(row):
    """Les tableaux d’une liste, ou un tableau seul."""
    return list(row) if isinstance(row, list) else [np.asarray(row)]


def close(obtained, expected, slack):
    """Vrai si les deux tableaux s’accordent, à `slack` près de leur taille."""
    scale = 1 + np.abs(expected).max(initial=0)
    return np.abs(np.asarray(obtained, "float64") - expected).max(initial=0) <= slack * scale


def check(loop, modes, counts):
    """Compile le programme dans chaque mode, l’appelle deux fois, compare à NumPy.

    Lève
        Wrong : un mode ne donne pas ce qu’il faut.
    """
    n_draws = 2 * max(loop.lengths["steps"]) + 12
    draws = drawn_values(loop, n_draws)
    first = Call(loop, 0, None, draws, values_of(loop, 0)["counter"])
    done = first.results.steps if first.results is not None else 0
    counter = first.results.counter if first.results is not None else first.values["counter"]
    second = Call(loop, 1, first, [row[done:] for row in draws], counter)
    if not (first.is_stable() and second.is_stable()):
        counts.add("non jugé", "une boucle qui amplifie les arrondis")
        return
    counts.add("sortes", *kinds(loop))
    text = source(loop, first.values)
    try:
        program = build(text)
    except Wrong as wrong:
        if first.results is None and isinstance(wrong.__cause__, EngineError):
            return  # dit dès la construction
        raise
    for mode in modes:
        counts.add("modes", mode)
        Trial(loop, program, mode, counts).run(first, second)


def build(text):
    """Les noms que définit le programme."""
    scope = dict(NAMES)
    try:
        exec(text, scope)
        if "cost" in scope:
            names = [*scope["inputs"], *scope["shared_ones"]]
            wrt = [v for v in names if v.dtype.startswith("float")]
            scope["wrt"] = wrt
            scope["grads"] = T.grad(scope["cost"], wrt, disconnected_inputs="ignore") if wrt else []
    except Exception as error:
        raise Wrong(f"construire : {type(error).__name__}", str(error)) from error
    return scope


class Trial:
    """Un programme dans un mode."""

    def __init__(self, loop, program, mode, counts):
        self.loop, self.program, self.mode, self.counts = loop, program, mode, counts

    def run(self, first, second):
        """Compile, appelle deux fois, compare."""
        self._reset(first)
        wanted = [*self.program["outputs"], *self.program.get("grads", [])]
        try:
            compiled = function(
                self.program["inputs"], wanted, updates=self.program["updates"],
                mode=MODES[self.mode], on_unused_input="ignore",
            )  # fmt: skip
        except Exception as error:
            self._wrong(f"compiler : {type(error).__name__}", str(error))
        results = self._call(compiled, first, 1)
        kept = None if results is None else [np.array(result) for result in results]
        self._call(compiled, second, 2)
        for place, (old, now) in enumerate(zip(kept or [], results or [], strict=True)):
            if not np.array_equal(old, now, equal_nan=True):
                self._wrong("résultat déjà rendu changé", f"sortie {place} : {old} puis {now}")

    def _reset(self, first):
        if "draws" in self.program:
            self.program["draws"].seed(7)
        for variable in self.program["shared_ones"]:
            variable.set_value(first.values[variable.name])
        if self.loop.counter:
            self.program["counter"].set_value(first.values["counter"])

    def _call(self, compiled, call, number):
        names = [variable.name for variable in self.program["inputs"]]
        arguments = [
            laid_out(call.given[self._input_name(rank, name)], self.loop.layout)
            for rank, name in enumerate(names)
        ]
        before = [argument.copy() for argument in arguments]
        label = f"appel {number}"
        try:
            results = compiled(*arguments)
        except EngineError as error:
            if call.results is None:
                return None
            self._wrong(f"erreur : {type(error).__name__}", f"{label} : {error}")
        except Exception as error:
            self._wrong(f"erreur crue : {type(error).__name__}", f"{label} : {error}")
        if call.results is None:
            self._wrong("aucune erreur pour une ligne qui n’existe pas", f"{label} : {results}")
        for name, old, now in zip(names, before, arguments, strict=True):
            if not np.array_equal(old, now):
                self._wrong("entrée modifiée", f"{label}, {name} : {old} puis {now}")
        self._compare_values(label, results, call)
        self._compare_gradients(label, results[len(call.results.used) :], call)
        return results

    def _input_name(self, rank, name):
        computed = {item.name for item in self.loop.states if item.start == "computed"}
        computed |= {item.name for item in self.loop.fixed if item.origin == "computed"}
        return f"{name}_in" if name in computed else name

    def _compare_values(self, label, results, call):
        dtype = self.loop.dtype
        slack = SLACK.get(dtype, 0)
        pairs = list(zip(results, call.results.used, strict=False))
        if self.loop.counter:
            pairs.append((self.program["counter"].get_value(), call.results.counter))
        for place, (obtained, expected) in enumerate(pairs):
            where = f"{label}, sortie {place}"
            if type(obtained) is not np.ndarray:
                self._wrong("pas un tableau", f"{where} : {type(obtained)}")
            if obtained.shape != np.shape(expected):
                self._wrong("forme", f"{where} : {obtained.shape} au lieu de {np.shape(expected)}")
            wanted = dtype if self.loop.is_real else str(np.asarray(expected).dtype)
            if str(obtained.dtype) != wanted:
                self._wrong("dtype", f"{where} : {obtained.dtype} au lieu de {wanted}")
            if not close(obtained, np.asarray(expected), slack):
                self._wrong("valeur", f"{where} :\n{obtained}\nau lieu de\n{expected}")
            self.counts.add("comparé", "valeurs")

    def _compare_gradients(self, label, grads, call):
        rng = np.random.default_rng(5)
        for variable, gradient in zip(self.program.get("wrt", []), grads, strict=True):
            where = f"{label}, d/d{variable.name}"
            if gradient.shape != call.values[variable.name].shape:
                self._wrong("forme du gradient", f"{where} : {gradient.shape}")
            if str(gradient.dtype) != self.loop.dtype:
                self._wrong("dtype du gradient", f"{where} : {gradient.dtype}")
            direction, expected = call.gradient_is_known(rng, variable.name)
            if expected is None:
                self.counts.add("non jugé", "un gradient à un coude")
                continue
            factor = 2 if variable.name in self._computed() else 1
            obtained = float((np.asarray(gradient, "float64") * direction).sum()) / factor
            size = float(np.abs(gradient).sum()) + abs(expected) + 1
            slack = 3e-6 if self.loop.dtype == "float64" else 2e-3
            noise = 2e-9 * abs(cost(self.loop, call.results))  # celui des différences finies
            if not abs(obtained - expected) <= slack * size + noise:
                self._wrong("gradient", f"{where} : {obtained} au lieu de {expected} ({gradient})")
            self.counts.add("comparé", "gradients")

    def _computed(self):
        found = {item.name for item in self.loop.states if item.start == "computed"}
        return found | {item.name for item in self.loop.fixed if item.origin == "computed"}

    def _wrong(self, kind, message):
        raise Wrong(f"{self.mode} : {kind}", message)


# ---- la campagne -------------------------------------------------------------------------


class Drawn(NamedTuple):
    """Un programme tiré : ses choix, la boucle qu’ils décrivent, les modes où l’essayer."""

    taken: list
    loop: Loop
    modes: list


def make(seed):
    """Le programme d’une graine : deux fois sur trois le mode par défaut, dont compiler est long,
    la troisième ses seules réécritures ; les autres modes à tour de rôle.
    """
    rng = random.Random(seed)
    choices = Choices(rng.randrange)
    modes = ["NumPy réécrit" if seed % 3 == 2 else "FAST_RUN"]
    modes += [("FAST_COMPILE", "NumPy sans réécriture")[seed % 2]]
    modes += ["DebugMode"] * (seed % 10 == 0)
    loop = draw_loop(choices)
    return Drawn(choices.taken, loop, modes)


def judge(drawn, counts):
    """Éprouve un programme tiré."""
    check(drawn.loop, drawn.modes, counts)


def replayed(taken, modes):
    """Le programme que font ces choix ; ceux qui manquent sont les plus simples."""
    left = iter(taken)
    choices = Choices(lambda count: min(next(left, 0), count - 1))
    loop = draw_loop(choices)
    return Drawn(choices.taken, loop, modes)


def smaller(drawn):
    """Les programmes de moins de choix, ou de plus petits."""
    taken = drawn.taken
    attempts = [
        taken[:place] + filler + taken[place + size :]
        for size in (16, 8, 4, 2, 1)
        for filler in ([], [0] * size)
        for place in range(0, len(taken), size)
    ]
    attempts += [
        [*taken[:place], choice - 1, *taken[place + 1 :]]
        for place, choice in enumerate(taken)
        if choice > 1
    ]
    for attempt in attempts:
        found = replayed(attempt, drawn.modes)
        if (len(found.taken), found.taken) < (len(taken), taken):
            yield found


def reduce_loop(drawn, wrong, patience=30.0):
    """Le texte d’un programme plus petit, faux de la même façon."""
    mode, until = wrong.kind.split(" : ")[0], time.monotonic() + patience
    modes, reasons = ([mode] if mode in MODES else drawn.modes[:1]), {}

    def is_wrong(candidate):
        if time.monotonic() < until:
            try:
                check(candidate.loop, modes, Counts())
            except Wrong as found:
                reasons[id(candidate.loop)] = str(found)
                return found.kind == wrong.kind
        return False

    small = minimise(drawn, smaller, is_wrong)
    values = Call(small.loop, 0, None, drawn_values(small.loop, 99), 0).values
    reason = reasons.get(id(small.loop), str(wrong))
    return f"{source(small.loop, values)}# {small.loop.lengths}\n# {reason}"


if __name__ == "__main__":
    main("boucles", make, judge, reduce_loop)
