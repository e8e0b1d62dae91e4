"""Chaque noyau contre NumPy en float64, sa sortie ayant d’abord été empoisonnée.

Un élément que le noyau oublie d’écrire se voit : toute zone est d’abord remplie de NaN. Chaque cas
est essayé à chaque niveau ; une op qui ne l’a pas emploie le suivant.

Ordre de lecture : `verify`, `check`, `gap`.
"""

import contextlib

import numpy as np

from engine.core.settings import config
from engine.core.types import TensorType
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.registry import NAMES
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs
from tests.device import products
from tests.device.requests import blind, by_columns, call_on_device, cases

CONVOLUTIONS = Convolution, ConvolutionGradFilters, ConvolutionGradInputs
TOLERANCE = {"float32": 3e-5, "float64": 1e-9}
ROUNDED = {"float32": 3e-3}  # dix bits de mantisse
_NAN = 0x7FC00000  # deux fois de suite, un NaN de float64 aussi


def verify(judged=True):
    """{titre: {justes, faux}} ; `faux` : des couples (cas, ce qui ne va pas).

    `judged` False : rien n’est juste sur le faux pilote ; seules comptent les exceptions.
    """
    with filled(machine(), _NAN if judged else 0):
        found = {}
        for tier, name in NAMES.items():
            with config.change_flags(gpu_tier=tier):
                found[f"ops, niveau {name}"] = _operations(judged, cases())
        with by_columns():
            folded = [case for case in cases() if isinstance(case[0], CONVOLUTIONS)]
            found["convolutions par colonnes"] = _operations(judged, folded)
        found["produits, chaque niveau"] = _products(TOLERANCE if judged else ROUNDED, judged)
        with config.change_flags(allow_tf32=True):
            found["produits, TF32 permis"] = _products(ROUNDED, judged)
    return {title: {**counts, "essai": not judged} for title, counts in found.items()}


def _products(tolerance, judged):
    tried, wrong = products.verify(gap, tolerance)
    wrong = wrong if judged else []
    return {"justes": tried - len(wrong), "faux": wrong}


def _operations(judged, tried):
    right, wrong = 0, []
    for op, values, kind in tried:
        try:
            error = check(op, values, kind)
        except Exception as problem:
            if not judged and isinstance(problem, tuple(blind(op))):
                continue
            wrong.append((f"{op} {kind}", f"{type(problem).__name__} : {problem}"[:400]))
            continue
        if error is None:
            continue  # elle se calcule sur l’hôte
        if error <= TOLERANCE[kind] or not judged:
            right += 1
        else:
            wrong.append((f"{op} {kind} {[v.shape for v in values]}", f"écart {error:.1e}"))
    return {"justes": right, "faux": wrong}


@contextlib.contextmanager
def filled(device, word):
    """Le temps d’un bloc, toute zone que rend `device` est d’abord remplie de ce mot."""
    allocate = device.allocate

    def filled_allocate(size, dtype):
        zone = allocate(size, dtype)
        device.fill(zone, word)
        return zone

    device.allocate = filled_allocate
    try:
        yield
    finally:
        del device.allocate


def check(op, values, kind, place=upload):
    """L’écart relatif avec NumPy en float64 ; None si l’op se calcule sur l’hôte."""
    results, node = call_on_device(op, values, place)
    if results is None:
        return None
    wide = [v.astype("float64") if v.dtype.kind == "f" else v for v in values]
    exact = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in wide])
    storage = [[None] for _ in exact.outputs]
    with np.errstate(all="ignore"):
        op.perform(exact, [v.copy() for v in wide], storage)
        worst = 0.0
        for result, out, (reference,) in zip(results, node.outputs, storage, strict=True):
            found = result.to_host()
            if found.shape != reference.shape or found.dtype != out.dtype:
                return float("inf")
            limit = np.finfo(kind).max if found.dtype.kind == "f" else np.inf
            expected = np.asarray(reference, "float64")
            expected = np.where(np.abs(expected) > limit, np.sign(expected) * np.inf, expected)
            worst = max(worst, gap(found.astype("float64"), expected))
    return worst


def gap(found, expected):
    """Le plus grand écart, relatif au-delà de 1 ; infini si NaN et infinis ne tombent pas
    ensemble.
    """
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return float("inf")
    with np.errstate(all="ignore"):
        away = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    return float(np.max(np.where(same, 0, away), initial=0.0))
