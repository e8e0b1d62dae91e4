"""Tirer des nombres à partir d’un état explicite : chaque fonction rend (état suivant, tirage).

Les lois sont écrites avec les fonctions du moteur à partir de deux tirages bruts, l’uniforme sur
[0, 1[ et la normale centrée réduite : `low + (high - low) u`, `avg + std z`. Le gradient par
rapport aux paramètres en découle. `engine.tensor.shared_randomstreams` tient les états à votre
place.

Partout, `size` est un entier, une suite d’entiers (symboliques ou non) ou un vecteur symbolique
d’entiers (avec `ndim` si sa longueur n’est pas connue) ; None ou (), la forme des paramètres.

Ordre de lecture : `new_state`, `uniform`, `normal`, `binomial`, `multinomial`, `choice`...
"""

import math
import operator
from functools import reduce

import numpy as np

from engine.core.dtypes import upcast
from engine.core.elemwise import cast
from engine.core.errors import DomainError, DtypeError, ShapeError
from engine.core.rewriting import scalar_value
from engine.core.settings import config
from engine.core.types import (
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor_variable,
    constant,
)
from engine.ops.arguments import as_length
from engine.ops.rng import AdvanceState, PickIndex, PoissonCount, RandomNormal, RandomUniform
from engine.ops.shape import known_length
from engine.ops.traversals import ArgSort
from engine.tensor.creation import arange
from engine.tensor.math import ELEMENTWISE

LARGEST_RANGE = 2**53  # au-delà, un uniforme float64 n’atteint plus chaque entier


def new_state(seed, stream=0):
    """L’état au départ d’un flux.

    Paramètres
        seed : entier (modulo 2**64), la clef.
        stream : numéro du flux ; deux flux d’une même clef ne se recoupent jamais.

    Renvoie
        Un vecteur de trois uint64 : clef, flux, position 0.

    Lève
        DomainError : `seed` n’est pas un entier.

    Exemple
        >>> new_state(42, stream=1)
        array([42,  1,  0], dtype=uint64)
    """
    try:
        key = operator.index(seed)
    except TypeError as error:
        raise DomainError(
            "une graine est un entier",
            received=repr(seed),
            expected="un entier, comme 0",
            hint="RandomStreams(0), ou RandomStreams() sans graine",
        ) from error
    return np.array([key % 2**64, stream, 0], dtype="uint64")


def _lengths(size, ndim, parameters, name):
    """Les longueurs demandées, une liste de scalaires entiers."""
    if size is None or (isinstance(size, list | tuple) and not size):
        lengths = _parameter_lengths(parameters)
    elif isinstance(size, list | tuple | np.ndarray):
        lengths = [as_length(length) for length in size]
    else:
        variable = as_tensor_variable(size)
        if variable.ndim == 0:
            lengths = [as_length(variable)]
        else:
            count = variable.type.shape[0] if variable.type.shape[0] is not None else ndim
            if count is None:
                raise ShapeError(
                    f"{name} : nombre d'axes inconnu", received=f"size = {variable}",
                    hint="précisez ndim=...",
                )  # fmt: skip
            lengths = [variable[k] for k in range(count)]
    if ndim is not None and ndim != len(lengths):
        raise ShapeError(
            f"{name} : size et ndim se contredisent", expected=f"{ndim} axe(s)",
            received=f"size de {len(lengths)} axe(s)",
        )  # fmt: skip
    for parameter in parameters:
        if parameter.ndim > len(lengths):
            raise ShapeError(
                f"{name} : un paramètre a plus d'axes que le tirage",
                expected=f"au plus {len(lengths)} axe(s)",
                received=f"{parameter} : {parameter.short()}",
                hint="donnez size=None pour prendre la forme des paramètres",
            )
    return lengths


def _parameter_lengths(parameters):
    if all(parameter.ndim == 0 for parameter in parameters):
        return []
    total = reduce(operator.add, parameters)
    return [
        total.shape[axis] if known is None else as_length(known)
        for axis, known in enumerate(total.type.shape)
    ]


def _float_dtype(dtype, *parameters):
    if dtype is not None:
        return TensorType(dtype).dtype
    return upcast(config.floatX, *(parameter.dtype for parameter in parameters))


def _check_constant(name, variable, allowed, expected):
    """Refuse tout de suite un paramètre connu d’avance et impossible."""
    if isinstance(variable, TensorConstant) and not allowed(variable.data).all():
        raise DomainError(
            f"{name} : paramètre impossible",
            expected=expected,
            received=str(variable.data),
            hint="vérifiez l'ordre des arguments, ou nommez-les",
        )


def _draw(op, state, lengths):
    return AdvanceState(op.words_per_item)(state, *lengths), op(state, *lengths)


