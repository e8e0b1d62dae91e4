"""Écrire un tableau dans une place d’un autre : posé, ou ajouté à ce qui s’y trouve.

Une place est une vue ; la valeur s’y diffuse. Un fil, un élément de la place.

Ordre de lecture : `write_into`, `spread`.
"""

import numpy as np

from engine.backends.cuda.compiling import make_kernel


def write_into(place, value, add=False):
    """Range `value`, qui se diffuse, dans la vue `place` ; `add` : l’ajoute."""
    if place.shape == value.shape and place.is_contiguous and value.is_contiguous:
        place, value = place.reshape((place.size,)), value.reshape((value.size,))
    value = spread(value, place.shape)
    kernel = _writer(place.ndim, str(place.dtype), str(value.dtype), add)
    numbers = map(np.int64, (*place.shape, *place.strides, *value.strides))
    kernel(place.size, place, value, np.uint32(place.size), *numbers)


def _writer(ndim, dtype, source, add):
    names = [f"{kind}{axis}" for kind in ("d", "p", "s") for axis in range(ndim)]
    lines = ["i = cuda.grid(1)", "if i < n:", "    r = int64(i)"]
    for axis in reversed(range(ndim)):
        lines += [f"    i{axis} = r % d{axis}", f"    r = r // d{axis}"]
    place, item = (
        " + ".join(f"i{axis} * {kind}{axis}" for axis in range(ndim)) or "0" for kind in "ps"
    )
    text = f"x[{item}]" if source == dtype else f"{dtype}(x[{item}])"
    lines.append(f"    out[{place}] {'+=' if add else '='} {text}")
    body = f"def kernel({', '.join(['out', 'x', 'n', *names])}):\n"
    body += "".join(f"    {line}\n" for line in lines)
    signature = (f"{dtype}*", f"{source}*", "uint32", *["int64"] * len(names))
    return make_kernel("write", f"écrire à une place, {ndim} axes", body, signature)


def spread(value, shape):
    """Une vue de `value` diffusée à cette forme : un pas nul où elle s’étire."""
    missing = len(shape) - value.ndim
    strides = [0] * missing + [
        0 if length == 1 else stride
        for length, stride in zip(value.shape, value.strides, strict=True)
    ]
    return value.view(shape, strides)
