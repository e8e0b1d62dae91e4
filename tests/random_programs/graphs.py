"""Tirer des graphes : des programmes de 2 à 8 nœuds sur toutes les fonctions publiques.

    python -m tests.random_programs.graphs --seed 0 --count 1000

Les nœuds sont tirés un à un, leur valeur calculée aussitôt par NumPy, pour les deux appels : un
programme tiré est valable, et ses formes s’accordent d’un appel à l’autre sans être les mêmes.

Ordre de lecture : les valeurs (`DOMAINS`), `Maker`, `make`.
"""

import random
import warnings

import numpy as np

from tests.random_programs import campaign
from tests.random_programs.catalogue import ROWS, Impossible
from tests.random_programs.judge import judge, reduce
from tests.random_programs.oracle import Own, apply
from tests.random_programs.program import CALLS, LAYOUTS, Input, Node, Program

MAX_SIZE = 300  # éléments d’un résultat
MAX_AXES = 5
DTYPES = {
    "f": ("float32", "float64"),
    "i": ("int8", "int16", "int32", "int64"),
    "u": ("uint8", "uint16", "uint32", "uint64"),
    "b": ("bool",),
}
KINDS = "fiub"

# ---- les valeurs -------------------------------------------------------------------------


def _plain(rng, shape, dtype):
    """Le plus souvent ordinaires ; parfois de petits entiers, qui s’égalent ; parfois des bords."""
    dtype = np.dtype(dtype)
    way = rng.random()
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(max(limits.min, -4), 6, shape)
        if way < 0.2:
            edges = np.array([limits.min, limits.max, limits.max - 1, 0, 1], dtype)
            return np.where(rng.random(shape) < 0.5, rng.choice(edges, shape), values.astype(dtype))
        return values.astype(dtype)
    if way < 0.65:
        return rng.uniform(-3, 3, shape).round(3).astype(dtype)
    if way < 0.85:
        return rng.integers(-2, 4, shape).astype(dtype)
    limits = np.finfo(dtype)
    edges = [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, limits.max, -limits.max, limits.tiny]
    edges += [limits.tiny / 8, 30, -100, 1e-4]
    values = rng.uniform(-3, 3, shape).round(3)
    picked = rng.choice(np.array(edges, dtype), shape)
    return np.where(rng.random(shape) < 0.4, picked, values).astype(dtype)


def _between(low, high):
    return lambda rng, shape, dtype: rng.uniform(low, high, shape).astype(dtype)


def _regular(rng, shape, dtype):
    *batch, n, m = shape
    return (rng.uniform(-1, 1, (*batch, n, m)) + 2 * np.eye(n, m)).astype(dtype)


def _definite(rng, shape, dtype):
    a = rng.uniform(-1, 1, shape)
    return (a @ a.T + np.eye(len(a)) * (1 + np.arange(len(a)))).astype(dtype)


def _sorted(rng, shape, dtype):
    return np.sort(_plain(rng, shape, dtype))


DOMAINS = {  # ce qu’il faut tirer, et ce qui convient
    "plain": (_plain, lambda x: True),
    "positive": (_between(0.05, 4), lambda x: (x > 0).all() and (x < 1e6).all()),
    "unit": (_between(0.02, 0.98), lambda x: (x > 0).all() and (x < 1).all()),
    "inside": (_between(-0.98, 0.98), lambda x: (np.abs(x) < 1).all()),
    "above_1": (_between(1.01, 5), lambda x: (x > 1).all() and (x < 1e6).all()),
    "above_-1": (_between(-0.9, 4), lambda x: (x > -1).all() and (x < 1e6).all()),
    "moderate": (_between(-3, 3), lambda x: (np.abs(x) < 20).all()),
    "regular": (_regular, lambda x: False),
    "definite": (_definite, lambda x: False),
    "sorted": (_sorted, lambda x: False),
}


