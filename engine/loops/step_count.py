"""Le nombre de pas d’une boucle, quand on l’a demandé : vérifié avant que rien ne s’en serve."""

import numpy as np

from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import TensorType
from engine.ops.arguments import as_length


class StepCount(Op):
    """Le nombre de pas demandé, s’il est possible : ni négatif, ni plus grand qu’une séquence.

    Ce que la boucle calcule dépend de lui, même réécrit hors d’elle : aucun mode ne lit au-delà
    d’une séquence.

    Paramètres
        loop : le nom de la boucle, pour le message.
        sequences : ceux des séquences, dont les longueurs suivent le nombre demandé.
    """

    host_only = "un nombre de pas, que l’hôte lit"
    __props__ = ("loop", "sequences")

    def __init__(self, loop="scan", sequences=()):
        self.loop = loop
        self.sequences = tuple(sequences)

    def make_node(self, asked, *lengths):
        inputs = [as_length(asked), *map(as_length, lengths)]
        return Apply(self, inputs, [TensorType("int64")()])

    def infer_shape(self, node, input_shapes):
        return [()]

    def perform(self, node, inputs, output_storage):
        asked, *lengths = map(int, inputs)
        if asked < 0:
            raise negative_count(self.loop, asked)
        for name, length in zip(self.sequences, lengths, strict=True):
            if length < asked:
                raise too_short(self.loop, asked, name, length)
        output_storage[0][0] = np.array(asked, "int64")

    def L_op(self, inputs, outputs, output_grads):
        return [None] * len(inputs)

    @classmethod
    def variants(cls):
        return [cls(), cls("scan", ("x",))]

    def samples(self):
        return [[np.array(steps), *(np.array(4) for _ in self.sequences)] for steps in (3, 0, 4)]

    def __str__(self):
        return f"pas{{{self.loop}}}"


def negative_count(loop, asked):
    """L’erreur d’un nombre de pas négatif."""
    return ShapeError(
        f"{loop} : nombre de pas négatif", expected="0 ou plus", received=str(asked),
        hint="n_steps compte les pas ; pour parcourir à rebours, go_backwards=True",
    )  # fmt: skip


def too_short(loop, asked, sequence, length):
    """L’erreur d’une séquence qui a moins de lignes que de pas."""
    return ShapeError(
        f"{loop} : une séquence n'a pas une ligne par pas",
        expected=f"{asked} ligne(s)",
        received=f"{length} ligne(s) pour {sequence}",
        hint="donnez un n_steps d'au plus la longueur de la plus courte séquence",
    )
