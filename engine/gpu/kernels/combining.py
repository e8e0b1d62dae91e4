"""Ce qu’accumule une réduction : dans quel dtype, à partir de quoi, et comment deux parts font une.

Les sommes de float16 s’accumulent en float32 ; un extrême part de l’infini ou du plus petit entier,
pour qu’un fil qui n’a rien lu ne compte pas ; `all` et `any` sont un minimum et un maximum.

Ordre de lecture : `Rule`, `rule_for`.
"""

import ast
import math
import re
from typing import NamedTuple

import numpy as np

from engine.backends.scalar_text import literal
from engine.core.dtypes import HALVES
from engine.core.types import FLOATS
from engine.gpu.kernels.elements import loaded
from engine.ops.reduce import REDUCTIONS

_SMALL = ("bool", "int8", "uint8", "int16", "uint16")  # s’accumulent en int32


class Rule(NamedTuple):
    """Comment une réduction s’accumule : le dtype, le départ, la réunion de `{a}` et `{b}`.

    `truth` : d’un élément, seul compte qu’il soit nul ou non.
    """

    wide: str
    start: str
    join: str
    truth: bool = False

    def item(self, text, dtype):
        """Le texte d’un élément de ce dtype, prêt à s’accumuler."""
        value = loaded(text, dtype)
        if self.truth:
            return f"{self.wide}({value} != 0)"
        return value if dtype in (self.wide, *HALVES) else f"{self.wide}({value})"


def rule_for(reduction, x, out):
    """La règle d’une réduction, d’un tableau de dtype `x` vers un autre de dtype `out`."""
    if reduction.name in ("all", "any"):  # le minimum, ou le maximum, de zéros et de uns
        like = REDUCTIONS["min" if reduction.name == "all" else "max"]
        return Rule("int32", f"int32({int(reduction.name == 'all')})", _join(like), True)
    wide = out
    if out in HALVES:
        wide = "float32"
    elif reduction.start == "first":
        wide = "int32" if x in _SMALL else "int64" if x == "uint32" else x
    if reduction.start != "first":
        start = literal(ast.literal_eval(reduction.start), wide)
    elif wide in FLOATS:
        start = literal(-math.inf if reduction.name == "max" else math.inf, wide)
    else:
        bounds = np.iinfo(wide)
        start = f"{wide}({bounds.min if reduction.name == 'max' else bounds.max})"
    return Rule(wide, start, _join(reduction))


def _join(reduction):
    return re.sub(r"\ba\b", "{a}", re.sub(r"\bx\b", "{b}", reduction.code))
