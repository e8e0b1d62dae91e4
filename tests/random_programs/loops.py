"""Des boucles tirées au sort, comparées à la même récurrence faite par NumPy.

`python -m tests.random_programs.loops --seed S --count N` en essaie N : dans le mode par défaut,
FAST_COMPILE, NumPy sans réécriture, et une part sous DebugMode. Valeurs, dtypes, formes, gradients,
un second appel avec d’autres longueurs, entrées intactes, premiers résultats inchangés. Une faute
est réduite et imprimée comme un petit programme ; la commande sort alors avec 1.

Ordre de lecture : `check`, `shrink`, `main`.
"""

import argparse
import random
import sys
import time
from collections import Counter

import numpy as np

from engine import foldl, foldr, function, map, reduce, scan, shared
from engine import tensor as T
from engine.control import ifelse, until
from engine.errors import EngineError
from engine.modes import Mode
from engine.tensor.shared_randomstreams import RandomStreams
from tests.random_programs.loop_oracle import NoSuchRow, directional, unroll
from tests.random_programs.loop_programs import Choices, axes_of, draw_loop, source

MODES = {
    "FAST_RUN": "FAST_RUN",
    "FAST_COMPILE": "FAST_COMPILE",
    "NumPy sans réécriture": Mode("numpy", None),
    "NumPy réécrit": Mode("numpy"),
    "DebugMode": "DebugMode",
}
SLACK = {"float64": 1e-8, "float32": 2e-4}
UNSTABLE = 1e6  # au-delà, une boucle amplifie les arrondis : on ne la juge pas


def softmax(x):
    """Le softmax, le long du dernier axe ; d’un vecteur, un vecteur."""
    return T.nnet.softmax(x)[0] if x.ndim == 1 else T.nnet.softmax(x)


NAMES = {
    "np": np, "T": T, "scan": scan, "map": map, "reduce": reduce, "foldl": foldl, "foldr": foldr,
    "shared": shared, "until": until, "ifelse": ifelse, "RandomStreams": RandomStreams,
    "softmax": softmax,
}  # fmt: skip


