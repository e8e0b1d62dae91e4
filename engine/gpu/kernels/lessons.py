"""Les noyaux de la leçon 10, tels quels, au service du moteur : son niveau lisible.

Un noyau de `readable/` se lit comme il s’écrit : `c[i, j]`, `a.shape`, des constantes de son
module. `lesson_kernel` en prend le texte, avec ces constantes, et le donne à la machine : le
simulateur lui passe des tableaux NumPy, un GPU des tableaux de Numba.

Ordre de lecture : `lesson_kernel`, `LessonKernel`, `lesson_text`.
"""

import inspect
import textwrap
from functools import cache

import numpy as np

from engine.gpu.kernels.compiling import Kernel, kernel_text
from engine.gpu.kernels.geometry import as_tuple, geometry, threads_in
from engine.gpu.kernels.readable.maps import relu


@cache
def lesson_kernel(kernel, signature, block, **constants):
    """Un noyau de `readable/`, prêt à lancer, compilé une fois par processus.

    Paramètres
        kernel : le noyau, décoré par `@cuda.jit`.
        signature : un mot par paramètre : « float32[:,:] » pour un tableau à deux axes, « int64 »
            pour un nombre. Si le premier est un tableau de float64, le noyau calcule en float64.
        block : les fils d’un bloc, selon les axes de `geometry` : (lignes, colonnes).
        constants : ce qui remplace des constantes de son module, `TILE=16`.

    Exemple
        >>> from engine.gpu.kernels.arrays import empty, upload
        >>> from engine.gpu.kernels.readable.maps import relu
        >>> rectify = lesson_kernel(relu, ("float32[:]", "float32[:]"), 4)
        >>> out = empty((3,), "float32")
        >>> rectify((3,), out, upload(np.array([-1, 0, 2], "float32")))
        >>> out.to_host()
        array([0., 0., 2.], dtype=float32)
    """
    text = lesson_text(kernel, signature[0].partition("[")[0], constants)
    block = as_tuple(block)
    name = f"lesson_{kernel.py_func.__name__}"
    return LessonKernel(name, text, signature, block)


class LessonKernel(Kernel):
    """Un noyau de la leçon ; `text` se lit, `axes` compte les fils d’un bloc par axe."""

    def __init__(self, name, text, signature, axes):
        super().__init__(name, text, signature, threads_in(axes))
        self.axes = axes

    def __call__(self, shape, *arguments):
        """Lance de quoi couvrir `shape`, selon ses axes ; une forme vide ne lance rien."""
        if 0 not in as_tuple(shape):
            self.launch(*geometry(shape, self.axes), *arguments)

    def launch(self, grid, block, *arguments):
        """Lance `grid` blocs de `block` fils, dans l’ordre de CUDA : x d’abord."""
        self.launch_by(grid, block, arguments)


def lesson_text(kernel, dtype, constants):
    """Le texte complet : les constantes du module, puis le noyau tel que la leçon le montre.

    Exemple
        >>> from engine.gpu.kernels.readable.maps import relu
        >>> text = lesson_text(relu, "float32", {})
        >>> 'ZERO = np.float32("0.0")' in text, text.splitlines()[-1]
        (True, 'kernel = relu')
    """
    function = kernel.py_func
    space = {**function.__globals__, **constants}
    rows = [
        f"{name} = {_constant(space[name])}\n"
        for name in function.__code__.co_names
        if isinstance(space.get(name), int | float | np.generic)
    ]
    body = f"{''.join(rows)}\n\n{_source(kernel)}\n\nkernel = {function.__name__}\n"
    if dtype == "float64":
        body = body.replace("np.float32", "np.float64")
    return kernel_text(f"leçon 10 : {function.__name__}, {dtype}", body)


def map_text(doc, each, outs, ins):
    """Le noyau `relu` de `readable/maps.py`, où une autre ligne fait l’élément i.

    Paramètres
        doc, each : ce qu’il calcule, et le texte de la fonction `each` qui le calcule.
        outs : le nombre de tableaux écrits.
        ins : pour chaque tableau lu, l’indice de ce qu’il donne au fil i : « i », ou « 0 ».

    Exemple
        >>> text = map_text("x + b", "def each(x, y):\\n    return x + y\\n", 1, ["i", "0"])
        >>> print(text.splitlines()[-1].strip())
        out[i] = each(x0[i], x1[0])
    """
    written = [f"out{k or ''}" for k in range(outs)]
    read = [f"x{k}" for k in range(len(ins))]
    results = ", ".join(f"{name}[i]" for name in written)
    values = ", ".join(f"{name}[{place}]" for name, place in zip(read, ins, strict=True))
    text = _source(relu)
    for taught, wanted in {
        "relu(out, x)": f"kernel({', '.join([*written, *read])})",
        "out[i] = max(x[i], 0).": f"{doc}.",
        "out[i] = max(x[i], ZERO)": f"{results} = each({values})",
    }.items():
        head, found, tail = text.partition(taught)
        assert found, f"{taught} n’est plus dans le noyau de la leçon"
        text = head + wanted + tail
    return f"@cuda.jit(device=True)\n{each}\n\n{text}"


def _source(kernel):
    """Le texte d’un noyau de la leçon, sans son décorateur."""
    source = textwrap.dedent(inspect.getsource(kernel.py_func))
    return source[source.index("def ") :]


def _constant(value):
    """Ce nombre, en Python, sans rien perdre."""
    return f'np.{value.dtype}("{value}")' if isinstance(value, np.generic) else repr(value)
