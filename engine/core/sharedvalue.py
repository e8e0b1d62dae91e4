"""Les variables partagées : des entrées implicites, qui gardent leur valeur d’un appel à l’autre.

Ordre de lecture : `Storage` (ce qu’un dos de calcul doit fournir), `SharedVariable`, `shared`.
"""

import weakref

import numpy as np

from engine.core.errors import DtypeError
from engine.core.graph import Variable
from engine.core.registry import part
from engine.core.settings import config
from engine.core.turns import Turn, take
from engine.core.types import FLOATS, TensorType, TensorVariable, as_numbers


class Storage:
    """La case qui contient la valeur d’une variable partagée, en mémoire de l’hôte.

    Un autre dos de calcul fournit la sienne, avec les mêmes `get`, `set` et `turn` : qui lit la
    valeur pour en écrire une autre tient ce tour du début à la fin.
    """

    __slots__ = ("__weakref__", "data", "turn")
    on_device = False

    def __init__(self, data):
        self.data = data
        self.turn = Turn(self)

    def __reduce__(self):
        return Storage, (self.data,)

    def get(self, borrow):
        """La valeur ; sans `borrow`, une copie."""
        return self.data if borrow else self.data.copy()

    def set(self, value, borrow):
        """Range `value` ; sans `borrow`, une copie."""
        self.data = value if borrow else value.copy()


class SharedVariable(TensorVariable):
    """Une variable symbolique qui porte une valeur, lue et mise à jour par les fonctions compilées.

    `default_update`, s’il est posé, est la mise à jour que toute fonction qui utilise la variable
    applique, sauf mention contraire.
    """

    def __init__(self, type, storage, name=None):
        super().__init__(type, name=name)
        self.storage = storage
        if storage.on_device:
            storage.owner = weakref.ref(self)  # pour dire qui tient la mémoire
        self.default_update = None

    def get_value(self, borrow=False, return_internal_type=False):
        """Rend la valeur : une copie, ou le tableau interne si `borrow` (rapide, à ne pas
        modifier).

        `return_internal_type` : telle qu’elle est rangée ; un `DeviceArray` si elle est sur un
        GPU, d’où elle ne bouge pas.
        """
        if return_internal_type:
            return self.storage.data if borrow else self.storage.data.copy()
        return self.storage.get(borrow)

    def set_value(self, value, borrow=False):
        """Remplace la valeur ; le dtype et le nombre d’axes ne changent pas, la forme le peut.

        Lève
            DtypeError, ShapeError : la valeur ne va pas au type de la variable.
        """
        exchange = _exchange(value)
        if exchange is not None:
            kept, borrow = exchange.kept(value, self.type, self.storage, borrow), True
        else:
            kept = self.type.filter(value, allow_downcast=None)
            borrow = borrow and kept is value
        turn = take(self.storage)
        try:
            self.storage.set(kept, borrow)
        finally:
            if turn is not None:
                turn.free = True

    def clone(self):
        """Une variable partagée reste elle-même d’une copie du graphe à l’autre."""
        return self

    def sibling(self):
        """Une autre variable, de même valeur à tout moment : les deux ont la même case."""
        return SharedVariable(self.type, self.storage, self.name)


def _storage_class(type_):
    """La case qui convient : celle du périphérique, sauf pour un entier seul (un compteur)."""
    if config.device == "cpu" or (type_.ndim == 0 and type_.dtype not in FLOATS):
        return Storage
    return part("cuda", "storage").DeviceStorage


def _exchange(value):
    """Ce qui sait recevoir un tableau venu d’un périphérique ; None pour une valeur de l’hôte."""
    if isinstance(value, np.ndarray | np.generic | int | float | list | tuple):
        return None  # rien ne se charge pour répondre non
    marked = hasattr(value, "__cuda_array_interface__") or hasattr(value, "__dlpack_device__")
    exchange = part("cuda", "exchange") if marked else None
    return exchange if marked and exchange.is_foreign(value) else None


def shared(
    value, name=None, strict=False, allow_downcast=None, borrow=False, broadcastable=None,
    dims=None, target=None,
):  # fmt: skip
    """Rend une variable partagée de valeur initiale `value`.

    Paramètres
        value : nombre ou tableau. Un flottant Python prend `floatX`, un entier Python int64,
            NumPy garde son dtype ; un tableau d’un GPU (un `DeviceArray`, celui de PyTorch ou de
            CuPy) y reste si la variable y est.
        borrow : garder le tableau lui-même plutôt qu’une copie.
        broadcastable : booléens, un par axe ; par défaut aucun axe n’est tenu à la longueur 1.
        dims : noms des axes, pour les messages et les dessins ; ils ne changent aucun résultat.
        target : où ranger la valeur, « cpu », « cuda1 »… ; par défaut, le réglage `device`.

    Lève
        DtypeError : la valeur est symbolique ou n’est pas numérique.

    Exemple
        >>> W = shared(np.zeros((784, 10), dtype="float32"), name="W")
        >>> W.type, W.get_value().shape
        (TensorType(float32, (?, ?)), (784, 10))
    """
    if target is not None:
        with config.change_flags(device=target):
            return shared(value, name, strict, allow_downcast, borrow, broadcastable, dims)
    if isinstance(value, Variable):
        raise DtypeError(
            "une variable partagée part d'une valeur, pas d'une expression",
            received=f"la variable {value}",
            hint="donnez un tableau NumPy ; elle évoluera par les mises à jour de function",
            expected="un nombre ou un tableau",
        )
    exchange = _exchange(value)
    data = as_numbers(value) if exchange is None else exchange.as_device_array(value)
    ours = exchange is None and not isinstance(value, np.ndarray | np.generic)
    if ours and data.dtype.name in FLOATS:
        data = data.astype(config.floatX)
    type_ = TensorType(
        data.dtype, broadcastable if broadcastable is not None else (False,) * data.ndim
    )
    kind = _storage_class(type_)
    if exchange is not None:
        storage = kind(exchange.kept(data, type_, kind, borrow))
    else:
        filtered = type_.filter(data, strict=strict, allow_downcast=allow_downcast)
        storage = kind(filtered if borrow and filtered is value else filtered.copy())
    variable = SharedVariable(type_, storage, name=name)
    if dims is not None:
        variable.dims = dims
    return variable
