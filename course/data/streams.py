"""Des flux de minilots : `for lot in flux` parcourt une époque, d’un ordre reproductible.

Un flux s’enveloppe dans un autre : `Prefetched(Padded(Batches(phrases, size=20, seed=0)))` coupe en
lots, borde, prépare d’avance. Tous ont `len` (lots par époque), `epoch` (époques entières),
`state()` et `restore(état)` : un parcours interrompu au milieu d’une époque reprend au lot suivant,
le même que si rien ne s’était passé.

Ordre de lecture : `Batches`, `Mapped` ; puis `padding`, `prefetching`.

Le dessin est celui de Fuel (B. van Merriënboer et coll., « Blocks and Fuel: Frameworks for deep
learning », 2015).
"""

import numpy as np

from engine.core.errors import EngineError, ShapeError


class Batches:
    """Coupe des exemples en lots ; chaque exemple vient une fois par époque.

    Paramètres
        sources : un ou plusieurs tableaux, ou suites de tableaux (des phrases), de même longueur ;
            l’exemple i est fait du i-ième élément de chacun.
        size : nombre d’exemples par lot ; le dernier lot en a ce qui reste.
        seed : entier ; chaque époque est mélangée autrement, et la même graine redonne les mêmes
            ordres. None : l’ordre des sources.
        group_by : fonction du premier élément d’un exemple vers un nombre (`len`) ; les exemples
            voisins par ce nombre vont ensemble. None : ne pas grouper.
        group : nombre de lots tirés, puis rangés ensemble, quand on groupe.

    Renvoie
        Un flux de tuples, un élément par source : un tableau, ou une liste si la source n’est pas
        un tableau.

    Lève
        ShapeError : pas d’exemple, ou des sources de longueurs différentes.
        EngineError : réglage impossible.

    Source
        Fuel, 2015 (`SequentialScheme`, `ShuffledScheme`) ; Y. Bengio, « Practical Recommendations
        for Gradient-Based Training of Deep Architectures », 2012, pour le mélange.

    Exemple
        >>> stream = Batches(np.arange(5), list("abcde"), size=2)
        >>> list(stream)
        [(array([0, 1]), ['a', 'b']), (array([2, 3]), ['c', 'd']), (array([4]), ['e'])]
        >>> sentences = ["a b c d", "a", "a b", "a b c"]
        >>> list(Batches(sentences, size=2, group_by=len))
        [(['a', 'a b'],), (['a b c', 'a b c d'],)]
    """

    def __init__(self, *sources, size, seed=None, group_by=None, group=20):
        lengths = [len(source) for source in sources]
        if len({*lengths}) != 1 or 0 in lengths:
            raise ShapeError(
                "Batches : les sources n'ont pas le même nombre d'exemples, ou aucun",
                expected="une longueur commune, d'au moins 1",
                received=", ".join(f"source {i} : {n}" for i, n in enumerate(lengths)) or "rien",
                hint="une source est un tableau, ou une liste, d'un élément par exemple",
            )
        for name, value in (("size", size), ("group", group)):
            if not isinstance(value, int | np.integer) or value < 1:
                raise EngineError(
                    f"Batches : {name} ne convient pas",
                    expected="un entier d'au moins 1",
                    received=repr(value),
                    hint="size=20 fait des lots de vingt exemples",
                )
        self.sources, self.size, self.group = sources, int(size), int(group)
        if not isinstance(seed, int | np.integer | None):
            raise EngineError(
                "Batches : une graine est un entier",
                expected="un entier, ou None pour ne pas mélanger",
                received=repr(seed),
                hint="seed=0",
            )
        self.seed = None if seed is None else int(seed)
        self.keys = None if group_by is None else np.array([group_by(x) for x in sources[0]])
        self._place(0, 0)

    def __len__(self):
        return len(self._order)

    def __iter__(self):
        current = self.epoch
        while self.epoch == current:
            batch = tuple(_take(source, self._order[self._done]) for source in self.sources)
            if self._done + 1 < len(self):
                self._done += 1
            else:
                self._place(current + 1, 0)
            yield batch

    def state(self):
        """Rend l’état du parcours, un dictionnaire de nombres que `json` sait écrire."""
        return {"epoch": self.epoch, "done": self._done, **self._settings()}

    def restore(self, state):
        """Remet le parcours où `state()` l’avait trouvé.

        Lève
            EngineError : l’état est celui d’un flux d’autres réglages.
        """
        found = {name: state.get(name) for name in self._settings()}
        if found != self._settings():
            raise EngineError(
                "l'état est celui d'un autre flux",
                expected=str(self._settings()),
                received=str(found),
                hint="refaites le flux comme il était : mêmes exemples, size, seed et group",
            )
        self._place(state["epoch"], state["done"])

    def _settings(self):
        grouped = None if self.keys is None else self.group
        return {
            "examples": len(self.sources[0]),
            "size": self.size,
            "seed": self.seed,
            "group": grouped,
        }

    def _place(self, epoch, done):
        """Va au lot `done` de l’époque ; l’ordre ne dépend que de la graine et de l’époque."""
        self.epoch, self._done = epoch, done
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        n = len(self.sources[0])
        order = np.arange(n) if rng is None else rng.permutation(n)
        if self.keys is not None:
            parts = _cut(order, self.size * self.group)
            order = np.concatenate([part[self.keys[part].argsort(kind="stable")] for part in parts])
        self._order = _cut(order, self.size)
        if self.keys is not None and rng is not None:
            self._order = [self._order[rank] for rank in rng.permutation(len(self._order))]


def _cut(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


def _take(source, indices):
    if isinstance(source, np.ndarray):
        return source[indices]
    return [source[index] for index in indices]


class Mapped:
    """Applique une fonction à chaque lot d’un flux.

    Paramètres
        stream : le flux.
        function : fonction d’un lot (un tuple) vers un lot.

    Exemple
        >>> list(Mapped(Batches(np.arange(4), size=2), lambda batch: (batch[0] ** 2,)))
        [(array([0, 1]),), (array([4, 9]),)]
    """

    def __init__(self, stream, function):
        self.stream, self.function = stream, function

    @property
    def epoch(self):
        """Nombre d’époques données en entier."""
        return self.stream.epoch

    def __len__(self):
        return len(self.stream)

    def __iter__(self):
        for batch in self.stream:
            yield self.function(batch)

    def state(self):
        """Rend l’état du parcours ; voir `Batches.state`."""
        return self.stream.state()

    def restore(self, state):
        """Remet le parcours où `state()` l’avait trouvé ; voir `Batches.restore`."""
        self.stream.restore(state)
