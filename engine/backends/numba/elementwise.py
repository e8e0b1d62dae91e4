"""Les boucles terme à terme, fusionnées ou non.

Une fonction d’appel, écrite pour le nœud, vérifie les formes, prévoit la sortie et lance le noyau ;
une diffusion que les types n’annonçaient pas retombe sur NumPy. Un grand tableau se partage entre
les fils.
"""

import re

import numpy as np

from engine.backends.numba.compiling import (
    allocation,
    array_type,
    compile_kernel,
    contiguous,
    make_call,
    maybe_strided,
)
from engine.backends.numba.recycling import recycler
from engine.backends.numba.threads import run_sliced
from engine.backends.scalar_text import convert, follow, results_of, scalar_lines, steps_of
from engine.core.contract import perform_call
from engine.core.dtypes import HALVES
from engine.core.elemwise import Elemwise
from engine.core.registry import kernel
from engine.ops.composite import Composite

MAX_NDIM = 5
MIN_SHARED = 1 << 19  # éléments par fil, pour une boucle qui n’appelle pas de fonction
_CALLED, _CALLED32 = re.compile(r"(?:math\.|64\()"), re.compile(r"32\(")


@kernel(Elemwise, "numba")
def elemwise_kernel(node, reuse):
    out = node.outputs[0]
    steps = steps_of(node)
    used = {dtype for step in steps for dtype in (*step.computes, step.dtype)}
    if out.ndim > MAX_NDIM or used.intersection(HALVES):
        return None
    layout = [follow(entry.type, out.type) for entry in node.inputs]
    flat = all(all(axes) or not any(axes) for axes in layout) and out.ndim > 0
    body = _elemwise_body(node, steps, layout, flat)
    signature = (
        *(array_type(entry) for entry in _read(node, node.inputs)),
        *(array_type(output, readonly=False) for output in node.outputs),
    )
    compiled = compile_kernel("elemwise", _doc(node), body, signature, nogil=True)
    least = MIN_SHARED // _weight(steps)
    shared = _shared_call(node, layout, flat, compiled, least)
    return _elemwise_call(node, layout, compiled, reuse, shared, 2 * least)


def _weight(steps):
    """Ce que coûte un élément, à peu près : 1, plus les fonctions qu’il faut y calculer."""
    weight = 1
    for step in steps:
        if step.computes[-1] == "float32" and step.scalar.code32:
            weight += len(_CALLED32.findall(step.scalar.code32))
        else:  # la bibliothèque mathématique, un élément à la fois
            weight += 32 * len(_CALLED.findall(step.scalar.code))
    return weight