def uniform(state, size=None, low=0.0, high=1.0, ndim=None, dtype=None):
    """Uniformes sur [low, high[ : `low + (high - low) u`, dérivable en `low` et en `high`.

    Paramètres
        state : état (vecteur de trois uint64).
        size, ndim : voir le module.
        low, high : bornes, nombres ou tableaux diffusables à `size`.
        dtype : float32 ou float64 ; par défaut floatX, ou plus large si les bornes le sont.
            L’arrondi de la somme peut atteindre `high` ; jamais avec les bornes 0 et 1.

    Renvoie
        (état suivant, tirage).

    Lève
        ShapeError : taille impossible. DtypeError : ni float32 ni float64.

    Exemple
        >>> following, draw = uniform(new_state(42), size=(2,), dtype="float64")
        >>> draw.eval().round(3)
        array([0.469, 0.341])
    """
    low, high = as_tensor_variable(low), as_tensor_variable(high)
    dtype = _float_dtype(dtype, low, high)
    lengths = _lengths(size, ndim, [low, high], "uniform")
    following, draw = _draw(RandomUniform(dtype), state, lengths)
    if scalar_value(low) == 0 and scalar_value(high) == 1:
        return following, draw
    low, high = cast(low, dtype), cast(high, dtype)
    return following, low + (high - low) * draw


def normal(state, size=None, avg=0.0, std=1.0, ndim=None, dtype=None):
    """Normales : `avg + std z`, dérivable en `avg` et en `std`.

    Paramètres
        state, size, ndim, dtype : comme `uniform`.
        avg, std : moyenne et écart type, nombres ou tableaux diffusables à `size`.

    Renvoie
        (état suivant, tirage).

    Lève
        DomainError : écart type négatif connu d’avance. ShapeError, DtypeError : comme `uniform`.

    Exemple
        >>> normal(new_state(42), size=(2,), dtype="float64")[1].eval().shape
        (2,)
    """
    avg, std = as_tensor_variable(avg), as_tensor_variable(std)
    _check_constant("normal", std, lambda s: s >= 0, "un écart type positif ou nul")
    dtype = _float_dtype(dtype, avg, std)
    lengths = _lengths(size, ndim, [avg, std], "normal")
    following, draw = _draw(RandomNormal(dtype), state, lengths)
    if scalar_value(avg) == 0 and scalar_value(std) == 1:
        return following, draw
    return following, cast(avg, dtype) + cast(std, dtype) * draw


def binomial(state, size=None, n=1, p=0.5, ndim=None, dtype="int64"):
    """Nombre de succès en `n` essais de probabilité `p` : n uniformes par élément, comparés à p.

    Paramètres
        state, size, ndim : comme `uniform`.
        n : nombre d’essais, entier Python, petit (le coût et la mémoire y sont proportionnels).
        p : probabilité, nombre ou tableau diffusable à `size`.
        dtype : dtype du résultat.

    Renvoie
        (état suivant, tirage).

    Lève
        DomainError : n négatif, ou p connu d’avance hors de [0, 1].

    Exemple
        >>> binomial(new_state(42), size=(5,), p=0.5)[1].eval()
        array([1, 1, 1, 1, 0])
    """
    n, p = _trials("binomial", n), p if isinstance(p, TensorVariable) else constant(p)
    _check_constant("binomial", p, lambda p: (p >= 0) & (p <= 1), "une probabilité entre 0 et 1")
    lengths = _lengths(size, ndim, [p], "binomial")
    kind = RandomUniform(p.dtype if p.dtype in ("float32", "float64") else "float64")
    if n == 1:
        following, draw = _draw(kind, state, lengths)
        return following, cast(draw < p, dtype)
    following, draw = _draw(kind, state, [*lengths, as_length(n)])
    return following, cast((draw < p.dimshuffle(*range(p.ndim), "x")).sum(axis=-1), dtype)


def poisson(state, size=None, lam=1.0, ndim=None, dtype="int64"):
    """Nombres d’événements rares et indépendants : loi de Poisson de moyenne `lam`.

    Paramètres
        state, size, ndim : comme `uniform`.
        lam : moyenne, nombre ou tableau diffusable à `size`.
        dtype : dtype du résultat.

    Renvoie
        (état suivant, tirage).

    Lève
        DomainError : moyenne négative (au calcul, sinon plus tôt).

    Exemple
        >>> poisson(new_state(42), size=(5,), lam=3.0)[1].eval()
        array([3, 2, 2, 3, 4])
    """
    lam = as_tensor_variable(lam)
    _check_constant("poisson", lam, lambda lam: lam >= 0, "une moyenne positive ou nulle")
    lengths = _lengths(size, ndim, [lam], "poisson")
    following, draw = _draw(RandomUniform("float64"), state, lengths)
    return following, cast(PoissonCount()(draw, lam), dtype)


