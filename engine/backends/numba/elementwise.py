"""Les boucles terme à terme, fusionnées ou non.

Une fonction d’appel, écrite pour le nœud, vérifie les formes, prévoit la sortie et lance le noyau ;
une diffusion que les types n’annonçaient pas retombe sur NumPy.
"""

from engine.backends.calls import perform_call
from engine.backends.numba.compiling import (
    allocation,
    array_type,
    compile_kernel,
    convert,
    make_call,
    maybe_strided,
    scalar_lines,
)
from engine.backends.registry import kernel
from engine.ops.elemwise import Composite, Elemwise, Step

MAX_NDIM = 5


@kernel(Elemwise, "numba")
def elemwise_kernel(node, reuse):
    (out,) = node.outputs
    variables = [*node.inputs, out]
    steps = _steps(node)
    used = {dtype for step in steps for dtype in (*step.computes, step.dtype)}
    if out.ndim > MAX_NDIM or "float16" in used | {v.dtype for v in variables}:
        return None
    layout = [_follow(entry.type, out.type) for entry in node.inputs]
    flat = all(all(axes) or not any(axes) for axes in layout) and out.ndim > 0
    body = _elemwise_body(node, steps, layout, flat)
    signature = (*(array_type(entry) for entry in node.inputs), array_type(out, readonly=False))
    compiled = compile_kernel("elemwise", _doc(node), body, signature)
    return _elemwise_call(node, layout, compiled, reuse)


def _doc(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.formula([f"x{rank}" for rank in range(scalar.nin)])
    return f"{scalar}({', '.join(f'x{rank}' for rank in range(scalar.nin))})"


def _follow(type_, out):
    """Pour chaque axe du résultat : l’entrée avance-t-elle avec lui (vrai) ou reste-t-elle en
    0 ?
    """
    missing = out.ndim - type_.ndim
    return [
        axis >= missing and (type_.shape[axis - missing] != 1 or out.shape[axis] == 1)
        for axis in range(out.ndim)
    ]


def _elemwise_body(node, steps, layout, flat):
    (out,) = node.outputs
    names = [f"x{rank}" for rank in range(len(node.inputs))]
    head = f"def kernel({', '.join([*names, 'out'])}):\n"
    setup, texts, loops = [], [], []
    for name, entry, axes in zip(names, node.inputs, layout, strict=True):
        if flat and all(axes):
            setup.append(f"{name} = {name}.reshape({name}.size)")
            texts.append(f"{name}[i]")
        elif not any(axes):
            setup.append(f"{name}_ = {name}[{', '.join(['0'] * entry.ndim) or '()'}]")
            texts.append(f"{name}_")
        else:
            missing = out.ndim - entry.ndim
            indices = (f"i{axis}" if axes[axis] else "0" for axis in range(missing, out.ndim))
            texts.append(f"{name}[{', '.join(indices)}]")
    if out.ndim == 0:
        target = "out[()]"
    elif flat:
        setup.append("out = out.reshape(out.size)")
        loops, target = ["for i in range(out.size):"], "out[i]"
    else:
        loops = [f"for i{axis} in range(out.shape[{axis}]):" for axis in range(out.ndim)]
        target = f"out[{', '.join(f'i{axis}' for axis in range(out.ndim))}]"
    lines, result = scalar_lines(steps, texts, [entry.dtype for entry in node.inputs])
    text = [f"    {line}" for line in setup]
    text += ["    " * (depth + 1) + loop for depth, loop in enumerate(loops)]
    margin = "    " * (len(loops) + 1)
    text += [
        margin + line
        for line in [*lines, f"{target} = {convert(result, steps[-1].dtype, out.dtype)}"]
    ]
    return head + "\n".join(text) + "\n"


def _elemwise_call(node, layout, compiled, reuse):
    """La fonction d’appel : formes vérifiées, sortie prévue, noyau lancé."""
    (out,) = node.outputs
    names = [f"x{rank}" for rank in range(len(node.inputs))]
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
    if node.op.inplace is not None:
        place = names[node.op.inplace]
        usable = f"{place}.shape == {shape}"
        if maybe_strided(node.inputs[node.op.inplace]):
            usable += f" and {place}.flags.c_contiguous"
        lines += [f"    out = {place} if {usable} else empty({shape}, dtype)"]
    else:
        lines += allocation(shape, reuse)
    for name, entry in zip(names, node.inputs, strict=True):
        if maybe_strided(entry):
            lines.append(f"    {name} = contiguous({name})")
    lines += [f"    kernel({', '.join([*names, 'out'])})", "    return out"]
    scope = {"kernel": compiled, "slow": perform_call(node), "dtype": out.type.numpy_dtype}
    return make_call("\n".join(lines), scope)


def _steps(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.steps
    dtypes = [entry.dtype for entry in node.inputs]
    args = tuple(("in", rank) for rank in range(scalar.nin))
    out = node.outputs[0].dtype
    return (Step(scalar, args, tuple(scalar.compute_dtypes(dtypes, out)), out),)
