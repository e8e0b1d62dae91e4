"""Sondes de l’exercice 09 : elles compilent, chez l’élève, ce que rendent ses fonctions.

Une expression symbolique ne se recopie pas d’un processus à l’autre ; ses valeurs, si. Chaque sonde
rend des nombres, ou None quand la réponse est encore vide.
"""

import numpy as np

import engine
import engine.tensor as T


def masked_loss_value(build, p, targets, mask):
    """La valeur de `build(p, cibles, masque)`."""
    inputs, cost = _masked(build)
    if cost is None:
        return None
    return engine.function(inputs, cost, on_unused_input="ignore")(*_data(p, targets, mask))


def masked_loss_gradient(build, p, targets, mask):
    """La dérivée de `build(p, cibles, masque)` par rapport à chaque probabilité."""
    inputs, cost = _masked(build)
    if cost is None:
        return None
    slope = engine.grad(cost, inputs[0])
    return engine.function(inputs, slope, on_unused_input="ignore")(*_data(p, targets, mask))


def tempered(build, p, temperature):
    """Ce que rend `build(p, temperature)` pour des probabilités float32 : valeurs et dtype."""
    given = np.array(p, dtype="float32")
    before = given.copy()
    with np.errstate(all="ignore"):  # log 0, que la réponse a le droit de rencontrer
        result = build(given, temperature)
    if result is None:
        return None
    result = np.asarray(result)
    return {"p": result, "dtype": str(result.dtype), "intact": bool((given == before).all())}


def drawn_matrices(build, n, seeds):
    """Les matrices `build(n, générateur)`, un générateur neuf par graine."""
    results = [build(n, np.random.default_rng(seed)) for seed in seeds]
    return None if any(result is None for result in results) else results


def clipped(build, gradients, bound):
    """Les valeurs des gradients que rend `build(gradients, borne)`."""
    given = [T.constant(_floats(gradient)) for gradient in gradients]
    results = build(list(given), bound)
    if results is None:
        return None
    return engine.function([], list(results))()


def cell_steps(build, U, rows, h, c):
    """Les états [h, c] après chaque tour de `build(projete, h, c, U)`, par scan."""
    projected, weights = T.tensor3("projete"), T.matrix("U")
    h0, c0 = T.matrix("h"), T.matrix("c")
    empty = build(projected[0], h0, c0, weights) is None
    if empty:
        return None
    (hs, cs), _ = engine.scan(build, projected, [h0, c0], weights)
    run = engine.function([projected, h0, c0, weights], [hs, cs], on_unused_input="ignore")
    return run(*map(_floats, (rows, h, c, U)))


def _masked(build):
    inputs = [T.tensor3("p"), T.lmatrix("cibles"), T.matrix("masque")]
    return inputs, build(*inputs)


def _data(p, targets, mask):
    return _floats(p), np.array(targets, dtype="int64"), _floats(mask)


def _floats(value):
    return np.array(value, dtype=engine.config.floatX)
