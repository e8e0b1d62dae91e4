"""Les couches récurrentes : un état porté d’un pas au suivant, par `scan`.

Le temps est le premier axe, le lot le second : x a la forme (T, lot, n_in). Un masque de forme
(T, lot), nul sur le bord des suites trop courtes, fait garder à chaque exemple son dernier état.

Ordre de lecture : `Recurrent`, `LSTM`, `GRU`, puis ce qu’elles partagent, `_Recurrence`.
"""

from engine import scan
from engine import tensor as T
from engine.nn.initializers import constant, glorot_uniform, orthogonal
from engine.nn.layers.parameters import make_parameter
from engine.ops.index import Subtensor

sigmoid = T.nnet.sigmoid


class _Recurrence:
    """Une couche récurrente de n unités.

    Une sous-classe dit combien de blocs de n colonnes elle emploie (`n_blocks`), combien d’états
    elle porte (`n_states`), et comment un pas les calcule (`step`).
    """

    n_blocks = 1
    n_states = 1

    def __init__(
        self,
        n_in,
        n,
        W=glorot_uniform,
        U=orthogonal,
        b=constant,
        backwards=False,
        name=None,
        generator=None,
    ):
        self.n, self.backwards, self.name = n, backwards, name
        columns = self.n_blocks * n
        self.W = make_parameter(W, (n_in, columns), "W", name, generator)
        self.U = make_parameter(U, (n, columns), "U", name, generator)
        self.b = make_parameter(b, (columns,), "b", name, generator)

    @property
    def parameters(self):
        """[W, U, b]."""
        return [self.W, self.U, self.b]

    def blocks(self, scores):
        """Coupe (lot, n_blocks × n) en `n_blocks` morceaux (lot, n)."""
        return [scores[:, k * self.n : (k + 1) * self.n] for k in range(self.n_blocks)]

    def initial(self, n_examples):
        """Les états de départ : des zéros, forme (lot, n)."""
        return [T.zeros((n_examples, self.n), dtype=self.U.dtype) for _ in range(self.n_states)]

    def __call__(self, x, mask=None, initial=None):
        """Rend l’expression de tous les états, forme (T, lot, n).

        Paramètres
            x : forme (T, lot, n_in).
            mask : forme (T, lot), de 0 et de 1 ; None, toutes les suites sont entières.
            initial : les états de départ, formes (lot, n) ; None, des zéros.
        """
        return self.unfold(x, mask, initial)[0]

    def unfold(self, x, mask=None, initial=None):
        """Comme l’appel, et rend l’histoire de chaque état, le premier étant la sortie."""
        if mask is not None and not _is_read(x):
            # un bord qui porte NaN n’en met pas dans le gradient de W
            x = T.switch(mask.dimshuffle(0, 1, "x"), x, 0)
        projected = T.dot(x, self.W) + self.b  # tous les pas à la fois
        states = self.initial(x.shape[1]) if initial is None else list(initial)
        sequences = [projected] if mask is None else [projected, mask]

        def masked_step(row, *rest):
            present, before = (None, rest) if mask is None else (rest[0], rest[1:])
            after = self.step(row, *before)
            if present is None:
                return after
            keep = present.dimshuffle(0, "x")
            return [T.switch(keep, new, old) for new, old in zip(after, before, strict=True)]

        histories, _ = scan(
            masked_step,
            sequences,
            states,
            go_backwards=self.backwards,
            name=self.name,
            return_list=True,
        )
        return [h[::-1] for h in histories] if self.backwards else histories


def _is_read(x):
    """Vrai si x est lu dans une table de vecteurs, qui n’a rien de faux à donner au bord non plus ;
    les réécritures la multiplient par W avant de la lire.
    """
    op = x.owner.op if x.owner is not None else None
    return isinstance(op, Subtensor) and op.template == ("a",) and x.owner.inputs[0].ndim == 2


