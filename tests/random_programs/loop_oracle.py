"""La même boucle, faite par NumPy : ce que le moteur doit trouver.

Les nombres réels sont calculés en float64 quel que soit leur dtype ; les entiers, dans le leur.
Rien ici n’emploie le moteur : ni `scan`, ni ses gradients, remplacés par des différences finies.

Ordre de lecture : `unroll`, `Results`, `directional`.
"""

from dataclasses import dataclass

import numpy as np

from tests.random_programs.loop_programs import OPS, axes_of


class NoSuchRow(Exception):
    """Le programme lit une ligne qui n’existe pas : le moteur doit le dire."""


@dataclass
class Results:
    """Les sorties, telles que lues ; l’histoire de chaque état ; la partagée ; les pas faits."""

    used: list
    outputs: list
    histories: list
    counter: object
    steps: int


def evaluate(loop, term, known, lengths, dtype):
    """La valeur d’un terme."""
    name, *rest = term
    if name == "read":
        return known[rest[0]]
    if name == "number":
        return np.asarray(rest[0], dtype)
    if name == "full":
        return np.full([lengths[axis] for axis in axes_of(loop, "row")], rest[0], dtype)
    if name == "nested":
        matrix, start, body, back, use = rest
        rows, a = (
            evaluate(loop, matrix, known, lengths, dtype),
            evaluate(loop, start, known, lengths, dtype),
        )
        values = []
        for u in rows[::-1] if back else rows:
            a = evaluate(loop, body, known | {"u": u, "a": a}, lengths, dtype)
            values.append(a)
        return values[-1] if use == "[-1]" else np.sum(values, axis=0, dtype=np.asarray(a).dtype)
    arguments = [evaluate(loop, item, known, lengths, dtype) for item in rest]
    return np.asarray(OPS[name][2](*arguments))


def windows(loop, values):
    """Les lignes que chaque retard de chaque suite donnera, dans l’ordre des pas."""
    found = {}
    for item in loop.sequences:
        x = values[item.name]
        low, high = min(*item.taps, 0), max(*item.taps, 0)
        for tap, name in zip(item.taps, item.rows(), strict=True):
            rows = x[tap - low : len(x) + tap - high] if len(x) >= high - low else x[:0]
            found[name] = rows[::-1] if loop.backwards or loop.form == "foldr" else rows
    return found


def unroll(loop, values, lengths, draws, base=None):
    """Fait la boucle.

    Paramètres
        values : nom -> tableau.
        draws : pour chaque tirage, ses valeurs, une par pas.
        base : les `Results` d’une autre boucle dont on reprend le début : seuls les derniers pas,
            ceux que le gradient remonte, sont refaits.

    Lève
        NoSuchRow : trop de pas pour une suite, ou une ligne demandée qui n’existe pas.
    """
    dtype = "float64" if loop.is_real else loop.dtype
    rows = windows(loop, values)
    steps = min((len(x) for x in rows.values()), default=None)
    if loop.n_steps:
        asked = int(values["k"])
        if asked < 0 or (steps is not None and asked > steps):
            raise NoSuchRow
        steps = asked
    fixed = {item.name: values[item.name] for item in loop.fixed}
    starts = [np.asarray(values[state.name], dtype) for state in loop.states]
    histories = [
        [start] if state.taps == (-1,) else list(start[: -min(state.taps)])
        for state, start in zip(loop.states, starts, strict=True)
    ]
    depths = [len(history) for history in histories]
    collected = [[] for _ in loop.collected]
    counter, first = np.asarray(values.get("counter", 0), dtype), 0
    if base is not None and loop.truncate > 0:
        first = max(0, base.steps - loop.truncate)
        if first:
            histories = [
                h[: depth + first] for h, depth in zip(base.histories, depths, strict=True)
            ]
            outputs = iter(range(len(loop.order)))
            for (sort, rank), place in zip(loop.order, outputs, strict=False):
                if sort == "value":
                    collected[rank] = list(base.outputs[place][:first])
    t = first
    while t < steps:
        known = fixed | {name: x[t] for name, x in rows.items()} | {"counter": counter}
        known |= {f"d{rank}": values[t] for rank, values in enumerate(draws)}
        for state, history in zip(loop.states, histories, strict=True):
            known.update(
                (name, history[len(history) + tap])
                for name, tap in zip(state.rows(), state.taps, strict=True)
            )

        def value(term, known=known):
            return evaluate(loop, term, known, lengths, dtype)

        new = [value(state.new) for state in loop.states]
        for place, (_, term) in enumerate(loop.collected):
            collected[place].append(value(term))
        if loop.counter:
            counter = value(loop.counter)
        done = loop.until is not None and bool(value(loop.until[0]) > value(loop.until[1]))
        for history, item in zip(histories, new, strict=True):
            history.append(item)
        t += 1
        if done:
            break
    outputs = []
    for sort, rank in loop.order:
        if sort == "state":
            shape = histories[rank][0].shape
            rows_made = histories[rank][depths[rank] :]
        else:
            shape = tuple(lengths[axis] for axis in axes_of(loop, loop.collected[rank][0]))
            rows_made = collected[rank]
        outputs.append(np.array(rows_made, dtype).reshape(len(rows_made), *shape))
    if loop.form in ("reduce", "foldl", "foldr"):
        outputs = [_read("{}[-1]", output) for output in outputs]
    used = [_read(use, outputs[rank]) for rank, use in loop.uses]
    return Results(used, outputs, histories, counter, t)


def _read(use, output):
    try:
        return eval(use.format("output"), {"output": output})
    except IndexError:
        raise NoSuchRow from None


def cost(loop, results):
    """Le coût que le programme dérive."""
    total = 0.0
    for rank, used in enumerate(results.used):
        total += eval(loop.cost.format("used", k=rank + 1), {"used": used, "T": np})
    return total


def directional(loop, values, lengths, draws, name, direction, base):
    """La dérivée du coût dans une direction d’une entrée, par différences finies ; None là où les
    pentes ne s’accordent pas (un coude, un saut).
    """
    found = []
    for size in (1e-6, -1e-6, 2e-6, -2e-6):
        moved = values | {name: values[name] + size * direction}
        results = unroll(loop, moved, lengths, draws, base)
        if results.steps != base.steps:
            return None
        found.append(cost(loop, results))
    centre = cost(loop, base)
    right, left = (found[0] - centre) / 1e-6, (centre - found[1]) / 1e-6
    scale = 1 + abs(right) + abs(left)
    near, far = (found[0] - found[1]) / 2e-6, (found[2] - found[3]) / 4e-6
    if abs(right - left) > 1e-3 * scale or abs(near - far) > 1e-3 * scale:
        return None
    return (8 * (found[0] - found[1]) - (found[2] - found[3])) / 12e-6
