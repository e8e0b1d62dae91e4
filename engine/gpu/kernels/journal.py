"""Le journal d’une section : ce que ses nœuds ont lancé sur le périphérique, ligne par ligne.

`Recorder` est une machine : elle fait ce que fait la vraie, et note. Un tableau s’y retient par sa
place (`Place`) : le numéro de sa zone, sa forme, ses pas ; la zone elle-même est rendue aussitôt.

Ordre de lecture : `Place`, `Event`, `Recorder`, `mapped`.
"""

import collections
from typing import NamedTuple

import numpy as np

from engine.gpu.kernels.arrays import DeviceArray, contiguous_strides


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
    """Une ligne du journal : la méthode de la machine, et ses arguments."""

    method: str
    arguments: tuple

    def mapped(self, function):
        """La même ligne, chaque tableau changé par `function`."""
        return self._replace(arguments=mapped(function, Place, self.arguments))

    @property
    def places(self):
        """Tous ses tableaux."""
        found = []
        self.mapped(found.append)
        return found


class Recorder:
    """Une machine qui fait ce que fait `inner`, et qui en tient le journal.

    `refused` dit pourquoi ce qui a été fait ne se rejoue pas : une valeur est revenue sur l’hôte.
    """

    def __init__(self, inner, resident):
        self.inner = inner
        self.events = []
        self.sizes, self.dtypes = [], []  # octets et type de chaque zone, par numéro
        self.refused = None
        self.moves = {}
        self._step = 0  # le premier numéro que ce pas-ci d’une boucle a pu donner
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
        self._note("launch", (function, blocks, block, tuple(arguments)))

    def copy(self, target, source):
        """Une copie d’une zone à l’autre."""
        self.inner.copy(target, source)
        self._note("copy", (target, source))

    def call(self, function, *arguments):
        """Ce que fait une bibliothèque."""
        self.inner.call(function, *arguments)
        self._note("call", (function, *arguments))

    def next_step(self):
        """Un pas de boucle commence : ce que le précédent a calculé peut encore servir."""
        self._step = len(self.sizes)

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme, qui s’accommode d’autres pas."""
        recording, self._recording = self._recording, False
        launch(*outs, *ins)
        self._recording = recording
        self._note("loop", (loop, shape, tuple(outs), tuple(ins)))

    def become(self, target, source):
        """`target` prend les valeurs de `source`, qui, au rejeu, s’y écriront peut-être tout de
        suite (voir `settled`).

        Il faut que `source` soit toute une zone, née dans ce pas : rien, jusqu’ici, n’a touché à
        `target`, et ce qui la relira est de ce pas aussi.
        """
        number, place = self._numbers.get(id(source.buffer), -1), self.place(target)
        born_here = self._recording and number >= self._step and self._is_whole(source, number)
        position = len(self.events)
        self.inner.become(target, source)
        if born_here and isinstance(place.zone, int) and place.zone >= 0:
            self.moves[number] = position, place

    def settled(self):
        """Le journal, sans les copies qui s’évitent : une zone qui n’en a pas à elle loge là où
        elle devait être copiée.

        Si ce n’est pas d’un seul tenant, il faut que seules des boucles la parcourent, en entier.
        """
        homes, copies = {}, set()
        users = collections.defaultdict(list)
        for position, event in enumerate(self.events):
            for place in event.places:
                if isinstance(place.zone, int):
                    users[place.zone].append((position, event.method, place))
        for number, (position, target) in self.moves.items():
            flat = _is_flat(target)
            others = [(how, place) for k, how, place in users[number] if k != position]
            if flat or all(
                how == "loop" and place.shape == target.shape and _is_flat(place)
                for how, place in others
            ):
                homes[number] = target, flat
                copies.add(position)

        def moved(place):
            while isinstance(place.zone, int) and place.zone in homes:
                home, flat = homes[place.zone]
                place = (
                    place._replace(zone=home.zone, offset=home.offset + place.offset)
                    if flat
                    else home
                )
            return place

        return [event.mapped(moved) for k, event in enumerate(self.events) if k not in copies]

    def own(self, array):
        """`array`, ou une copie si sa zone n’est pas toute à lui, ou pas née dans la section."""
        number = self._numbers.get(id(array.buffer), -1)
        if self._is_whole(array, number):
            self._owned.add(number)
            return array
        return self.own(array.copy())

    def _is_whole(self, array, number):
        """Ce tableau est-il toute une zone née ici, qui ne loge ni n’appartient ailleurs ?"""
        size = max(array.size, 1) * array.dtype.itemsize
        whole = 0 <= number and array.offset == 0 and size == self.sizes[number]
        busy = id(array.buffer) in self._fixed or number in self._owned or number in self.moves
        return whole and array.is_contiguous and not busy

    def place(self, array):
        """Le tableau, tel que le journal le retient."""
        key = id(array.buffer)
        zone = array.buffer if key in self._fixed else self._numbers.get(key, array.buffer)
        return Place(zone, array.shape, array.dtype, array.strides, array.offset)

    def _note(self, method, arguments):
        if self._recording:
            self.events.append(Event(method, mapped(self.place, DeviceArray, arguments)))


def _is_flat(place):
    rows = zip(place.shape, place.strides, contiguous_strides(place.shape), strict=True)
    return all(length == 1 or step == wanted for length, step, wanted in rows)


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
