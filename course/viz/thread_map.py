"""Quel fil lit quoi, quel fil écrit quoi : le widget de la leçon 10.

Il montre des traces (`engine.gpu.kernels.traces`), faites une fois par Python : en haut les
fils, bloc par bloc ; en bas les tableaux, où s’allument les éléments que le fil choisi a lus et
écrits. Le nombre dans une case compte les accès de tous les fils. Le JavaScript
(`static/thread_map.js`) ne tient que les commandes.

Noms publics : `ThreadMapWidget`, `draw_threads`.
"""

import numpy as np
import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.picture import Picture
from course.viz.svg import document, text
from course.viz.widget import CourseWidget, script
from engine.gpu.kernels.geometry import threads_in
from engine.gpu.kernels.traces import ATOMIC, READ, WRITE, is_shared, plural

WIDTH, MARGIN = 820, 14
CELL, THREAD, GAP = 30, 24, 14
COLOURS = {READ: "input", WRITE: "activation", ATOMIC: "parameter"}


class ThreadMapWidget(CourseWidget):
    """Montre les accès d’un fil, un à un, parmi ceux de tous.

    Paramètres
        traces : un dictionnaire nom -> `Trace`.
        kernel, thread : le noyau et le fil choisis au départ ; les fils sont numérotés bloc après
            bloc.
        title : titre du widget.

    Lève
        ValueError : aucune trace, ou un nom inconnu.

    Exemple
        >>> from engine.gpu.kernels.simulator import trace
        >>> def double(out, x):
        ...     out[cuda.grid(1)] = 2 * x[cuda.grid(1)]
        >>> seen = trace(double, 2, 2, np.zeros(4), np.arange(4.0))
        >>> widget = ThreadMapWidget({"double": seen}, thread=3)
        >>> widget.text.split(".")[0]
        'Fil 1 du bloc 1, accès 2 sur 2 : écriture de out[3]'
    """

    _esm = script("thread_map")

    title = traitlets.Unicode().tag(sync=True)
    kernels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    kernel = traitlets.Unicode().tag(sync=True)
    threads = traitlets.Int().tag(sync=True)  # combien il y en a
    thread = traitlets.Int().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)  # combien d’accès fait ce fil
    step = traitlets.Int().tag(sync=True)  # combien sont montrés
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(self, traces, *, kernel=None, thread=0, title="Qui lit, qui écrit"):
        if not traces or (kernel is not None and kernel not in traces):
            known = ", ".join(traces) or "aucune"
            raise ValueError(typeset(f"trace inconnue : {kernel} ; traces données : {known}"))
        self._traces = dict(traces)
        super().__init__(
            title=typeset(title),
            kernels=list(traces),
            kernel=kernel or next(iter(traces)),
            thread=thread,
        )
        self._show_all()
        self.observe(self._show_all, ["kernel", "thread"])
        self.observe(self._redraw, "step")

    def fallback(self):
        """Renvoie l’image fixe du fil choisi."""
        return Picture(self.svg, self.text)

    def _show_all(self, _change=None):
        trace = self._traces[self.kernel]
        with self.hold_sync():
            self.threads = threads_in(trace.grid) * threads_in(trace.block)
            self.thread = min(max(self.thread, 0), self.threads - 1)
            self.steps = len(_accesses(trace, self.thread))
            self.step = self.steps
            self._redraw()

    def _redraw(self, _change=None):
        trace = self._traces[self.kernel]
        with self.hold_sync():
            self.svg = draw_threads(trace, self.thread, self.step, title=self.title)
            self.text = describe(trace, self.thread, self.step)


def describe(trace, thread, step):
    """Dit en trois phrases l’accès montré, ce que fait le fil, ce que font tous les fils."""
    accesses = _accesses(trace, thread)
    who = _name(trace, thread)
    if not accesses:
        now = f"{who} : il n'accède à rien."
    elif step == 0:
        now = f"{who} : aucun de ses {len(accesses)} accès n'a encore eu lieu."
    else:
        last = accesses[step - 1]
        now = f"{who}, accès {step} sur {len(accesses)} : {last.kind} de {_element(trace, last)}."
    outside = [access for access in accesses if not is_shared(access.array)]
    own = f"En mémoire globale, ce fil : {_counted(outside)}"
    all_of_them = [access for access in trace.accesses if not is_shared(access.array)]
    return typeset(f"{now} {own} ; tous les fils : {_counted(all_of_them)}.")


