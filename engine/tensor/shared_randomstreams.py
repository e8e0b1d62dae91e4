"""Des flux aléatoires qui avancent d’eux-mêmes : chaque appel d’une fonction tire du neuf.

    >>> from engine import function
    >>> stream = RandomStreams(seed=42)
    >>> f = function([], stream.uniform((2,), dtype="float64"))
    >>> f().round(3), f().round(3)
    (array([0.469, 0.341]), array([0.327, 0.454]))

Chaque tirage (`stream.uniform(...)`) a son état, une variable partagée dont la mise à jour par
défaut est l’état suivant ; `function(..., no_default_updates=True)` retire toujours les mêmes. Les
lois sont celles de `engine.tensor.raw_random`.
"""

import secrets

from engine.core.sharedvalue import shared
from engine.tensor import raw_random


class RandomStreams:
    """Une source de tirages aléatoires, reproductibles d’après une graine.

    Paramètres
        seed : entier ; la même graine redonne les mêmes nombres. None : une graine imprévisible.

    Attributs
        state_updates : paires (variable partagée, état suivant), une par tirage, dans l’ordre.

    Lève
        DomainError : `seed` n’est pas un entier.

    Exemple
        >>> stream = RandomStreams(42)
        >>> [str(stream.normal((2, 3)).type), stream.state_updates[0][0].get_value()]
        ['TensorType(float64, (2, 3))', array([42,  0,  0], dtype=uint64)]
    """

    def __init__(self, seed=None):
        self.default_instance_seed = secrets.randbits(64) if seed is None else seed
        raw_random.new_state(self.default_instance_seed)  # refuse la graine tout de suite
        self.state_updates = []

    def seed(self, seed=None):
        """Ramène tous les tirages à leur début, avec une autre graine (None : la même)."""
        if seed is not None:
            raw_random.new_state(seed)
            self.default_instance_seed = seed
        for stream, (state, _) in enumerate(self.state_updates):
            state.set_value(raw_random.new_state(self.default_instance_seed, stream))

    def updates(self):
        """Les paires (état, état suivant) de tous les tirages, à donner à `function`."""
        return list(self.state_updates)

    def gen(self, law, *args, **kwargs):
        """Ajoute un tirage : `law(state, *args, **kwargs)` rend (état suivant, tirage).

        Renvoie
            Le tirage ; son attribut `rng` est l’état, `update` la paire (état, état suivant).

        Exemple
            >>> RandomStreams(42).gen(raw_random.randint, (3,), 0, 10).eval()
            array([4, 3, 3])
        """
        stream = len(self.state_updates)
        state = shared(
            raw_random.new_state(self.default_instance_seed, stream), name=f"flux{stream}"
        )
        following, draw = law(state, *args, **kwargs)
        state.default_update = following
        self.state_updates.append((state, following))
        draw.rng, draw.update = state, (state, following)
        return draw

    def uniform(self, size=None, low=0.0, high=1.0, ndim=None, dtype=None):
        """Uniformes sur [low, high[ ; voir `raw_random.uniform`."""
        return self.gen(raw_random.uniform, size, low, high, ndim, dtype)

    def normal(self, size=None, avg=0.0, std=1.0, ndim=None, dtype=None):
        """Normales de moyenne `avg` et d’écart type `std` ; voir `raw_random.normal`."""
        return self.gen(raw_random.normal, size, avg, std, ndim, dtype)

    def binomial(self, size=None, n=1, p=0.5, ndim=None, dtype="int64"):
        """Nombre de succès en `n` essais de probabilité `p` ; voir `raw_random.binomial`."""
        return self.gen(raw_random.binomial, size, n, p, ndim, dtype)

    def poisson(self, size=None, lam=1.0, ndim=None, dtype="int64"):
        """Loi de Poisson de moyenne `lam` ; voir `raw_random.poisson`."""
        return self.gen(raw_random.poisson, size, lam, ndim, dtype)

    def multinomial(self, size=None, n=1, pvals=None, ndim=None, dtype="int64"):
        """Compte de `n` catégories tirées selon `pvals` ; voir `raw_random.multinomial`."""
        return self.gen(raw_random.multinomial, size, n, pvals, ndim, dtype)

    def random_integers(self, size=None, low=0, high=1, ndim=None, dtype="int64"):
        """Entiers de `low` à `high`, compris ; voir `raw_random.random_integers`."""
        return self.gen(raw_random.random_integers, size, low, high, ndim, dtype)

    def randint(self, size=None, low=0, high=2, ndim=None, dtype="int64"):
        """Entiers de `low` compris à `high` non compris ; voir `raw_random.randint`."""
        return self.gen(raw_random.randint, size, low, high, ndim, dtype)

    def choice(self, size=None, a=2, replace=True, p=None, ndim=None, dtype="int64"):
        """Tire parmi `a`, avec ou sans remise ; voir `raw_random.choice`."""
        return self.gen(raw_random.choice, size, a, replace, p, ndim, dtype)

    def permutation(self, size=None, n=1, ndim=None, dtype="int64"):
        """Permutations de 0, ..., n - 1 ; voir `raw_random.permutation`."""
        return self.gen(raw_random.permutation, size, n, ndim, dtype)

    def shuffle_row_elements(self, input):
        """Mélange les éléments du dernier axe ; voir `raw_random.shuffle_row_elements`."""
        return self.gen(raw_random.shuffle_row_elements, input)
