"""Les variables partagées du périphérique : leur valeur y reste d’un appel à l’autre.

Une case a deux zones : un plan (`plans`) lit l’une et écrit l’autre ; poser la nouvelle valeur les
échange. `holders` dit qui tient combien de mémoire.

Ordre de lecture : `DeviceStorage`, `holders`.
"""

import weakref

from engine.core.turns import Turn
from engine.gpu.kernels.arrays import DeviceArray, empty, upload
from engine.gpu.kernels.faults import check

_alive = weakref.WeakSet()


class DeviceStorage:
    """La case d’une variable partagée, en mémoire du périphérique ; voir `sharedvalue.Storage`.

    Exemple
        >>> import numpy as np
        >>> case = DeviceStorage(np.ones(2, "float32"))
        >>> case.data, case.get(borrow=False)
        (<tableau du périphérique : float32 (2,)>, array([1., 1.], dtype=float32))
    """

    __slots__ = ("__weakref__", "_data", "_is_ours", "owner", "spare", "turn")
    on_device = True

    def __init__(self, data):
        self.turn = Turn(self)
        self.owner = None  # une référence faible à la variable partagée
        self.spare = None
        self._data = None
        self._is_ours = False  # la zone de `_data` est-elle à nous seuls ?
        _alive.add(self)
        self.set(data, borrow=False)

    def __reduce__(self):
        return DeviceStorage, (self.get(borrow=True),)

    @property
    def data(self):
        """Le tableau du périphérique."""
        return self._data

    @data.setter
    def data(self, value):
        if not isinstance(value, DeviceArray):  # calculée par l’hôte
            self.set(value, borrow=False)
            return
        spare = self.spare
        kind = value.shape, value.dtype
        if value is not spare and spare is not None and kind == (spare.shape, spare.dtype):
            spare.take(value)
            value = spare
        ours = value is spare
        if ours:
            self.spare = self._data if self._is_ours else None
        self._data, self._is_ours = value, ours

    def room(self, shape, dtype):
        """Un tableau à remplir, prêt à devenir `data` : la zone qui ne sert pas."""
        spare = self.spare
        if spare is None or spare.shape != shape or spare.dtype != dtype:
            self.spare = spare = empty(shape, dtype)
        return spare

    def housed(self, value):
        """Une valeur calculée hors d’un plan, dans cette zone : un plan ne connaît que
        les nôtres.
        """
        room = self.room(value.shape, value.dtype)
        room.take(value)
        return room

    def given(self, array):
        """Ce que la section rend du tableau qu’elle a mis là : lui-même."""
        return array

    def get(self, borrow):
        """La valeur, rapportée sur l’hôte."""
        value = self._data.to_host()
        check(self._data.rank)
        return value

    def set(self, value, borrow):
        """Porte `value` sur le périphérique ; à forme égale, la zone reste la même."""
        old = self._data
        if isinstance(value, DeviceArray):
            self._data = value if borrow else value.copy()
        elif self._is_ours and old.shape == value.shape:
            old.machine.write(old, value)
        else:
            self._data = upload(value, None if old is None else old.rank)
        self._is_ours = not (borrow and self._data is value)


class OutputPlace:
    """La place d’une sortie qui reste sur la carte : la même à chaque appel.

    `lent` : elle est rendue telle quelle, et l’appel suivant y écrira ; sinon une copie.
    """

    def __init__(self, lent):
        self.lent, self._array = lent, None

    def room(self, shape, dtype):
        """Le tableau à remplir."""
        found = self._array
        if found is None or found.shape != shape or found.dtype != dtype:
            self._array = found = empty(shape, dtype)
        return found

    def housed(self, value):
        """Une valeur calculée hors d’un plan, à cette place."""
        room = self.room(value.shape, value.dtype)
        room.take(value)
        return room

    def given(self, array):
        """Ce que la section rend de cette place."""
        return array if self.lent else array.copy()


def holders():
    """Qui tient la mémoire, du plus gros au plus petit : [(nom, octets)]."""
    sizes = {}
    for storage in _alive:
        arrays = [array for array in (storage.data, storage.spare) if array is not None]
        variable = storage.owner and storage.owner()
        name = getattr(variable, "name", None) or "variable partagée sans nom"
        sizes[name] = sizes.get(name, 0) + sum(array.nbytes for array in arrays)
    return sorted(sizes.items(), key=lambda row: -row[1])
