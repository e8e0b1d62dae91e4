"""Mesurer une fonction : combien de temps et de mémoire prend chaque nœud.

`function(..., profile=True)` mesure ; `print(f.profile)` montre le tableau, par op puis par nœud,
du plus lent au plus rapide ; `f.profile.by_op()` et `f.profile.by_node()` rendent les mêmes nombres
pour une figure.

Ordre de lecture : `Row`, `Profile`.
"""

import time
from dataclasses import dataclass

from engine.core.modes import WATCHERS, Watcher
from engine.core.typeset import typeset

_UNITS = ("o", "ko", "Mo", "Go")


@dataclass
class Row:
    """Une ligne du tableau.

    `label` : l’op ; `node` : le nœud (None pour un total) ; `calls` : nombre d’appels ; `seconds` :
    temps total ; `memory` : octets des sorties (celles que le nœud alloue) au dernier appel.
    """

    label: str
    node: object = None
    calls: int = 0
    seconds: float = 0.0
    memory: int = 0


class Profile(Watcher):
    """Les mesures d’une fonction compilée avec `profile=True`.

    Attributs
        calls, seconds : nombre d’appels de la fonction, et leur durée totale.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dvector("x")
        >>> f = function([x], T.exp(x).sum(), profile=True)
        >>> _ = f([1.0, 2.0]), f([3.0, 4.0])
        >>> f.profile.calls, all(row.calls == 2 for row in f.profile.by_node())
        (2, True)
    """

    is_profile = True
    looks_inside = False  # une boucle est mesurée telle qu’elle tourne sans surveillance

    def __init__(self, fgraph, name):
        super().__init__(fgraph, name)
        self.calls = 0
        self.seconds = 0.0
        self._rows = {}  # nœud -> sa ligne, la même d’un programme de la fonction à l’autre
        self._measured = 0.0  # le temps de tous les nœuds

    def wrap(self, node, call):
        device = self.fgraph.device
        reason = (device and device.said_of(node)) or getattr(call, "tier", None)
        label = f"{node.op} ({reason})" if reason else str(node.op)
        row = self._rows.setdefault(node, Row(label, node))
        reused = node.op.view_map.keys() | node.op.destroy_map.keys()
        owned = [k for k in range(len(node.outputs)) if k not in reused]
        single, clock = len(node.outputs) == 1, time.perf_counter

        def timed(*inputs):
            start, inside = clock(), self._measured
            result = call(*inputs)
            for value in [result] if single else result:
                if hasattr(value, "wait"):  # un GPU calcule encore quand l’appel revient
                    value.wait()
            own = clock() - start - (self._measured - inside)  # sans les nœuds d’une boucle
            self._measured += own
            row.seconds += own
            row.calls += 1
            values = [result] if single else result
            row.memory = sum(getattr(values[k], "nbytes", 0) for k in owned)
            return result

        return timed

    def wrap_call(self, program):
        clock = time.perf_counter

        def timed(*args):
            start = clock()
            results = program(*args)
            self.seconds += clock() - start
            self.calls += 1
            return results

        return timed

    def by_node(self):
        """Une `Row` par nœud, de la plus lente à la plus rapide."""
        return sorted(self._rows.values(), key=lambda row: -row.seconds)

    def by_op(self):
        """Une `Row` par op (leurs nœuds ajoutés), de la plus lente à la plus rapide."""
        totals = {}
        for row in self._rows.values():
            total = totals.setdefault(row.label, Row(row.label))
            total.calls += row.calls
            total.seconds += row.seconds
            total.memory += row.memory
        return sorted(totals.values(), key=lambda row: -row.seconds)

    def share(self, row):
        """La part de la ligne dans le temps de tous les nœuds, entre 0 et 1."""
        return row.seconds / self._measured if self._measured else 0.0

    def summary(self, file=None, n_nodes=20):
        """Écrit le tableau ; `file` comme pour `print`, `n_nodes` : nombre de nœuds montrés."""
        print(self._text(n_nodes), file=file)

    def _text(self, n_nodes):
        part = f"{self._measured / self.seconds:.0%}" if self.seconds else "—"
        lines = [
            f"Profil de {self.name} : {self.calls} appel(s), {_duration(self.seconds)}, "
            f"dont {part} dans les nœuds"
        ]
        lines += ["", "Par op", *self._table(self.by_op(), _op_label)]
        nodes = self.by_node()
        lines += ["", "Par nœud", *self._table(nodes[:n_nodes], _node_label)]
        if len(nodes) > n_nodes:
            lines.append(f"... et {len(nodes) - n_nodes} autre(s), plus rapide(s)")
        return typeset("\n".join(lines))

    def _table(self, rows, label):
        yield f"{'part':>6} {'temps':>10} {'appels':>8} {'mémoire':>10}  op"
        for row in rows:
            yield (
                f"{self.share(row):>6.1%} {_duration(row.seconds):>10} {row.calls:>8} "
                f"{_size(row.memory):>10}  {label(row)}"
            )

    def __str__(self):
        return self._text(20)

    __repr__ = __str__


WATCHERS["profile"] = Profile


def _op_label(row):
    return row.label


def _node_label(row):
    frames = row.node.trace.frames
    return f"{row.label}" + (f" ({frames[0]})" if frames else "")


def _duration(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.2f} {unit}"
    return f"{seconds / 1e-6:.1f} µs"


def _size(octets):
    position = 0
    while octets >= 1000 and position < len(_UNITS) - 1:
        octets, position = octets / 1000, position + 1
    return f"{octets:.3g} {_UNITS[position]}"
