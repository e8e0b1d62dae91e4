"""Le hasard : Philox 4x32-10, un générateur à compteur, et ce que l’on en tire.

Un générateur à compteur n’a pas de mémoire : le bloc numéro i d’un flux est une fonction de (clef,
flux, i), quatre mots de 32 bits brouillés par dix tours de multiplications. Tirer est donc une
opération pure : elle lit un état et ne change rien ; `AdvanceState` donne l’état d’après.

L’état est un vecteur de trois uint64 : la clef, le numéro du flux, la position (le prochain bloc).
Le compteur de 128 bits de Philox est (position, flux) : deux flux d’une même clef ne se recoupent
jamais. Le mot j du tirage est le mot j % 4 du bloc position + j // 4 ; l’élément i d’un tirage
float32 vient du mot i, celui d’un tirage float64 des mots 2i (faible) et 2i + 1 (fort).

Ordre de lecture : `philox`, `state_words`, `RandomUniform`, `RandomNormal`, `AdvanceState`,
`PickIndex`, `PoissonCount`.

Source : Salmon, Moraes, Dror, Shaw, « Parallel random numbers: as easy as 1, 2, 3 », SC 2011.
"""

import math

import numpy as np

from engine.core.dtypes import in_float32
from engine.core.errors import DomainError, DtypeError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorConstant, TensorType, as_tensor_variable
from engine.ops.arguments import as_length

STATE_LENGTH = 3
WORDS_PER_BLOCK = 4
ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85  # le nombre d’or et √3 - 1, sur 32 bits
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_WORDS_PER_ITEM = {"float32": 1, "float64": 2}
SUM_TOLERANCE = 1e-3  # écart toléré entre 1 et la somme de probabilités
_STATE = np.array([0x0123456789ABCDEF, 7, 2**32 - 1], dtype="uint64")


