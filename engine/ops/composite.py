"""Une fonction scalaire faite de plusieurs : le corps d’une boucle fusionnée.

`Elemwise(Composite(...))` se dérive, s’imprime et se calcule comme une ligne de la table.
"""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from engine.core.dtypes import widened
from engine.core.elemwise import Elemwise, mismatch
from engine.core.graph import Apply
from engine.core.trace import inherit
from engine.core.types import TensorType, constant

MAX_FORMULA = 200  # caractères


class Step(NamedTuple):
    """Une instruction d’un `Composite` : une ligne de la table, ses arguments, ses dtypes.

    `args` : couples ("in", i), ("step", j) ou ("const", valeur). `computes` : le dtype dans lequel
    convertir chaque argument ; `dtype` : celui du résultat.
    """

    scalar: object
    args: tuple
    computes: tuple
    dtype: str


class Composite:
    """Une fonction scalaire faite de plusieurs : le corps d’une boucle fusionnée.

    Paramètres
        steps : les instructions, dans l’ordre.
        input_dtypes : dtype de chaque argument.
        traces : où chaque instruction a été écrite, pour que l’erreur désigne celle qui échoue.
        results : les rangs des instructions rendues ; par défaut, la dernière.
    """

    is_comparison = False
    is_composite = True

    def __init__(self, steps, input_dtypes, traces=(), results=()):
        self.steps = tuple(steps)
        self.traces = tuple(traces) or (None,) * len(self.steps)
        self.input_dtypes = tuple(input_dtypes)
        self.nin = len(self.input_dtypes)
        self.results = tuple(results) or (len(self.steps) - 1,)
        self._key = (self.steps, self.input_dtypes, self.results)

    def dtype(self, *dtypes):
        """Dtype du résultat."""
        return self.steps[-1].dtype

    def compute_dtypes(self, dtypes, output):
        """Les arguments sont pris tels quels ; chaque instruction convertit les siens."""
        return list(self.input_dtypes)

    def numpy(self, *inputs):
        """La même suite d’instructions, en NumPy ; un tableau, ou une liste s’il y a plusieurs
        résultats.
        """
        values, reached = [], []  # pour chaque instruction, les entrées dont elle dépend
        pick = {"in": inputs, "step": values}
        for step, trace in zip(self.steps, self.traces, strict=True):
            arrays = [
                np.asarray(item if kind == "const" else pick[kind][item]).astype(
                    widened(compute), copy=False
                )
                for (kind, item), compute in zip(step.args, step.computes, strict=True)
            ]
            try:
                result = np.asarray(step.scalar.numpy(*arrays))
            except ValueError as error:
                raise mismatch(step.scalar, arrays, trace and str(trace)) from error
            values.append(result.astype(step.dtype, copy=False))
            reached.append(
                set().union(
                    *({item} if kind == "in" else reached[item]
                      for kind, item in step.args if kind != "const")
                )
            )  # fmt: skip
        results = [
            np.broadcast_arrays(values[k], *(inputs[entry] for entry in reached[k]))[0]
            for k in self.results
        ]
        return results if len(results) > 1 else results[0]

    def graph(self):
        """Les instructions refaites en graphe de scalaires : (entrées, sorties), à dessiner."""
        inputs = [TensorType(dtype, shape=())(f"i{k}") for k, dtype in enumerate(self.input_dtypes)]
        results = []
        for step, trace in zip(self.steps, self.traces, strict=True):
            pick = {"in": inputs, "step": results}
            arguments = [
                constant(item, dtype=dtype) if kind == "const" else pick[kind][item]
                for (kind, item), dtype in zip(step.args, step.computes, strict=True)
            ]
            with inherit(trace) if trace else nullcontext():
                results += Apply(
                    Elemwise(step.scalar), arguments, [TensorType(step.dtype, shape=())()]
                ).outputs
        return inputs, [results[k] for k in self.results]

    def __eq__(self, other):
        return type(other) is Composite and self._key == other._key

    def __hash__(self):
        return hash(self._key)

    def formula(self, names):
        """La formule, écrite avec les noms donnés aux arguments."""
        texts = []
        for step in self.steps:
            args = [_text(kind, item, names, texts) for kind, item in step.args]
            symbol = step.scalar.symbol
            if symbol and len(args) == 2:
                texts.append(f"({args[0]} {symbol} {args[1]})")
            elif symbol:
                texts.append(f"{symbol}{args[0]}")
            else:
                texts.append(f"{step.scalar}({', '.join(args)})")
            if len(texts[-1]) > MAX_FORMULA:  # une instruction relue souvent la ferait exploser
                texts[-1] = texts[-1][:MAX_FORMULA] + "..."
        return " ; ".join(
            text.removeprefix("(").removesuffix(")") if text.startswith("(") else text
            for text in (texts[k] for k in self.results)
        )

    def __str__(self):
        return f"Composite{{{self.formula([f'i{k}' for k in range(self.nin)])}}}"

    __repr__ = __str__


def _text(kind, item, names, texts):
    if kind == "const":
        return f"{item:g}" if isinstance(item, float) else str(item)
    return names[item] if kind == "in" else texts[item]