def _doc(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.formula([f"x{k}" for k in range(scalar.nin)])
    return f"{scalar}({', '.join(f'x{k}' for k in range(scalar.nin))})"


def _elemwise_body(node, steps, layout, flat):
    out, outs = node.outputs[0], _out_names(node)
    names = [f"x{k}" for k in range(len(node.inputs))]
    place = "()"
    if flat:
        loops, place = [f"for i in range({outs[0]}.size):"], "i"
    else:
        loops = [f"for i{axis} in range({outs[0]}.shape[{axis}]):" for axis in range(out.ndim)]
        place = ", ".join(f"i{axis}" for axis in range(out.ndim)) or place
    read = _read(node, names)
    head = f"def kernel({', '.join([*read, *outs])}):\n"
    setup, texts = [], []
    for name, entry, axes in zip(names, node.inputs, layout, strict=True):
        if name not in read:
            texts.append(f"{outs[0]}[{place}]")
        elif flat and all(axes):
            setup.append(f"{name} = {name}.reshape({name}.size)")
            texts.append(f"{name}[i]")
        elif not any(axes):
            setup.append(f"{name}_ = {name}[{', '.join(['0'] * entry.ndim) or '()'}]")
            texts.append(f"{name}_")
        else:
            missing = out.ndim - entry.ndim
            indices = (f"i{axis}" if axes[axis] else "0" for axis in range(missing, out.ndim))
            texts.append(f"{name}[{', '.join(indices)}]")
    if flat:
        setup += [f"{name} = {name}.reshape({name}.size)" for name in outs]
    lines, results = scalar_lines(steps, texts, [entry.dtype for entry in node.inputs])
    text = [f"    {line}" for line in setup]
    text += ["    " * (depth + 1) + loop for depth, loop in enumerate(loops)]
    margin = "    " * (len(loops) + 1)
    for name, output, k in zip(outs, node.outputs, results_of(node), strict=True):
        value = convert(results[k], steps[k].dtype, output.dtype)
        lines.append(f"{name}[{place}] = {value}")
    text += [margin + line for line in lines]
    return head + "\n".join(text) + "\n"


def _shared_call(node, layout, flat, compiled, least):
    """La fonction forme, entrées -> sorties, formes vérifiées, qui partage un grand tableau."""
    place, column = node.op.inplace, (-1, *[1] * (node.outputs[0].ndim - 1))
    moving = [bool(axes and axes[0]) for axes in _read(node, layout)] + [True] * len(node.outputs)
    takes = [recycler(output.type.numpy_dtype) for output in node.outputs]

    def call(shape, *inputs):
        if place is None:
            outs = [take(shape) for take in takes]
        elif inputs[place].shape == shape and inputs[place].flags.c_contiguous:
            outs = [inputs[place]]
        else:
            outs = [_spread(inputs[place], shape)]
        arrays = [*map(contiguous, _read(node, inputs)), *outs]
        if flat:  # une longue colonne : le premier axe se découpe bien
            arrays = [
                x.reshape(column) if cut else x for x, cut in zip(arrays, moving, strict=True)
            ]
        run_sliced(compiled, arrays, moving, least)
        return outs if len(outs) > 1 else outs[0]

    return call


def _elemwise_call(node, layout, compiled, reuse, shared, large):
    """La fonction d’appel : formes vérifiées, sortie prévue, noyau lancé ; `shared` dès `large`."""
    out, outs = node.outputs[0], _out_names(node)
    names = [f"x{k}" for k in range(len(node.inputs))]
    lengths, checks = [], []
    for axis in range(out.ndim):
        moving = [
            f"{name}.shape[{axis - (out.ndim - entry.ndim)}]"
            for name, entry, axes in zip(names, node.inputs, layout, strict=True)
            if axes[axis]
        ]
        lengths.append(moving[0] if moving else "1")
        checks += [f"{other} != {moving[0]}" for other in moving[1:]]
    whole = [name for name, axes in zip(names, layout, strict=True) if axes and all(axes)]
    if out.ndim and len(whole) == len(names):  # le cas courant : tous de la même forme
        shape, checks = "x0.shape", [f"{name}.shape != x0.shape" for name in names[1:]]
    else:
        shape = f"({', '.join(lengths)}{',' if out.ndim else ''})"
    lines = [f"def call({', '.join(names)}):"]
    lines += (
        [f"    if {' or '.join(checks)}:", f"        return slow({', '.join(names)})"]
        if checks
        else []
    )
    if out.ndim:
        size = f"{whole[0]}.size" if whole else " * ".join(lengths)
        lines += [
            f"    if {size} >= {large}:",
            f"        return shared({', '.join([shape, *names])})",
        ]
    if node.op.inplace is not None:
        place = names[node.op.inplace]
        usable = f"{place}.shape == {shape}"
        if maybe_strided(node.inputs[node.op.inplace]):
            usable += f" and {place}.flags.c_contiguous"
        lines += [f"    out = {place} if {usable} else spread({place}, {shape})"]
    else:
        for k, name in enumerate(outs):
            lines += allocation(shape, reuse, name, k)
    read = _read(node, names)
    for name, entry in zip(read, _read(node, node.inputs), strict=True):
        if maybe_strided(entry):
            lines.append(f"    {name} = contiguous({name})")
    returned = f"[{', '.join(outs)}]" if len(outs) > 1 else outs[0]
    lines += [f"    kernel({', '.join([*read, *outs])})", f"    return {returned}"]
    dtypes = [output.type.numpy_dtype for output in node.outputs]
    scope = {"kernel": compiled, "shared": shared, "slow": perform_call(node)}
    scope |= {"dtypes": dtypes, "spread": _spread}
    return make_call("\n".join(lines), scope)


def _read(node, entries):
    """Ce que le noyau reçoit des entrées ; celle que le résultat écrase, il la lit dans `out`.

    Deux tableaux au même endroit : le compilateur n’oserait plus traiter plusieurs éléments à la
    fois.
    """
    return [entry for k, entry in enumerate(entries) if k != node.op.inplace]


def _spread(x, shape):
    return np.array(np.broadcast_to(x, shape), order="C")


def _out_names(node):
    if len(node.outputs) == 1:
        return ["out"]
    return [f"out{k}" for k in range(len(node.outputs))]