def _trials(name, n):
    n = n.data if isinstance(n, TensorConstant) else n
    try:
        count = operator.index(n if not isinstance(n, np.ndarray) else n.item())
    except TypeError as error:
        raise DtypeError(
            f"{name} : le nombre d'essais est un entier connu d'avance", received=f"n = {n}"
        ) from error
    if count < 0:
        raise DomainError(f"{name} : nombre d'essais négatif", received=f"n = {count}")
    return count


def multinomial(state, size=None, n=1, pvals=None, ndim=None, dtype="int64"):
    """Tire `n` fois une catégorie et compte : pour n = 1, un « un parmi k » (one-hot).

    Paramètres
        state : état.
        size, ndim : forme sans l’axe des catégories ; par défaut celle de `pvals` sans le dernier.
        n : nombre de tirages, entier Python.
        pvals : probabilités, forme (..., k), de somme 1 sur le dernier axe.
        dtype : dtype du résultat.

    Renvoie
        (état suivant, comptes de forme (*size, k)).

    Lève
        DomainError : probabilités négatives ou de somme autre que 1 (au calcul, sinon plus tôt).

    Exemple
        >>> multinomial(new_state(42), pvals=[[0.0, 1.0, 0.0]])[1].eval()
        array([[0, 1, 0]])
    """
    n = _trials("multinomial", n)
    pvals = as_tensor_variable([0.5, 0.5] if pvals is None else pvals)
    if pvals.ndim == 0:
        raise ShapeError("multinomial : pvals a un axe au moins", received=str(pvals))
    rows = [pvals.shape[axis] for axis in range(pvals.ndim - 1)]
    given = size is not None and not (isinstance(size, list | tuple) and not size)
    lengths = _lengths(size, ndim, [], "multinomial") if given else rows
    categories = pvals.shape[pvals.ndim - 1]
    if len(lengths) == pvals.ndim - 1:
        weights, wanted = pvals, [*lengths, as_length(n)]
        following, draw = _draw(RandomUniform("float64"), state, wanted)
        chosen = PickIndex()(draw, weights)
    elif pvals.ndim == 1:
        following, draw = _draw(RandomUniform("float64"), state, [*lengths, as_length(n)])
        chosen = PickIndex()(draw.flatten(), pvals).reshape([*lengths, n])
    else:
        raise ShapeError(
            "multinomial : size et pvals ne vont pas ensemble",
            expected=f"{pvals.ndim - 1} axe(s), comme pvals sans le dernier",
            received=f"size de {len(lengths)} axe(s)",
        )
    marks = ELEMENTWISE["eq"](chosen.dimshuffle(*range(chosen.ndim), "x"), arange(categories))
    return following, cast(marks.sum(axis=chosen.ndim - 1), dtype)


def random_integers(state, size=None, low=0, high=1, ndim=None, dtype="int64"):
    """Entiers uniformes de `low` à `high`, les deux compris ; le reste comme `randint`.

    Exemple
        >>> random_integers(new_state(42), size=(5,), low=1, high=6)[1].eval()
        array([3, 3, 2, 3, 4])
    """
    high = high if isinstance(high, TensorVariable) else constant(np.asarray(high))
    above = (
        constant(high.data.astype("int64") + 1)
        if isinstance(high, TensorConstant)
        else cast(high, "int64") + 1
    )
    return randint(state, size, low, above, ndim, dtype)


def randint(state, size=None, low=0, high=2, ndim=None, dtype="int64"):
    """Entiers uniformes de `low` (compris) à `high` (non compris) : `low + ⌊(high - low) u⌋`.

    Paramètres
        state, size, ndim : comme `uniform`.
        low, high : entiers ou tableaux d’entiers, à moins de 2**53 l’un de l’autre.
        dtype : dtype du résultat.

    Renvoie
        (état suivant, tirage).

    Lève
        DomainError : intervalle vide ou trop grand, connu d’avance.

    Exemple
        >>> randint(new_state(42), size=(5,), low=0, high=10)[1].eval()
        array([4, 3, 3, 4, 6])
    """
    low, high = as_tensor_variable(low), as_tensor_variable(high)
    if isinstance(low, TensorConstant) and isinstance(high, TensorConstant):
        span = constant(high.data.astype("int64") - low.data.astype("int64"))
        _check_constant(
            "randint", span, lambda s: (s > 0) & (s < LARGEST_RANGE),
            "high - low entre 1 et 2**53",
        )  # fmt: skip
    low, high = cast(low, "int64"), cast(high, "int64")
    lengths = _lengths(size, ndim, [low, high], "randint")
    following, draw = _draw(RandomUniform("float64"), state, lengths)
    offset = cast((cast(high - low, "float64") * draw).floor(), "int64")
    return following, cast(low + offset, dtype)


