"""Une boucle terme à terme sur des tableaux du périphérique : un fil, un élément.

`Loop` tient le texte d’une fonction `each`, des éléments lus aux éléments écrits. Des tableaux qui
se suivent en mémoire se parcourent à plat, par le noyau de la leçon 10 ; les autres, par leurs
indices, une fois réunis les axes qui peuvent l’être. Une forme reçue une fois donne un `Launch` :
rien n’est recalculé à l’appel suivant.

Ordre de lecture : `Loop`, `Launch`.
"""

import math
from typing import NamedTuple

from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.lessons import map_text
from engine.gpu.kernels.positions import indented, merged, spread_strides, unravelled, word_for


class Launch(NamedTuple):
    """Un lancement prêt : ce qu’attend `make_kernel`, le nombre de fils, comment voir les tableaux.

    Le noyau se demande à chaque fois : celui d’une autre machine est un autre.
    """

    kernel: tuple
    threads: int
    views: tuple

    def __call__(self, *arrays):
        if self.threads:
            seen = [x.view(*view) for x, view in zip(arrays, self.views, strict=True)]
            make_kernel(*self.kernel)(self.threads, *seen)


class Loop(NamedTuple):
    """Une boucle terme à terme.

    Paramètres
        name, doc : la famille du noyau, et ce qu’il calcule.
        each : le texte d’une fonction `each` ; elle reçoit un élément de chaque tableau lu, tel
            qu’en mémoire (voir `elements`), et rend celui, ou le n-uplet, à ranger.
        outs, ins : les dtypes des tableaux écrits, puis lus.
    """

    name: str
    doc: str
    each: str
    outs: tuple
    ins: tuple

    def run_on(self, shape, outs, ins):
        """Parcourt ces tableaux, par le lancement qui leur convient."""
        given = [spread_strides(x.shape, x.strides, shape) for x in ins]
        self.launch_on(shape, [*(x.strides for x in outs), *given])(*outs, *ins)

    def launch_on(self, shape, strides):
        """Le lancement qui parcourt cette forme.

        Paramètres
            strides : les pas de chaque tableau, écrits d’abord ; 0 où il se diffuse.
        """
        if 0 in shape:
            return Launch((), 0, ())
        lengths, *rows = merged(shape, *strides)
        n = math.prod(lengths)
        flat = _flat_strides(lengths)
        places = ["0" if not any(row) else "i" if row == flat else None for row in rows]
        views = tuple(
            ((1,), (1,)) if place == "0" else ((n,), (1,)) if place else (lengths, row)
            for place, row in zip(places, rows, strict=True)
        )
        signature = tuple(
            f"{dtype}[::1]" if place else f"{dtype}[{', '.join([':'] * len(lengths))}]"
            for dtype, place in zip((*self.outs, *self.ins), places, strict=True)
        )
        if None in places:
            body = self._by_indices(places, len(lengths), word_for(lengths))
        else:
            body = map_text(self.doc, self.each, len(self.outs), places[len(self.outs) :])
        return Launch((self.name, self.doc, body, signature), n, views)

    def _by_indices(self, places, ndim, word):
        """Le texte : le fil i fait l’élément de rang i, dont il retrouve les indices."""
        count = len(self.outs)
        names = [f"out{k or ''}" for k in range(count)] + [f"x{k}" for k in range(len(self.ins))]
        indices = [f"i{axis}" for axis in range(ndim)]
        seen = names[places.index(None)]  # un tableau vu par ses indices : il a toute la forme
        counts = [f"{word}({seen}.shape[{axis}])" for axis in range(1, ndim)]
        texts = [
            f"{name}[{place or ', '.join(indices)}]"
            for name, place in zip(names, places, strict=True)
        ]
        lines = [
            f"def kernel({', '.join(names)}):",
            f"    i = {word}(cuda.grid(1))",
            f"    if i < {seen}.size:",
            *indented(unravelled("i", indices, counts, word), 2),
            f"        {', '.join(texts[:count])} = each({', '.join(texts[count:])})",
        ]
        return "\n".join(["@cuda.jit(device=True)", self.each, *lines]) + "\n"


def _flat_strides(lengths):
    steps = [1]
    for length in lengths[:0:-1]:
        steps.append(steps[-1] * length)
    return tuple(steps[::-1])