def philox(counter, key):
    """Brouille des compteurs : dix tours de Philox 4x32.

    Paramètres
        counter : quatre tableaux uint64 de même forme, chacun un mot de 32 bits.
        key : deux entiers de 32 bits.

    Renvoie
        Quatre tableaux uint64, chacun un mot de 32 bits.

    Exemple
        >>> zero = np.zeros(1, dtype="uint64")
        >>> [f"{word[0]:08x}" for word in philox([zero] * 4, (0, 0))]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        left, right = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2  # 64 bits : poids fort, faible
        c0, c1, c2, c3 = (
            (right >> _SHIFT) ^ c1 ^ np.uint64(k0),
            right & _LOW,
            (left >> _SHIFT) ^ c3 ^ np.uint64(k1),
            left & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def state_words(state, count):
    """Les `count` premiers mots de 32 bits que donne un état, en uint64.

    Paramètres
        state : vecteur de trois uint64 (clef, flux, position).
        count : nombre de mots.
    """
    if state.shape != (STATE_LENGTH,):
        raise ShapeError(
            "état d'un générateur aléatoire",
            expected=f"un vecteur de {STATE_LENGTH} uint64 : clef, flux, position",
            received=f"forme {state.shape}",
        )
    key, stream, _ = (int(word) for word in state)
    position = state[2] + np.arange(_blocks(count), dtype="uint64")
    high = np.full_like(position, stream)
    counter = position & _LOW, position >> _SHIFT, high & _LOW, high >> _SHIFT
    words = philox(counter, (key & 0xFFFFFFFF, key >> 32))
    return np.stack(words, axis=-1).reshape(-1)[:count]


def _blocks(count):
    return -(-count // WORDS_PER_BLOCK)


def output_shape(lengths):
    """La forme demandée, en entiers Python ; lève ShapeError si une longueur est négative."""
    shape = tuple(int(length) for length in lengths)
    if any(length < 0 for length in shape):
        raise ShapeError(
            "tirage d'une taille impossible",
            expected="des longueurs positives",
            received=str(shape),
        )
    return shape


def _entries(state, lengths):
    """L’état et les longueurs, vérifiés."""
    state = as_tensor_variable(state)
    if state.dtype != "uint64" or state.ndim != 1:
        raise DtypeError(
            "état d'un générateur aléatoire",
            expected=f"un vecteur de {STATE_LENGTH} uint64 : clef, flux, position",
            received=f"{state} : {state.short()}",
        )
    lengths = [as_length(length) for length in lengths]
    output_shape(length.data for length in lengths if isinstance(length, TensorConstant))
    return [state, *lengths]


class _Draw(Op):
    """Un tableau aléatoire de la forme donnée, fonction pure de l’état."""

    __props__ = ("dtype",)

    def __init__(self, dtype):
        if dtype not in _WORDS_PER_ITEM:
            raise DtypeError(
                "tirage aléatoire",
                expected=" ou ".join(_WORDS_PER_ITEM),
                received=str(dtype),
                hint=f"convertissez le tirage : .astype('{dtype}')",
            )
        self.dtype = dtype

    @property
    def words_per_item(self):
        """Combien de mots de 32 bits un élément consomme."""
        return _WORDS_PER_ITEM[self.dtype]

    def words_needed(self, count):
        """Combien de mots lire pour `count` éléments."""
        return self.words_per_item * count

    def from_words(self, words, count):
        """Les `count` éléments, en un vecteur, que donnent ces mots."""
        raise NotImplementedError(f"{type(self).__name__}.from_words")

    def make_node(self, state, *lengths):
        entries = _entries(state, lengths)
        static = [
            int(length.data) if isinstance(length, TensorConstant) else None
            for length in entries[1:]
        ]
        return Apply(self, entries, [TensorType(self.dtype, shape=static)()])

    def infer_shape(self, node, input_shapes):
        return [tuple(node.inputs[1:])]

    def perform(self, node, inputs, output_storage):
        state, *lengths = inputs
        shape = output_shape(lengths)
        count = int(np.prod(shape, dtype="int64"))
        words = state_words(state, self.words_needed(count))
        output_storage[0][0] = self.from_words(words, count).reshape(shape)

    def L_op(self, inputs, outputs, output_grads):
        return [None] * len(inputs)

    @classmethod
    def variants(cls):
        return [cls("float32"), cls("float64")]

    def samples(self):
        pair, triple = np.array(2), np.array(3)
        return [[_STATE], [_STATE, triple], [_STATE, pair, triple], [_STATE, np.array(0), pair]]


class RandomUniform(_Draw):
    """Des uniformes sur [0, 1[, exacts au bit : 24 bits de hasard en float32, 53 en float64."""

    def from_words(self, words, count):
        if self.dtype == "float32":
            return (words >> np.uint64(8)).astype("float32") * np.float32(2.0**-24)
        return (_join(words) >> np.uint64(11)).astype("float64") * 2.0**-53

    def __str__(self):
        return f"uniforme{{{self.dtype}}}"

    __repr__ = __str__


class RandomNormal(_Draw):
    """Des normales centrées réduites, par paires, par la méthode de Box et Muller.

    z = √(-2 ln u) (cos 2πv, sin 2πv), u et v uniformes sur ]0, 1[. Le calcul se fait en float64,
    l’angle ramené exactement entre -π/4 et π/4 : à moins de 4 ulp de la valeur exacte en float64,
    à moins de 1 ulp en float32.

    Source : Box et Muller, « A note on the generation of random normal deviates », 1958.
    """

    def words_needed(self, count):
        return self.words_per_item * (count + count % 2)

    def from_words(self, words, count):
        if self.dtype == "float32":
            u, v = ((words[k::2].astype("float64") + 0.5) * 2.0**-32 for k in (0, 1))
        else:
            bits = (_join(words) >> np.uint64(12)).astype("float64")
            u, v = ((bits[k::2] + 0.5) * 2.0**-52 for k in (0, 1))
        quarter = np.floor(4 * v + 0.5)
        angle = 2 * np.pi * (v - quarter / 4)  # la différence est exacte
        near, far = np.cos(angle), np.sin(angle)
        turned = quarter.astype("int64") % 4
        cosine = np.choose(turned, [near, -far, -near, far])
        sine = np.choose(turned, [far, near, -far, -near])
        radius = np.sqrt(-2 * np.log(u))
        pairs = np.stack([radius * cosine, radius * sine], axis=-1)
        return pairs.reshape(-1)[:count].astype(self.dtype)

    def __str__(self):
        return f"normale{{{self.dtype}}}"

    __repr__ = __str__


def _join(words):
    """Deux mots de 32 bits, le faible puis le fort, en un de 64."""
    return words[0::2] | (words[1::2] << _SHIFT)


class AdvanceState(Op):
    """L’état qui suit un tirage de la forme donnée ; `words` : mots de 32 bits par élément."""

    __props__ = ("words",)

    def __init__(self, words):
        self.words = words

    def make_node(self, state, *lengths):
        entries = _entries(state, lengths)
        return Apply(self, entries, [entries[0].type()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        state, *lengths = inputs
        count = int(np.prod(output_shape(lengths), dtype="int64"))
        result = state.copy()
        result[2:] += np.uint64(_blocks(self.words * count))
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [None] * len(inputs)

    @classmethod
    def variants(cls):
        return [cls(1), cls(2)]

    def samples(self):
        return RandomUniform("float32").samples()

    def __str__(self):
        return "avancer"


class PickIndex(Op):
    """Le rang tiré par chaque uniforme : le premier k tel que p_0 + ... + p_k dépasse u Σ p.

    `uniforms` a la forme (..., n), `weights` (..., k), mêmes premiers axes ; le résultat, int64, a
    la forme de `uniforms`. Un rang de probabilité nulle n’est jamais tiré.
    """

    def make_node(self, uniforms, weights):
        uniforms, weights = as_tensor_variable(uniforms), as_tensor_variable(weights)
        if weights.ndim == 0 or weights.ndim != uniforms.ndim:
            raise ShapeError(
                "tirer des rangs : uniformes et probabilités ont autant d'axes, au moins un",
                received=f"{uniforms.short()} et {weights.short()}",
            )
        if weights.dtype not in FLOATS:
            raise DtypeError(
                "les probabilités sont des flottants", expected="float32 ou float64",
                received=weights.dtype,
            )  # fmt: skip
        if isinstance(weights, TensorConstant):
            _check_probabilities(weights.data)
        return Apply(self, [uniforms, weights], [TensorType("int64", shape=uniforms.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        uniforms, weights = inputs
        if uniforms.shape[:-1] != weights.shape[:-1]:
            raise ShapeError(
                "tirer des rangs : une ligne de probabilités par ligne tirée",
                expected=f"{uniforms.shape[:-1]} et un axe", received=str(weights.shape),
            )  # fmt: skip
        _check_probabilities(weights)
        sums = weights.cumsum(axis=-1, dtype="float64")[..., np.newaxis, :]
        targets = uniforms.astype("float64")[..., np.newaxis] * sums[..., -1:]
        output_storage[0][0] = (targets >= sums).sum(axis=-1, dtype="int64")

    def L_op(self, inputs, outputs, output_grads):
        return [None, None]

    def samples(self):
        weights = np.array([[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]])
        uniforms = np.array([[0.0, 0.25, 0.5, 0.99], [0.0, 0.1, 0.5, 0.99]])
        return [[uniforms, weights], [uniforms[0], weights[0]], [uniforms[:0], weights[:0]]]


class PoissonCount(Op):
    """Le nombre que tire chaque uniforme u : le plus petit k tel que u < P(X <= k), X de Poisson.

    La somme des probabilités part de 9 écarts types sous la moyenne : au-dessous, moins de 1e-18.
    """

    host_only = "aucun noyau : un comptage rare, sur l’hôte"

    def make_node(self, uniforms, mean):
        uniforms, mean = as_tensor_variable(uniforms), as_tensor_variable(mean)
        if mean.ndim > uniforms.ndim:
            raise ShapeError("poisson : la moyenne a plus d'axes que le tirage",
                             received=f"{mean.short()} et {uniforms.short()}")  # fmt: skip
        return Apply(self, [uniforms, mean], [TensorType("int64", shape=uniforms.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        uniforms, mean = inputs
        if not (mean >= 0).all() or np.isinf(mean).any():
            raise DomainError(
                "poisson : moyenne impossible",
                expected="des nombres positifs ou nuls",
                received=f"la plus petite : {mean.min()}",
            )
        lam = np.broadcast_to(mean, uniforms.shape).astype("float64").ravel()
        reach = 9 * np.sqrt(lam) + 10
        k = np.floor(np.maximum(lam - reach, 0))
        factorials = np.array([math.lgamma(n + 1) for n in k])
        p = np.exp(np.where(k == 0, 0, k * np.log(np.maximum(lam, 1))) - lam - factorials)
        u, total = uniforms.ravel(), p.copy()
        left = np.flatnonzero(u >= total)
        while left.size:
            k[left] += 1
            p[left] *= lam[left] / k[left]
            total[left] += p[left]
            left = left[(u[left] >= total[left]) & (k[left] < lam[left] + reach[left])]
        output_storage[0][0] = k.astype("int64").reshape(uniforms.shape)

    def L_op(self, inputs, outputs, output_grads):
        return [None, None]

    def samples(self):
        return [[np.array([[0.0, 0.3, 0.999], [0.5, 0.9, 0.1]]), np.array([0.0, 2.5, 800.0])]]


def _check_probabilities(weights):
    """Lève une erreur si des probabilités sont négatives ou de somme autre que 1."""
    sums = weights.sum(axis=-1, dtype="float64")
    lowest = weights.min(initial=np.inf)
    if lowest >= 0 and (abs(sums - 1) <= SUM_TOLERANCE).all():
        return
    worst = sums.flat[np.nan_to_num(abs(sums - 1), nan=np.inf).argmax()]
    raise DomainError(
        "probabilités impossibles",
        expected="des nombres positifs, de somme 1 sur le dernier axe",
        received=f"la plus petite : {lowest} ; somme la plus loin de 1 : {worst}",
        hint="normalisez-les : p / p.sum(axis=-1, keepdims=True), ou softmax",
    )