def permutation(state, size=None, n=1, ndim=None, dtype="int64"):
    """Permutations de 0, 1, ..., n - 1, une par élément de `size`.

    Paramètres
        state, size, ndim : comme `uniform` ; la permutation est sur un axe de plus, le dernier.
        n : longueur, entier symbolique ou non.
        dtype : dtype du résultat.

    Renvoie
        (état suivant, permutations de forme (*size, n)).

    Lève
        ShapeError : longueur négative.

    Exemple
        >>> permutation(new_state(42), n=5)[1].eval()
        array([2, 1, 3, 0, 4])
    """
    lengths = [*_lengths(size, ndim, [], "permutation"), as_length(n)]
    following, keys = _draw(RandomUniform("float64"), state, lengths)
    return following, cast(ArgSort(keys.ndim - 1)(keys), dtype)


def shuffle_row_elements(state, input):
    """Rend `input` avec les éléments de son dernier axe mélangés, le même ordre pour tous.

    Paramètres
        state : état.
        input : tableau d’au moins un axe.

    Renvoie
        (état suivant, tableau de la forme de `input`).

    Exemple
        >>> shuffle_row_elements(new_state(42), np.arange(10, 15))[1].eval()
        array([12, 11, 13, 10, 14])
    """
    rows = as_tensor_variable(input)
    following, order = permutation(state, n=rows.shape[rows.ndim - 1])
    return following, rows[..., order]


def choice(state, size=None, a=2, replace=True, p=None, ndim=None, dtype="int64"):
    """Tire dans 0, ..., a - 1, ou parmi les éléments du vecteur `a`.

    Paramètres
        state, size, ndim : comme `uniform`.
        a : entier (symbolique ou non) ou vecteur.
        replace : avec remise ; sans remise, aucun élément ne revient deux fois dans le tirage.
        p : probabilités, vecteur de la longueur de `a` ; uniformes par défaut.
        dtype : dtype du résultat quand `a` est un entier ; un vecteur garde le sien.

    Renvoie
        (état suivant, tirage de forme `size`).

    Lève
        ShapeError : sans remise, plus de tirages que d’éléments (parfois vu au calcul).
        DomainError : probabilités négatives ou de somme autre que 1.

    Exemple
        >>> choice(new_state(42), size=(3,), a=5, replace=False)[1].eval()
        array([2, 1, 3])

    Source : sans remise et avec poids, on garde les plus petites clefs -ln(u) / p (Efraimidis et
    Spirakis, « Weighted random sampling with a reservoir », 2006).
    """
    a = as_tensor_variable(a)
    if a.ndim > 1:
        raise ShapeError("choice : a est un entier ou un vecteur", received=a.short())
    population = a.shape[0] if a.ndim else as_length(a)
    lengths = _lengths(size, ndim, [], "choice")
    weights = None if p is None else as_tensor_variable(p)
    if weights is not None and weights.ndim != 1:
        raise ShapeError("choice : p est un vecteur", received=weights.short())
    if weights is not None:
        _check_constant("choice", weights, lambda p: p >= 0, "des probabilités positives")
        _check_same_length(a, weights)
    count = reduce(operator.mul, lengths, as_length(1))
    if not replace:
        _check_enough(a, lengths)
        following, chosen = _without_replacement(state, population, weights, count)
    elif weights is None:
        following, chosen = randint(state, (count,), 0, population)
    else:
        following, draw = _draw(RandomUniform("float64"), state, [count])
        chosen = PickIndex()(draw, weights)
    chosen = chosen.reshape(lengths) if lengths else chosen[0]
    return following, a[chosen] if a.ndim else cast(chosen, dtype)


def _population(a):
    """Le nombre d’éléments où tirer, s’il est connu d’avance."""
    return a.type.shape[0] if a.ndim else known_length(a)


def _check_same_length(a, weights):
    known, given = _population(a), weights.type.shape[0]
    if None not in (known, given) and known != given:
        raise ShapeError(
            "choice : il faut autant de probabilités que d'éléments",
            expected=f"{known} probabilité(s)",
            received=f"{given}",
        )


def _check_enough(a, lengths):
    known, counts = _population(a), [known_length(length) for length in lengths]
    if known is not None and None not in counts and math.prod(counts) > known:
        raise ShapeError(
            "choice : pas assez d'éléments pour tirer sans remise",
            expected=f"au plus {known} tirage(s)",
            received=f"{math.prod(counts)} tirages",
        )


def _without_replacement(state, population, weights, count):
    following, keys = _draw(RandomUniform("float64"), state, [population])
    if weights is not None:
        keys = -(-keys).log1p() / cast(weights, "float64")  # -ln(1 - u) / p : infini si p = 0
    return following, ArgSort(0)(keys)[:count]
