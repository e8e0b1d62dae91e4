"""Les boucles terme à terme sur le GPU, fusionnées ou non : un fil, un élément.

Le corps vient de la même table de fonctions scalaires que celui des boucles du processeur. Deux
textes par nœud : `flat`, quand tous les tableaux sont contigus et de la même forme (le fil i fait
l’élément i), et `strided`, qui retrouve dans chaque entrée l’élément du fil d’après ses pas (un pas
nul où l’entrée se diffuse).

Ordre de lecture : `elemwise_kernel`, `_body`.
"""

import functools

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.scalar_text import convert, results_of, scalar_lines, steps_of
from engine.ops.elemwise import Elemwise


@device_kernel(Elemwise)
def elemwise_kernel(node):
    steps, ndim = steps_of(node), node.outputs[0].ndim
    dtypes = [entry.dtype for entry in node.inputs]
    outs = [output.dtype for output in node.outputs]
    if "float16" in {*dtypes, *outs}:
        return None
    pointers = [f"{dtype}*" for dtype in [*outs, *dtypes]]
    single = [entry.ndim == 0 for entry in node.inputs]
    doc = str(node.op).replace('"', "'")
    flat = make_kernel("elemwise", doc, _body(node, steps, single, None), (*pointers, "uint32"))
    count = ndim * (1 + single.count(False))
    signature = (*pointers, "uint32", *["int64"] * count)

    def call(*inputs):
        shape = _shape_of(*[x.shape for x in inputs]) if ndim else ()
        results = [empty(shape, dtype) for dtype in outs]
        n = results[0].size
        if all(
            s or (x.shape == shape and x.is_contiguous) for x, s in zip(inputs, single, strict=True)
        ):
            flat(n, *results, *inputs, np.uint32(n))
        else:
            strided = make_kernel("elemwise", doc, _body(node, steps, single, ndim), signature)
            steps_in = [
                np.int64(s)
                for x, alone in zip(inputs, single, strict=True)
                if not alone
                for s in _spread_strides(x, shape)
            ]
            strided(n, *results, *inputs, np.uint32(n), *map(np.int64, shape), *steps_in)
        return results if len(results) > 1 else results[0]

    return call


def _body(node, steps, single, ndim):
    """Le texte du noyau ; `ndim` None : tout est contigu et de la même forme."""
    names = [f"x{rank}" for rank in range(len(node.inputs))]
    outs = [f"out{rank}" for rank in range(len(node.outputs))]
    parameters = [*outs, *names, "n"]
    lines, places = ["i = cuda.grid(1)", "if i < n:"], {name: "i" for name in names}
    if ndim is not None:
        moving = [name for name, alone in zip(names, single, strict=True) if not alone]
        parameters += [f"d{axis}" for axis in range(ndim)]
        parameters += [f"s{name}_{axis}" for name in moving for axis in range(ndim)]
        lines.append("    r = int64(i)")
        for axis in reversed(range(ndim)):
            lines += [f"    i{axis} = r % d{axis}", f"    r = r // d{axis}"]
        for name in moving:
            places[name] = " + ".join(f"i{axis} * s{name}_{axis}" for axis in range(ndim)) or "0"
    texts = [
        f"{name}[0]" if alone else f"{name}[{places[name]}]"
        for name, alone in zip(names, single, strict=True)
    ]
    texts = [  # sur le GPU, un booléen est un octet
        f"({text} != 0)" if entry.dtype == "bool" else text
        for text, entry in zip(texts, node.inputs, strict=True)
    ]
    body, values = scalar_lines(steps, texts, [entry.dtype for entry in node.inputs])
    for out, output, rank in zip(outs, node.outputs, results_of(node), strict=True):
        body.append(f"{out}[i] = {convert(values[rank], steps[rank].dtype, output.dtype)}")
    lines += [f"    {line}" for line in body]
    return f"def kernel({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)


# les mêmes formes reviennent à chaque appel : elles ne se confrontent qu’une fois
_shape_of = functools.lru_cache(4096)(np.broadcast_shapes)


def _spread_strides(x, shape):
    """Les pas de `x` le long de chaque axe du résultat : 0 où il se diffuse."""
    missing = len(shape) - x.ndim
    return [0] * missing + [
        0 if length == 1 else stride for length, stride in zip(x.shape, x.strides, strict=True)
    ]