def draw_threads(trace, thread, step, *, title=""):
    """Renvoie le texte SVG : les fils, puis les tableaux, les accès du fil allumés.

    Paramètres
        trace : une `Trace`.
        thread : le rang du fil, bloc après bloc.
        step : combien de ses accès montrer.
        title : le titre lu par les lecteurs d’écran.
    """
    body = [text(MARGIN, 20, f"noyau : {trace.name}", size=14, weight="600", anchor="start")]
    threads, y = _threads(trace, thread, 34)
    body.append(threads)
    accesses = _accesses(trace, thread)[:step]
    x, tallest = MARGIN, 0
    y += 26
    for name in sorted(trace.shapes, key=lambda name: _column(trace, name)):
        rows, columns = _rows(trace.shapes[name])
        wide = max(columns * CELL, 7 * len(_label(trace, name)))
        if x > MARGIN and x + wide > WIDTH - MARGIN:
            x, y, tallest = MARGIN, y + tallest + 34, 0
        body.append(_array(trace, name, thread, accesses, x, y))
        x += wide + 28
        tallest = max(tallest, rows * CELL)
    y += tallest + 30
    body.append(_legend(y))
    height = y + 34
    return document(WIDTH, height, title or "Qui lit, qui écrit", body)


def _threads(trace, chosen, top):
    """(dessin, ordonnée du bas) des blocs et de leurs fils, x vers la droite."""
    grid, block = trace.grid[:2], trace.block[:2]
    columns, rows = block[0], block[1] if len(block) > 1 else 1
    wide, tall = columns * THREAD + 8, rows * THREAD + 8
    body = []
    across = max(1, min(grid[0], (WIDTH - 2 * MARGIN) // (wide + GAP)))
    for rank in range(threads_in(trace.grid)):
        at_x, at_y = rank % grid[0], rank // grid[0]
        line = at_y * -(-grid[0] // across) + at_x // across
        x, y = MARGIN + (at_x % across) * (wide + GAP), top + line * (tall + GAP)
        body.append(_box(x, y, wide, tall, stroke=palette.MUTED))
        for inside in range(columns * rows):
            is_chosen = rank * columns * rows + inside == chosen
            left, up = x + 4 + inside % columns * THREAD, y + 4 + inside // columns * THREAD
            body.append(
                _box(left + 1, up + 1, THREAD - 2, THREAD - 2, fill="training", chosen=is_chosen)
            )
            body.append(text(left + THREAD / 2, up + 16, str(inside), size=10,
                              weight="700" if is_chosen else "normal"))  # fmt: skip
    lines = -(-grid[0] // across) * (threads_in(trace.grid) // grid[0])
    blocks, inside = threads_in(trace.grid), threads_in(trace.block)
    note = f"{plural(blocks, 'bloc')} de {plural(inside, 'fil')}"
    edge = MARGIN + across * (wide + GAP)
    body.append(text(min(edge, WIDTH - 160), top + 16, note, colour=palette.MUTED, anchor="start"))
    return "".join(body), top + lines * (tall + GAP)


def _array(trace, name, thread, accesses, x, y):
    """Un tableau : une case par élément, allumée selon ce que le fil en a fait."""
    shape = trace.shapes[name]
    columns = _rows(shape)[1]
    kinds = {}
    for access in accesses:
        if access.array == name:
            kinds.setdefault(access.index, []).append(access.kind)
    block = thread // threads_in(trace.block) if is_shared(name) else None
    counts = np.zeros(int(np.prod(shape)), int)
    for access in trace.of(None, name, block=block):
        counts[access.index] += 1
    body = [text(x, y - 6, _label(trace, name), size=12, anchor="start")]
    last = accesses[-1] if accesses else None
    for index, count in enumerate(counts):
        left, up = x + index % columns * CELL, y + index // columns * CELL
        is_last = last is not None and (last.array, last.index) == (name, index)
        body.append(_cell(left, up, kinds.get(index, []), is_last))
        body.append(text(left + CELL / 2, up + 20, str(count),
                          weight="700" if is_last else "normal"))  # fmt: skip
    return "".join(body)


def _cell(x, y, kinds, is_last):
    """La case ; lue et écrite, elle se partage en deux triangles."""
    wide = CELL - 2
    parts = [_box(x + 1, y + 1, wide, wide)]
    done = [kind for kind in COLOURS if kind in kinds]
    if len(done) == 1:
        parts.append(_box(x + 1, y + 1, wide, wide, fill=COLOURS[done[0]]))
    elif done:
        corners = ((0, 0), (wide, 0), (0, wide)), ((wide, wide), (wide, 0), (0, wide))
        for kind, points in zip(done, corners, strict=False):
            path = " ".join(f"{x + 1 + a},{y + 1 + b}" for a, b in points)
            colour = palette.variable(COLOURS[kind])
            parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.4"/>')
    if is_last:
        parts.append(
            f'<rect x="{x + 1}" y="{y + 1}" width="{wide}" height="{wide}" fill="none" '
            f'stroke="{palette.TEXT}" stroke-width="3"/>'
        )
    return "".join(parts)


def _legend(y):
    body, x = [], MARGIN
    for kind, words in ((READ, "lu par ce fil"), (WRITE, "écrit par ce fil")):
        body.append(_box(x, y - 11, 14, 14, fill=COLOURS[kind]))
        body.append(text(x + 20, y, words, size=12, anchor="start"))
        x += 130
    body.append(
        f'<rect x="{x}" y="{y - 11}" width="14" height="14" fill="none" stroke="{palette.TEXT}" '
        f'stroke-width="3"/>' + text(x + 20, y, "son dernier accès", size=12, anchor="start")
    )
    note = "le nombre : les accès de tous les fils (en mémoire partagée, ceux de son bloc)"
    return "".join(body) + text(MARGIN, y + 22, note, size=12, colour=palette.MUTED, anchor="start")


def _box(x, y, wide, tall, *, fill=None, stroke=palette.BORDER, chosen=False):
    colour = palette.variable(fill) if fill else "none"
    opacity = "0.8" if chosen else "0.4" if fill in COLOURS.values() else "0.12"
    edge = f'stroke="{palette.TEXT}" stroke-width="2.5"' if chosen else f'stroke="{stroke}"'
    return (
        f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="3" fill="{colour}" '
        f'fill-opacity="{opacity}" {edge}/>'
    )


def _accesses(trace, thread):
    """Les accès du fil de rang `thread`, dans l’ordre."""
    block, inside = divmod(thread, threads_in(trace.block))
    return trace.of(None, block=block, thread=inside)


def _name(trace, thread):
    block, inside = divmod(thread, threads_in(trace.block))
    if len(trace.block) == 1:
        return f"Fil {inside} du bloc {block}"
    row, column = divmod(inside, trace.block[0])
    above, left = divmod(block, trace.grid[0])
    return f"Fil (ligne {row}, colonne {column}) du bloc (ligne {above}, colonne {left})"


def _element(trace, access):
    shape = trace.shapes[access.array]
    indices = ", ".join(map(str, np.unravel_index(access.index, shape)))
    name = f"mémoire {access.array}" if is_shared(access.array) else access.array
    return f"{name}[{indices}]"


def _label(trace, name):
    shape = " × ".join(map(str, trace.shapes[name]))
    return typeset(f"{name} ({shape})")


def _column(trace, name):
    """Les tableaux lus à gauche, les partagés ensuite, ceux qu’on écrit à droite."""
    return 1 if is_shared(name) else 2 if trace.of(WRITE, name) or trace.of(ATOMIC, name) else 0


def _rows(shape):
    columns = shape[-1]
    return int(np.prod(shape)) // max(columns, 1), columns


def _counted(accesses):
    reads = sum(access.kind == READ for access in accesses)
    writes = len(accesses) - reads
    return f"{plural(reads, 'lecture')} et {plural(writes, 'écriture')}"
