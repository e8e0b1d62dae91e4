"""Les réductions sur le GPU : un bloc, un résultat.

Le fil t d’un bloc réduit les éléments t, t + BLOCK, … de son groupe, puis le bloc réunit ses
fils en arbre, dans la mémoire partagée. Les axes gardés et les axes réduits sont parcourus par
leurs pas : rien n’est copié, quels que soient les axes.

Ordre de lecture : `reduce_kernel`, `arg_reduce_kernel`.
"""

import ast
import re

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.machines import machine
from engine.backends.cuda.positions import place_lines
from engine.backends.cuda.registry import device_kernel
from engine.backends.scalar_text import convert, literal
from engine.errors import ShapeError
from engine.ops.reduce import ArgReduce, Reduce


@device_kernel(Reduce)
def reduce_kernel(node):
    (x,), (out,), axes = node.inputs, node.outputs, node.op.axes
    if "float16" in (x.dtype, out.dtype):
        return None
    reduction, wide = node.op.reduction, out.dtype
    first = reduction.start == "first"
    start = "first" if first else literal(ast.literal_eval(reduction.start), wide)
    code = re.sub(r"\ba\b", "{acc}", re.sub(r"\bx\b", "{item}", reduction.code))
    join = code if reduction.name not in ("all", "any") else code.replace(" != 0", "")
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    block = machine().reduction_block
    read = convert("x[p + q]", x.dtype, wide)
    take = convert(f"({code.format(acc='acc', item='item')})", None, wide)
    both = convert(f"({join.format(acc='acc', item='part[t + half]')})", None, wide)
    body = f"""def kernel(out, x, m, n{_places(kept, axes)}):
    part = cuda.shared.array({block}, np.{"bool_" if wide == "bool" else wide})
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x
    if i < m:
{place_lines("p", "i", kept, 8)}        q = 0
        first = {convert("x[p]", x.dtype, wide)}
        acc = {start}
        j = t
        while j < n:
{place_lines("q", "j", axes, 12)}            item = {read}
            acc = {take}
            j += {block}
        part[t] = acc
        cuda.syncthreads()
        half = {block // 2}
        while half > 0:
            if t < half:
                acc = part[t]
                part[t] = {both}
            cuda.syncthreads()
            half //= 2
        if t == 0:
            out[i] = part[0]
"""
    count = 2 * x.ndim
    signature = (f"{wide}*", f"{x.dtype}*", "uint32", "int64", *["int64"] * count)
    compiled = make_kernel("reduce", f"{node.op} : {x.dtype}", body, signature, block)
    empty_value = None if first else ast.literal_eval(reduction.start)

    def call(x):
        shape = [x.shape[axis] for axis in kept]
        n = int(np.prod([x.shape[axis] for axis in axes]))
        if n == 0 and empty_value is None:
            raise ShapeError(f"{reduction} d'un tableau vide", received=f"forme {x.shape}")
        result = empty(shape, out.dtype)
        if n == 0:
            machine().write(result, np.full(shape, empty_value, out.dtype))
            return result
        lengths = [
            v
            for group in (kept, axes)
            for row in (x.shape, x.strides)
            for v in (row[axis] for axis in group)
        ]
        compiled.launch(
            result.size, result, x, np.uint32(result.size), np.int64(n), *map(np.int64, lengths)
        )
        return result

    return call


@device_kernel(ArgReduce)
def arg_reduce_kernel(node):
    (x,), axis = node.inputs, node.op.axis
    if x.dtype in ("float16", "bool"):
        return None
    axes = list(range(x.ndim)) if axis is None else [axis]
    kept = [a for a in range(x.ndim) if a not in axes]
    sign = ">" if node.op.which == "max" else "<"
    body = f"""def kernel(out, x, m, n{_places(kept, axes)}):
    i = cuda.grid(1)
    if i < m:
{place_lines("p", "i", kept, 8)}        q = 0
        best = x[p]
        rank = int64(0)
        j = int64(1)
        while j < n:
{place_lines("q", "j", axes, 12)}            item = x[p + q]
            if best == best and (item {sign} best or item != item):
                best = item
                rank = j
            j += 1
        out[i] = rank
"""
    signature = ("int64*", f"{x.dtype}*", "uint32", "int64", *["int64"] * (2 * x.ndim))
    compiled = make_kernel("argreduce", f"{node.op} : {x.dtype}", body, signature)

    def call(x):
        shape = [x.shape[a] for a in kept]
        n = int(np.prod([x.shape[a] for a in axes]))
        if n == 0:
            raise ShapeError(f"arg{node.op.which} d'un tableau vide", received=f"forme {x.shape}")
        result = empty(shape, "int64")
        lengths = [
            v
            for group in (kept, axes)
            for row in (x.shape, x.strides)
            for v in (row[a] for a in group)
        ]
        compiled(
            result.size, result, x, np.uint32(result.size), np.int64(n), *map(np.int64, lengths)
        )
        return result

    return call


def _places(*groups):
    """Les paramètres qui disent où sont les éléments : longueurs puis pas, groupe par groupe."""
    return "".join(f", {kind}{axis}" for axes in groups for kind in "ds" for axis in axes)