class Recurrent(_Recurrence):
    """Une couche récurrente simple : h_t = activation(x_t W + h_{t-1} U + b).

    Paramètres
        n_in, n : nombres d’entrées et d’unités.
        activation : fonction d’expression à expression.
        W, U, b : formes (n_in, n), (n, n), (n,) ; initialisation, tableau ou variable partagée.
        backwards : lire les suites de la fin au début (les états sont rendus dans l’ordre de x).
        name, generator : ceux de `Dense`.

    Lève
        ShapeError, EngineError : comme `Dense`.

    Source
        J. Elman, « Finding Structure in Time », Cognitive Science, 1990.

    Exemple
        >>> import numpy as np
        >>> layer = Recurrent(3, 2, name="r", generator=np.random.default_rng(0))
        >>> layer(T.zeros((5, 4, 3))).eval().shape
        (5, 4, 2)
    """

    def __init__(self, n_in, n, activation=T.tanh, **options):
        super().__init__(n_in, n, **options)
        self.activation = activation

    def step(self, row, h):
        """Un pas : `row` est x_t W + b ; rend [h_t]."""
        return [self.activation(row + T.dot(h, self.U))]


class LSTM(_Recurrence):
    """Une couche à mémoire : une cellule c, et trois portes qui règlent ce qui y entre et en sort.

        i, f, o = sigmoid(...), c_t = f c_{t-1} + i tanh(...), h_t = o tanh(c_t),

    chaque « ... » étant un bloc de n colonnes de x_t W + h_{t-1} U + b, dans l’ordre i, f, o, g.

    Paramètres
        n_in, n : nombres d’entrées et d’unités.
        W, U, b : formes (n_in, 4n), (n, 4n), (4n,) ; initialisation, tableau ou variable partagée.
            Par défaut le biais de la porte d’oubli vaut 1 : au départ, la cellule se souvient.
        backwards, name, generator : ceux de `Recurrent`.

    Lève
        ShapeError, EngineError : comme `Dense`.

    Source
        Hochreiter et Schmidhuber, « Long Short-Term Memory », Neural Computation, 1997 ; Gers,
        Schmidhuber et Cummins, « Learning to Forget », Neural Computation, 2000 (porte d’oubli).

    Exemple
        >>> import numpy as np
        >>> layer = LSTM(3, 2, name="m", generator=np.random.default_rng(0))
        >>> h, c = layer.unfold(T.zeros((5, 4, 3)))
        >>> h.eval().shape, layer.b.get_value()
        ((5, 4, 2), array([0., 0., 1., 1., 0., 0., 0., 0.]))
    """

    n_blocks = 4
    n_states = 2

    def __init__(self, n_in, n, b=None, **options):
        super().__init__(n_in, n, b=constant if b is None else b, **options)
        if b is None:
            start = self.b.get_value()
            start[n : 2 * n] = 1
            self.b.set_value(start)

    def step(self, row, h, c):
        """Un pas : `row` est x_t W + b ; rend [h_t, c_t]."""
        i, f, o, g = self.blocks(row + T.dot(h, self.U))
        c = sigmoid(f) * c + sigmoid(i) * T.tanh(g)
        return [sigmoid(o) * T.tanh(c), c]


class GRU(_Recurrence):
    """Une couche à portes sans cellule : z dit ce que l’état garde, r ce que le candidat en lit.

        z, r = sigmoid(...), h_t = z h_{t-1} + (1 - z) tanh(x_t W_h + (r h_{t-1}) U_h + b_h),

    les blocs de n colonnes étant dans l’ordre z, r, h.

    Paramètres
        n_in, n : nombres d’entrées et d’unités.
        W, U, b : formes (n_in, 3n), (n, 3n), (3n,) ; initialisation, tableau ou variable partagée.
        backwards, name, generator : ceux de `Recurrent`.

    Lève
        ShapeError, EngineError : comme `Dense`.

    Source
        Cho et coll., « Learning Phrase Representations using RNN Encoder-Decoder for Statistical
        Machine Translation », EMNLP, 2014.

    Exemple
        >>> import numpy as np
        >>> layer = GRU(3, 2, name="g", generator=np.random.default_rng(0))
        >>> layer(T.zeros((5, 4, 3))).eval().shape
        (5, 4, 2)
    """

    n_blocks = 3

    def step(self, row, h):
        """Un pas : `row` est x_t W + b ; rend [h_t]."""
        n = self.n
        gates = sigmoid(row[:, : 2 * n] + T.dot(h, self.U[:, : 2 * n]))
        z, r = gates[:, :n], gates[:, n:]
        candidate = T.tanh(row[:, 2 * n :] + T.dot(r * h, self.U[:, 2 * n :]))
        return [z * h + (1 - z) * candidate]