class Maker:
    """Le programme en cours, et de quoi y choisir ou y ajouter des arguments.

    `values[call][place]` : la valeur de chaque élément à chaque appel.
    """

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.program = Program()
        self.values = [[] for _ in range(CALLS)]
        lengths = [0, *[1] * 3, *[2] * 7, *[3] * 8, *[4] * 4, 5]
        self.lengths = [tuple(self.rng.choices(lengths, k=CALLS)) for _ in range(3)]
        self.float = self.rng.choice(["float32", "float64", "float64"])

    # ---- regarder

    def dtype(self, place):
        """Le dtype d’un élément."""
        return self.program.items[place].dtype

    def kind(self, place):
        """« f », « i », « u » ou « b »."""
        return np.dtype(self.dtype(place)).kind

    def ndim(self, place):
        """Le nombre d’axes d’un élément."""
        return self.values[0][place].ndim

    def shapes(self, place):
        """La forme d’un élément, à chaque appel."""
        return [values[place].shape for values in self.values]

    def chance(self, probability):
        """Vrai, avec cette probabilité."""
        return self.rng.random() < probability

    # ---- choisir

    def length(self):
        """La longueur d’un axe, à chaque appel : 1, ou l’une des trois du programme."""
        return (1,) * CALLS if self.chance(0.15) else self.rng.choice(self.lengths)

    def new_dtype(self, kinds):
        """Un dtype de l’un de ces genres ; les flottants sont les plus fréquents."""
        weights = [{"f": 8, "i": 2, "u": 1, "b": 1}[kind] for kind in kinds]
        kind = self.rng.choices(kinds, weights)[0]
        if kind == "f":
            return self.float if self.chance(0.85) else self.rng.choice(DTYPES["f"])
        return self.rng.choice(DTYPES[kind])

    def fresh(self, dtype, shapes, domain="plain", values=None):
        """Une entrée neuve, de ces formes."""
        if values is None:
            draw = DOMAINS[domain][0]
            values = [np.asarray(draw(self.numbers, shape, dtype), dtype) for shape in shapes]
        kind = self.rng.choices(["argument", "partagée", "constante"], [8, 1, 1])[0]
        if kind == "constante":
            if len({value.shape for value in values}) > 1:
                kind = "argument"
            else:
                values = [values[0]] * CALLS
        static = tuple(
            lengths[0]
            if len(set(lengths)) == 1 and self.chance(0.5 if lengths[0] == 1 else 0.1)
            else None
            for lengths in zip(*(value.shape for value in values), strict=True)
        )
        layout = "C"
        if kind == "argument":
            layout = self.rng.choice(["C", *LAYOUTS]) if values[0].ndim else "C"
        else:
            static = (None,) * values[0].ndim
        self.program.items.append(Input(kind, dtype, tuple(values), static, layout))
        for call, value in enumerate(values):
            self.values[call].append(value)
        return len(self.program.items) - 1

    def literal(self, value, dtype):
        """Un nombre écrit tel quel dans le programme."""
        values = (np.array(value, dtype),) * CALLS
        self.program.items.append(Input("nombre", dtype, values, ()))
        for call in range(CALLS):
            self.values[call].append(values[call])
        return len(self.program.items) - 1

    def pool(self):
        """Les éléments que l’on peut lire : tous, sauf les nombres écrits tels quels."""
        return [
            place
            for place, item in enumerate(self.program.items)
            if isinstance(item, Node) or item.kind != "nombre"
        ]

    def array(self, kinds=KINDS, ndims=range(5), domain="plain", dtype=None, suits=None):
        """Un élément de ces genres et nombres d’axes, pris parmi ceux déjà là ou neuf.

        Paramètres
            suits : valeurs (une par appel) -> convient-il ?
        """
        accepts = DOMAINS[domain][1]
        found = [
            place
            for place in self.pool()
            if self.kind(place) in kinds
            and self.ndim(place) in ndims
            and (dtype is None or self.dtype(place) == dtype)
            and all(accepts(values[place]) for values in self.values)
            and (suits is None or suits([values[place] for values in self.values]))
        ]
        if found and self.chance(0.8):
            return max(self.rng.choices(found, k=2))  # les derniers d’abord
        wanted = [n for n in ndims if n <= 4]
        weights = [{0: 2, 1: 4, 2: 6, 3: 3, 4: 1}[n] for n in wanted]
        ndim = self.rng.choices(wanted, weights)[0]
        for _ in range(8):
            lengths = [self.length() for _ in range(ndim)]
            shapes = list(zip(*lengths, strict=True)) if lengths else [()] * CALLS
            place = self.fresh(dtype or self.new_dtype(kinds), shapes, domain)
            if suits is None or suits([values[place] for values in self.values]):
                return place
        raise Impossible

    def of_shapes(self, shapes, kinds=KINDS, domain="plain", dtype=None):
        """Un élément de ces formes."""
        accepts = DOMAINS[domain][1]
        found = [
            place
            for place in self.pool()
            if self.shapes(place) == list(shapes)
            and self.kind(place) in kinds
            and (dtype is None or self.dtype(place) == dtype)
            and all(accepts(values[place]) for values in self.values)
        ]
        if found and self.chance(0.6):
            return self.rng.choice(found)
        return self.fresh(dtype or self.new_dtype(kinds), shapes, domain)

    def partner(self, place, kinds=KINDS, domain="plain", dtype=None, inside=False):
        """Un élément qui se diffuse avec celui-ci (`inside` : sans agrandir sa forme)."""
        return self.partner_of(self.shapes(place), kinds, domain, dtype, inside)

    def partner_of(self, shapes, kinds=KINDS, domain="plain", dtype=None, inside=False):
        """Un élément qui se diffuse avec ces formes."""
        accepts = DOMAINS[domain][1]

        def fits(other):
            try:
                both = [
                    np.broadcast_shapes(a, b)
                    for a, b in zip(shapes, self.shapes(other), strict=True)
                ]
            except ValueError:
                return False
            return not inside or both == [tuple(s) for s in shapes]

        found = [
            other
            for other in self.pool()
            if self.kind(other) in kinds
            and (dtype is None or self.dtype(other) == dtype)
            and all(accepts(values[other]) for values in self.values)
            and fits(other)
        ]
        if found and self.chance(0.7):
            return self.rng.choice(found)
        axes = list(zip(*shapes, strict=True)) if shapes[0] else []
        axes = axes[self.rng.choice([0, 0, 0, 1, len(axes)]) :]
        axes = [
            (1,) * CALLS if self.chance(0.2) else (1, n[1]) if self.chance(0.05) else n
            for n in axes
        ]
        wanted = list(zip(*axes, strict=True)) if axes else [()] * CALLS
        return self.fresh(dtype or self.new_dtype(kinds), wanted, domain)

    def axis(self, ndim, none=False):
        """Un axe, positif ou négatif (ou None)."""
        if none and self.chance(0.3):
            return None
        if ndim == 0:
            raise Impossible
        return self.rng.randrange(-ndim, ndim)

    # ---- ajouter, ôter

    def forget(self, kept):
        """Ôte les éléments ajoutés depuis le rang `kept`."""
        del self.program.items[kept:]
        for values in self.values:
            del values[kept:]

    def node(self, name, engine, numpy, args, dtype, compute=None, rounds=True, passes_by_1=False):
        """Ajoute un nœud, calculé pour les deux appels (voir `Node`)."""
        if dtype not in sum(DTYPES.values(), ()):
            raise Impossible
        node = Node(name, engine, numpy, tuple(args), dtype, compute, rounds, passes_by_1)
        found = []
        for call in range(CALLS):
            arguments = [self.values[call][arg] for arg in args]
            try:
                value = apply(node, len(self.program.items), arguments, Own())
            except Exception as error:
                raise Impossible from error
            if value.size > MAX_SIZE or value.ndim > MAX_AXES:
                raise Impossible
            found.append(value)
        self.program.items.append(node)
        for call, value in enumerate(found):
            self.values[call].append(value)
        return len(self.program.items) - 1


def make(seed):
    """Le programme de cette graine."""
    m = Maker(seed)
    wanted = m.rng.choice([2, 3, 4, 4, 5, 5, 6, 7, 8])
    nodes = []
    while len(nodes) < wanted:
        name = m.rng.choice(list(ROWS))
        if nodes and m.chance(0.08):  # une expression écrite deux fois
            again = m.program.items[m.rng.choice(nodes)]
            nodes.append(m.node(**vars(again)))
            continue
        kept = len(m.program.items)
        try:
            nodes.append(ROWS[name](m, name))
        except Impossible:
            m.forget(kept)
    read = {arg for place in nodes for arg in m.program.items[place].args}
    leaves = [place for place in nodes if place not in read] or nodes[-1:]
    extra = [place for place in nodes if place in read and m.chance(0.1)]
    m.program.outputs = leaves + extra
    for place in m.program.places("partagée"):
        same = [
            node
            for node in nodes
            if m.dtype(node) == m.dtype(place) and m.ndim(node) == m.ndim(place)
        ]
        if same and m.chance(0.6):
            m.program.updates.append((place, m.rng.choice(same)))
    return m.program


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=RuntimeWarning)  # moyenne d’aucun élément...
    campaign.main("graphes", make, judge, reduce)
