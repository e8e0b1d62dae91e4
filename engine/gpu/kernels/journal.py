"""Le journal d’une section : ce que ses nœuds ont lancé sur le périphérique, ligne par ligne.

`Recorder` est une machine : elle fait ce que fait la vraie, et note. Un tableau s’y retient par sa
place (`Place`) : le numéro de sa zone, sa forme, ses pas ; la zone elle-même est rendue aussitôt.

Ordre de lecture : `Place`, `Event`, `Recorder`, `mapped`.
"""

from typing import NamedTuple

import numpy as np

from engine.gpu.kernels.arrays import DeviceArray
from engine.gpu.kernels.loops import ALIGNED


class Place(NamedTuple):
    """Un tableau du journal : la zone (son numéro, ou elle-même si elle n’est pas à la section)."""

    zone: object
    shape: tuple
    dtype: np.dtype
    strides: tuple
    offset: int

    def in_zone(self, zones):
        """Le tableau, une fois les zones connues : numéro -> zone."""
        zone = zones[self.zone] if isinstance(self.zone, int) else self.zone
        return DeviceArray(zone, self.shape, self.dtype, self.strides, self.offset)


class Event(NamedTuple):
    """Une ligne du journal : la méthode de la machine, et ses arguments.

    `outs` : les tableaux qu’elle écrit (None : on ne sait pas) ; `ins` : ceux qu’elle lit.
    """

    method: str
    arguments: tuple
    outs: tuple | None
    ins: tuple

    @property
    def places(self):
        """Tous ses tableaux."""
        return (*(self.outs or ()), *self.ins)

    @property
    def adapts(self):
        """Dit si elle s’accommode d’autres pas : une boucle terme à terme se relance."""
        return self.method == "loop"

    @property
    def copies(self):
        """Dit si elle ne fait que recopier un tableau."""
        if self.method == "copy":
            return True
        same = self.method == "loop" and self.arguments[0].copies
        return same and self.ins[0].shape == self.outs[0].shape

    @property
    def adds(self):
        """Dit si elle additionne deux tableaux de même forme."""
        same = self.method == "loop" and self.arguments[0].adds
        return same and self.ins[0].shape == self.ins[1].shape == self.outs[0].shape

    def mapped(self, function):
        """La même ligne, chaque tableau changé par `function`."""
        outs = self.outs and tuple(map(function, self.outs))
        arguments = mapped(function, Place, self.arguments)
        if self.method == "loop" and any(
            (old.strides, old.offset % ALIGNED) != (new.strides, new.offset % ALIGNED)
            for old, new in zip(self.places, (*outs, *map(function, self.ins)), strict=True)
        ):
            arguments = (*arguments[:-1], None)  # un autre lancement, le moment venu
        return self._replace(arguments=arguments, outs=outs, ins=tuple(map(function, self.ins)))


class Recorder:
    """Une machine qui fait ce que fait `inner`, et qui en tient le journal.

    `refused` dit pourquoi ce qui a été fait ne se rejoue pas : une valeur est revenue sur l’hôte.
    """

    def __init__(self, inner, resident):
        self.inner = inner
        self.events = []
        self.sizes, self.dtypes = [], []  # octets et type de chaque zone, par numéro
        self.refused = None
        self._numbers = {}  # id d’une zone -> numéro ; de -1 en descendant pour les résidentes
        self._fixed = {}  # zones écrites depuis l’hôte pendant la section : elles ne changent pas
        self._owned = set()  # numéros des zones qui sortent de la section
        self._recording = False
        for position, array in enumerate(resident):
            self._numbers.setdefault(id(array.buffer), -1 - position)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def begin(self, given):
        """À partir d’ici, on note ; `given` : ce qui vient d’être porté."""
        self._owned = {self._numbers.get(id(x.buffer)) for x in given}
        self._recording = True

    def end(self):
        """On ne note plus."""
        self._recording = False

    def allocate(self, size, dtype):
        """Une zone, numérotée."""
        zone = self.inner.allocate(size, dtype)
        self._numbers[id(zone)] = len(self.sizes)
        self._fixed.pop(id(zone), None)
        self.dtypes.append(np.dtype(dtype))
        self.sizes.append(max(size, 1) * self.dtypes[-1].itemsize)
        return zone

    def write(self, array, value):
        """Une valeur de l’hôte : la même à chaque fois, puisque la clef du plan la fixe."""
        self.inner.write(array, value)
        if self._recording:
            self._fixed[id(array.buffer)] = array.buffer

    def download(self, array):
        """Une valeur rapportée : la suite peut en dépendre, rien ne se rejoue."""
        if self._recording:
            self.refused = "une valeur revient sur l’hôte avant la fin"
        return self.inner.download(array)

    def launch(self, function, blocks, block, arguments):
        """Un noyau."""
        self.inner.launch(function, blocks, block, arguments)
        self._note("launch", (function, blocks, block, arguments), None, arguments)

    def copy(self, target, source):
        """Une copie d’une zone à l’autre."""
        self.inner.copy(target, source)
        self._note("copy", (target, source), (target,), (source,))

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme."""
        recording, self._recording = self._recording, False
        launch(*outs, *ins)
        self._recording = recording
        self._note("loop", (loop, shape, tuple(outs), tuple(ins), launch), outs, ins)

    def product(self, multiply, out, a, b):
        """Un produit ; fait d’un seul appel à une bibliothèque, il se note d’un bloc."""
        start = len(self.events)
        self.inner.product(multiply, out, a, b)
        if [event.method for event in self.events[start:]] == ["call"]:
            del self.events[start:]
            self._note("product", (multiply, out, a, b), (out,), (a, b))

    def call(self, function, *arguments):
        """Ce que fait une bibliothèque ; le premier argument est ce qu’elle écrit."""
        result = self.inner.call(function, *arguments)
        self._note("call", (function, *arguments), arguments[:1], arguments[1:])
        return result

    def own(self, array):
        """`array`, ou une copie si sa zone n’est pas toute à lui, ou pas née dans la section."""
        number = self._numbers.get(id(array.buffer), -1)
        size = max(array.size, 1) * array.dtype.itemsize
        alone = 0 <= number and array.offset == 0 and size == self.sizes[number]
        if alone and id(array.buffer) not in self._fixed and number not in self._owned:
            self._owned.add(number)
            return array
        return self.own(array.copy())

    def place(self, array):
        """Le tableau, tel que le journal le retient."""
        key = id(array.buffer)
        zone = array.buffer if key in self._fixed else self._numbers.get(key, array.buffer)
        return Place(zone, array.shape, array.dtype, array.strides, array.offset)

    def _note(self, method, arguments, outs, ins):
        if self._recording:
            lists = [
                None if row is None else tuple([self.place(x) for x in row if _is_array(x)])
                for row in (outs, ins)
            ]
            arguments = mapped(self.place, DeviceArray, arguments)
            self.events.append(Event(method, arguments, *lists))


def _is_array(x):
    return isinstance(x, DeviceArray)


def mapped(function, kind, items):
    """Les mêmes arguments, ceux de ce genre changés par `function`."""
    return tuple(
        function(item)
        if isinstance(item, kind)
        else mapped(function, kind, item)
        if type(item) is tuple
        else item
        for item in items
    )
