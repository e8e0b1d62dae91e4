"""Parcourir les 2³² float32 d’une règle d’une variable, par les noyaux que l’on emploie vraiment.

Pour chaque nombre du domaine : la forme naïve et la forme réécrite, en float32, contre la forme
réécrite en float64, elle-même tenue par `check`. L’écart se compte en unités du dernier chiffre du
float32 exact ; un nombre là où l’exact est infini ou NaN, ou l’inverse, est un écart infini.
"""

import inspect
import math
from dataclasses import dataclass

import numpy as np
from numba import njit

import engine.tensor as T
from engine import Mode, function
from engine.core.elemwise import Elemwise
from engine.core.graph import toposort
from engine.core.types import TensorType
from engine.rewriting import REWRITES
from tests.certificates.check import rewritten

CHUNK = 2**21
KERNELS = Mode("numba", None).including("fusion_des_boucles")


@dataclass(frozen=True)
class Row:
    """Une ligne du tableau : ce qui a été parcouru, le pire écart avant et après, et où."""

    name: str
    tried: int
    inside: int
    before: float
    before_at: float
    after: float
    after_at: float
    domain: str

    def __str__(self):
        return (
            f"{self.name:26} {self.tried:>11} {self.inside:>11} {_number(self.before):>10} "
            f"{self.before_at:>14.7g} {_number(self.after):>10} {self.after_at:>14.7g}  "
            f"{self.domain}"
        )


def _number(gap):
    return "infini" if math.isinf(gap) else f"{gap:.3g}"


def header():
    """Les titres du tableau."""
    return (
        f"{'règle':26} {'essayés':>11} {'domaine':>11} {'avant':>10} {'en':>14} {'après':>10} "
        f"{'en':>14}  où elle est exacte"
    )


def _pair(name, dtype):
    """Les deux fonctions d’une règle, sans elle et avec elle ; None si elle ne s’y prête pas."""
    rule = REWRITES[name]
    if rule.domain.dtypes != "flottants" and rule.stage == "canonicalize":
        return None  # des éléments neutres, des formes : rien à parcourir
    for sample in rule.samples:
        if len(inspect.signature(sample).parameters) != 1:
            continue
        x = TensorType(dtype, shape=(None,))("x")
        try:
            output = T.as_tensor_variable(sample(x))
        except Exception:  # un exemple de matrices
            continue
        nodes = toposort([output])
        if output.dtype != dtype or output.ndim != 1 or not nodes:
            continue
        if not all(isinstance(node.op, Elemwise) or not node.inputs[0].ndim for node in nodes):
            continue
        found = rewritten(rule, [x], output)
        if found is not None:
            return function([x], output, mode=KERNELS), function(*found, mode=KERNELS)
    return None


def walkable():
    """Les règles que l’on peut parcourir : une variable, terme à terme, des flottants."""
    return [name for name in REWRITES if _pair(name, "float32") is not None]


@njit(nogil=True)
def _worst(before, after, exact, inside, x, found):
    """Met à jour found = [pire avant, où, pire après, où, combien dans le domaine]."""
    largest = 3.4028235677973366e38  # au-delà, l’arrondi est infini
    for i in range(len(exact)):
        if not inside[i]:
            continue
        found[4] += 1
        t = exact[i]
        unit = 2.0**-149
        if abs(t) >= 2.0**-126 and abs(t) < largest:
            unit = math.ldexp(1.0, math.frexp(t)[1] - 24)
        for which in range(2):
            r = np.float64(before[i]) if which == 0 else np.float64(after[i])
            if t != t or r != r:
                gap = 0.0 if t != t and r != r else np.inf
            elif abs(t) >= largest or abs(r) == np.inf:
                gap = (
                    0.0
                    if abs(r) == np.inf and abs(t) >= largest * 0.99999 and r * t > 0
                    else np.inf
                )
            elif abs(t) < 2.0**-126 and abs(r) < 2.0**-125:
                gap = 0.0  # un dénormal peut s’arrondir à 0
            else:
                gap = abs(r - t) / unit
            if gap > found[2 * which]:
                found[2 * which] = gap
                found[2 * which + 1] = x[i]


def walk(name, step=1, tell=lambda done: None):
    """Parcourt un float32 sur `step` ; rend une `Row`.

    Paramètres
        tell : appelé à chaque tranche avec la part faite.
    """
    before, after = _pair(name, "float32")
    exact = _pair(name, "float64")[1]
    domain = REWRITES[name].domain
    found = np.array([0.0, np.nan, 0.0, np.nan, 0.0])
    total = -(-(2**32) // step)
    for start in range(0, total, CHUNK):
        bits = np.arange(start, min(start + CHUNK, total), dtype=np.uint64) * np.uint64(step)
        x = bits.astype(np.uint32).view(np.float32)
        inside = np.ones(x.shape, bool)
        with np.errstate(all="ignore"):
            wide = x.astype("float64")
            if domain.exact:
                inside = eval(
                    domain.exact, {**vars(np)}, {"x": wide, "y": 1.0}
                )  # le texte de la règle
            _worst(before(x), after(x), exact(wide), inside, x, found)
        tell(min(start + CHUNK, total) / total)
    text = domain.exact or "partout"
    text += f" ({domain.changes})" if domain.changes else ""
    return Row(name, total, int(found[4]), *found[:4], text)
