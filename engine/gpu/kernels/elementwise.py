"""Les opérations terme à terme sur le GPU, fusionnées ou non ; quel fil fait quoi : voir `loops`.

Le corps vient de la même table de fonctions scalaires que celui des boucles du processeur ; ici
s’ajoutent la forme commune des entrées, et la mémoire où vont les résultats.

Ordre de lecture : `elemwise_kernel`, `each_text`.
"""

import functools
import math

import numpy as np

from engine.backends.scalar_text import convert, results_of, scalar_lines, steps_of
from engine.core.dtypes import HALVES, widened
from engine.core.elemwise import Elemwise
from engine.core.scalars import cast_scalar
from engine.gpu.kernels.arrays import DeviceArray, contiguous_strides
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.loops import Loop
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import spread_strides
from engine.gpu.kernels.registry import choose, device_kernel

_KEPT = 256  # combinaisons de formes dont un nœud retient le lancement


@device_kernel(Elemwise)
def elemwise_kernel(node):
    names = tuple(output.dtype for output in node.outputs)
    doc = str(node.op).replace('"', "'")
    loop = Loop("elemwise", doc, each_text(node), names, tuple(x.dtype for x in node.inputs))
    dtypes = [np.dtype(name) for name in names]

    @functools.lru_cache(_KEPT)
    def prepared(layouts):
        """La forme du résultat, ses pas, sa taille et son lancement, pour ces entrées."""
        shape = _common_shape(node, [given for given, _ in layouts])
        strides = [spread_strides(given, steps, shape) for given, steps in layouts]
        steps = contiguous_strides(shape)
        launch = loop.launch_on(shape, [*[steps] * len(dtypes), *strides])
        return shape, steps, math.prod(shape), launch

    def call(*inputs):
        shape, steps, size, launch = prepared(tuple([(x.shape, x.strides) for x in inputs]))
        device = machine()
        results = [
            DeviceArray(device.allocate(size, dtype), shape, dtype, steps, 0, device.rank)
            for dtype in dtypes
        ]
        device.loop(loop, shape, results, inputs, launch)
        return results if len(results) > 1 else results[0]

    return choose(call)


def each_text(node):
    """Le texte de `each`, des éléments lus à ceux que l’on range.

    Un demi-flottant s’y calcule en float32 ; seule une conversion l’arrondit en chemin.
    """
    names = [f"x{k}" for k in range(len(node.inputs))]
    dtypes = [entry.dtype for entry in node.inputs]
    texts = [loaded(name, dtype) for name, dtype in zip(names, dtypes, strict=True)]
    asked = steps_of(node)
    steps = [
        step._replace(computes=tuple(map(widened, step.computes)), dtype=widened(step.dtype))
        for step in asked
    ]
    lines, values = scalar_lines(steps, texts, list(map(widened, dtypes)))
    for k, step in enumerate(asked):
        if step.dtype in HALVES and step.scalar is cast_scalar(step.dtype):
            rounded = loaded(stored(values[k], step.dtype), step.dtype)
            lines[k] += f"\n    {values[k]} = {rounded}"
    results = []
    for output, k in zip(node.outputs, results_of(node), strict=True):
        value = convert(values[k], steps[k].dtype, widened(output.dtype))
        results.append(stored(value, output.dtype))
    lines.append(f"return {', '.join(results)}")
    body = "".join(f"    {line}\n" for line in lines)
    return f"def each({', '.join(names)}):\n{body}"


def _common_shape(node, shapes):
    """La forme du résultat ; des formes qui ne s’accordent pas lèvent l’erreur de l’hôte."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        stretched = [np.broadcast_to(np.zeros((), "float32"), shape) for shape in shapes]
        node.op.perform(node, stretched, [[None] for _ in node.outputs])
        raise