class Wrong(AssertionError):
    """Un programme qui ne donne pas ce que NumPy donne ; `kind` dit de quelle façon."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


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


def drawn(loop, lengths, count):
    """Les `count` premières valeurs de chaque tirage, un appel après l’autre, sans boucle."""
    if not loop.draws:
        return []
    streams = RandomStreams(7)
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
        return all(np.abs(x).max(initial=0) < UNSTABLE for row in rows for x in map_arrays(row))

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


def check(loop, modes, counts=None):
    """Compile le programme dans chaque mode, l’appelle deux fois, compare à NumPy.

    Lève
        Wrong : un mode ne donne pas ce qu’il faut.
    """
    counts = Counter() if counts is None else counts
    n_draws = 2 * max(loop.lengths["steps"]) + 12
    draws = drawn(loop, lengths_of(loop, 0), n_draws)
    first = Call(loop, 0, None, draws, values_of(loop, 0)["counter"])
    done = first.results.steps if first.results is not None else 0
    counter = first.results.counter if first.results is not None else first.values["counter"]
    second = Call(loop, 1, first, [row[done:] for row in draws], counter)
    if not (first.is_stable() and second.is_stable()):
        counts["instables, non jugés"] += 1
        return
    text = source(loop, first.values)
    try:
        program = build(text)
    except Wrong as wrong:
        if first.results is None and isinstance(wrong.__cause__, EngineError):
            return  # dit dès la construction
        raise
    for mode in modes:
        counts[f"essais en {mode}"] += 1
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
            self.counts["valeurs comparées"] += 1

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
                self.counts["gradients à un coude, non jugés"] += 1
                continue
            factor = 2 if variable.name in self._computed() else 1
            obtained = float((np.asarray(gradient, "float64") * direction).sum()) / factor
            size = float(np.abs(gradient).sum()) + abs(expected) + 1
            slack = 3e-6 if self.loop.dtype == "float64" else 2e-3
            if not abs(obtained - expected) <= slack * size:
                self._wrong("gradient", f"{where} : {obtained} au lieu de {expected} ({gradient})")
            self.counts["gradients comparés"] += 1

    def _computed(self):
        found = {item.name for item in self.loop.states if item.start == "computed"}
        return found | {item.name for item in self.loop.fixed if item.origin == "computed"}

    def _wrong(self, kind, message):
        raise Wrong(f"{self.mode} : {kind}", message)


# ---- réduire -----------------------------------------------------------------------------


def outcome(taken, modes):
    """(la faute ou None, la boucle) de ces choix."""
    choices = iter(taken)
    source_ = Choices(lambda count: min(next(choices, 0), count - 1))
    loop = draw_loop(source_)
    try:
        check(loop, modes)
    except Wrong as wrong:
        return wrong, loop, source_.taken
    return None, loop, source_.taken


def shrink(taken, modes, kind, patience=60.0):
    """De plus petits choix, qui donnent la même sorte de faute."""
    best, start = list(taken), time.monotonic()

    def tries():
        for size in (16, 8, 4, 2, 1):
            for place in range(0, len(best), size):
                yield best[:place] + best[place + size :]
        for size in (8, 4, 2, 1):
            for place in range(0, len(best), size):
                yield best[:place] + [0] * len(best[place : place + size]) + best[place + size :]
        for place, choice in enumerate(best):
            if choice > 1:
                yield [*best[:place], choice - 1, *best[place + 1 :]]

    improved = True
    while improved:
        improved = False
        for attempt in tries():
            if time.monotonic() - start > patience:
                return best
            wrong, _, read = outcome(attempt, modes)
            if wrong is not None and wrong.kind == kind and (len(read), read) < (len(best), best):
                best, improved = read, True
                break
    return best


def random_choices(seed):
    """Les choix d’une graine."""
    rng = random.Random(seed)
    return Choices(rng.randrange)


def modes_for(rank):
    """Les modes du n-ième programme : celui par défaut toujours, les autres à tour de rôle."""
    modes = ["FAST_RUN", ("FAST_COMPILE", "NumPy sans réécriture")[rank % 2]]
    return modes + ["DebugMode"] * (rank % 10 == 0) + ["NumPy réécrit"] * (rank % 3 == 0)


def main(arguments=None):
    """La campagne ; rend 1 s’il y a eu une faute."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--modes", nargs="*", choices=list(MODES))
    parser.add_argument("--show", action="store_true", help="imprimer chaque programme")
    parser.add_argument(
        "--patience", type=float, default=60, help="secondes pour réduire une faute"
    )
    options = parser.parse_args(arguments)
    counts, wrongs, start = Counter(), Counter(), time.monotonic()
    for rank in range(options.count):
        seed = options.seed * 1_000_000 + rank
        modes = options.modes or modes_for(rank)
        choices = random_choices(seed)
        loop = draw_loop(choices)
        if options.show:
            print(source(loop, Call(loop, 0, None, drawn(loop, lengths_of(loop, 0), 99), 0).values))
        try:
            check(loop, modes, counts)
        except Wrong as wrong:
            wrongs[wrong.kind] += 1
            if wrongs[wrong.kind] <= 2:
                report(seed, choices.taken, modes, wrong, options.patience)
        if sys.stderr.isatty() or rank % 100 == 99:
            took = time.monotonic() - start
            print(
                f"{rank + 1} boucles, {sum(wrongs.values())} faute(s), {took:.0f} s",
                file=sys.stderr,
            )
    for name, count in sorted(counts.items()):
        print(f"{count:8} {name}")
    for kind, count in sorted(wrongs.items()):
        print(f"{count:8} FAUTE, {kind}")
    print(f"{options.count} boucles, graine {options.seed} : {sum(wrongs.values())} faute(s)")
    return bool(wrongs)


def report(seed, taken, modes, wrong, patience):
    """Imprime une faute, réduite."""
    mode = wrong.kind.split(" : ")[0]
    small = shrink(taken, [mode] if mode in MODES else modes[:1], wrong.kind, patience)
    again, loop, _ = outcome(small, [mode] if mode in MODES else modes[:1])
    print(f"\n==== FAUTE, graine {seed}, {wrong.kind}")
    print(source(loop, Call(loop, 0, None, drawn(loop, lengths_of(loop, 0), 99), 0).values))
    print(f"longueurs : {loop.lengths} ; {again if again is not None else wrong}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
