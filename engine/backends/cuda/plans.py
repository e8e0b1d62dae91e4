"""Rejouer d’un bloc ce qu’une fonction a lancé sur le périphérique.

À formes égales, une fonction compilée lance toujours les mêmes noyaux, avec les mêmes nombres. Au
premier appel, `Recorder` fait tourner ses nœuds un à un et tient le journal de leurs lancements ; à
partir du suivant, `Plan` rejoue ce journal sans repasser par Python : sur un GPU, il est capturé en
un graphe CUDA, lancé d’un seul appel au pilote.

Le journal dit aussi quand chaque zone de mémoire sert pour la première et la dernière fois. Un plan
loge donc toutes les siennes dans une arène, la même pour tous : rien n’y vit d’un appel à l’autre.
Une variable partagée a deux zones : le plan lit l’une et écrit l’autre, et la mise à jour est leur
échange, posé à la fin par la fonction. Jusque-là rien n’a changé : un appel interrompu, ou qui
échoue, ne laisse pas de traces.

Ordre de lecture : `Section` (ce qu’appelle le programme émis), `Recorder`, `Plan`, `layout`.
"""

from typing import NamedTuple

import numpy as np

from engine.backends.cuda import faults
from engine.backends.cuda.arrays import DeviceArray, upload
from engine.backends.cuda.loops import ALIGNED
from engine.backends.cuda.machines import aligned, machine, replace
from engine.backends.cuda.settling import settle
from engine.backends.cuda.views import contiguous
from engine.settings import config
from engine.typography import typeset

MAX_PLANS = 256  # formes et valeurs d’hôte (un numéro de lot…) dont une section garde le plan
MAX_BOUND = 8  # états des variables partagées (laquelle de leurs zones) d’un plan


class Section:
    """La partie d’une fonction que calcule le périphérique, d’un seul tenant.

    Paramètres
        storages : les cases des variables que ses mises à jour écrivent.

    `run` : la fonction des tableaux du périphérique et des valeurs de l’hôte qui la calcule ; elle
    rend (ce qui revient sur l’hôte, ce qui met à jour, des valeurs de l’hôte). `replays` : les
    appels rejoués, en nombre. `why` : pourquoi ils ne peuvent pas l’être.
    """

    def __init__(self, storages):
        self.run = None  # posée une fois le programme écrit
        self.storages = storages
        self.plans = {}
        self.replays = 0
        self.why = None

    def __call__(self, uploaded, host, resident):
        """Calcule, en rejouant si ces formes sont connues.

        Paramètres
            uploaded : tableaux à porter sur le périphérique.
            host : valeurs qui restent sur l’hôte (longueurs, indices) : elles décident du plan.
            resident : tableaux qui sont déjà sur le périphérique.
        """
        key = (
            tuple([x.shape for x in uploaded]),
            tuple([v.tolist() if isinstance(v, np.ndarray | np.generic) else v for v in host]),
            tuple([(x.shape, x.strides, x.offset) for x in resident]),
        )
        key = _frozen(key) if host else key
        plan = self.plans.get(key)
        if plan is not None:
            self.replays += 1
            return plan.replay(uploaded, resident, self.storages)
        return self._first(key, uploaded, host, resident)

    def __str__(self):
        return typeset(f"rien : {self.why}" if self.why else f"{self.replays} appel(s)")

    def _first(self, key, uploaded, host, resident):
        """Un premier appel à ces formes : nœud par nœud, et son journal."""
        if config.gpu_replay == "off" or self.why:
            brought, updated, values = self.run(*map(_on_device, uploaded), *host, *resident)
            return [_to_host(x) for x in brought], updated, values
        recorder = Recorder(machine(), resident)
        before = replace(recorder)
        try:
            given = [x.copy() if isinstance(x, DeviceArray) else upload(x) for x in uploaded]
            recorder.begin(given)
            brought, updated, values = self.run(*given, *host, *resident)
            brought = [recorder.own(contiguous(x)) for x in brought]
            updated = [recorder.own(contiguous(x)) for x in updated]
            sites = faults.armed()
            flags = [recorder.own(faults.flag().copy())] if sites else []
            recorder.end()
        finally:
            replace(before)
        results = [x.to_host() for x in [*brought, *flags]]
        if flags:
            faults.judge(results.pop())
        if recorder.refused:
            self.why = recorder.refused
        else:
            if len(self.plans) >= MAX_PLANS:
                self.plans.pop(next(iter(self.plans)))
            self.plans[key] = Plan(recorder, given, [*brought, *flags], updated, values, sites)
        return results, updated, values


def _on_device(x):
    return x if isinstance(x, DeviceArray) else upload(x)


def _to_host(x):
    value = x.to_host()
    faults.check()
    return value


def _frozen(item):
    """La même clef, ses listes changées en tuples."""
    return tuple(map(_frozen, item)) if isinstance(item, list | tuple) else item


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
        arguments = _mapped(function, Place, self.arguments)
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
        for rank, array in enumerate(resident):
            self._numbers.setdefault(id(array.buffer), -1 - rank)

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
            arguments = _mapped(self.place, DeviceArray, arguments)
            self.events.append(Event(method, arguments, *lists))


def _is_array(x):
    return isinstance(x, DeviceArray)


def _mapped(function, kind, items):
    """Les mêmes arguments, ceux de ce genre changés par `function`."""
    return tuple(
        function(item)
        if isinstance(item, kind)
        else _mapped(function, kind, item)
        if type(item) is tuple
        else item
        for item in items
    )


class Plan:
    """Un journal prêt à rejouer, pour des formes données."""

    def __init__(self, recorder, given, brought, updated, values, sites):
        self.values = values
        self.sites = sites
        self.given = [recorder.place(x) for x in given]
        self.brought = [recorder.place(x) for x in brought]
        self.updated = [recorder.place(x) for x in updated]
        self.bound = {}
        outside = [place.zone for place in (*self.brought, *self.given)]
        ends = {place.zone for place in self.updated}
        self.sizes = sizes = recorder.sizes
        self.dtypes = recorder.dtypes
        self.offsets, after = row(outside, sizes, 0)
        self.events = settle(recorder.events, sizes, {*outside, *ends})
        lives = _lives(self.events, {*outside, *ends})
        scratch, self.size = layout(lives, sizes, after)
        self.offsets |= scratch

    def replay(self, uploaded, resident, storages):
        """Rejoue : porte les entrées, lance tout, rapporte les sorties, vérifie les indices."""
        device = machine()
        targets = [
            storage.room(place.shape, place.dtype)
            for storage, place in zip(storages, self.updated, strict=True)
        ]
        arena = device.arena(self.size)
        key = (id(arena), *map(id, [x.buffer for x in (*resident, *targets)]))
        bound = self.bound.get(key)
        if bound is None:
            if len(self.bound) >= MAX_BOUND:
                self.bound.pop(next(iter(self.bound)))
            bound = self.bound[key] = Bound(self, device, arena, resident, targets)
        if any([type(x) is DeviceArray for x in uploaded]):
            for place, x in zip(bound.given, uploaded, strict=True):
                if type(x) is DeviceArray:
                    device.copy(place, contiguous(x))
                else:
                    device.write(place, np.ascontiguousarray(x).reshape(x.shape))
        elif uploaded:
            bound.send(uploaded)
        bound.run()
        if not self.brought:
            return [], targets, self.values
        results = bound.bring()
        if self.sites:
            flag = results.pop()
            if flag[0]:
                faults.arm_again(self.sites)
                faults.judge(flag)
        return results, targets, self.values


class Bound:
    """Un plan dont toutes les adresses sont connues ; il retient les zones qu’il lit et écrit."""

    def __init__(self, plan, device, arena, resident, targets):
        zones = {
            number: device.carve(arena, offset, plan.sizes[number], plan.dtypes[number])
            for number, offset in plan.offsets.items()
        }
        zones |= {-1 - rank: x.buffer for rank, x in enumerate(resident)}
        zones |= {p.zone: x.buffer for p, x in zip(plan.updated, targets, strict=True)}
        self.zones = zones
        self.given, brought = (
            [place.in_zone(zones) for place in row] for row in (plan.given, plan.brought)
        )
        if self.given:
            self.send = device.sender(self.given, waited=bool(brought))
        if brought:
            self.bring = device.bringer(brought)
        steps = []
        for event in plan.events:
            real = _mapped(lambda place: place.in_zone(zones), Place, event.arguments)
            if event.method == "loop":
                loop, shape, outs, ins, launch = real
                steps.append((launch or loop.launch_on(shape, outs, ins), (*outs, *ins)))
            else:
                steps.append((getattr(device, event.method), real))

        def run():
            for act, arguments in steps:
                act(*arguments)

        self.run = device.captured(run)


def _lives(events, outside):
    """La première et la dernière ligne du journal où sert chaque zone qui n’en sort pas."""
    lives = {}
    for rank, event in enumerate(events):
        for place in event.places:
            zone = place.zone
            if isinstance(zone, int) and zone >= 0 and zone not in outside:
                lives[zone] = (lives.get(zone, (rank,))[0], rank)
    return lives


def row(numbers, sizes, start):
    """Des zones l’une après l’autre depuis `start` : {numéro: début}, et la fin.

    Exemple
        >>> row([3, 1], {1: 8, 3: 600}, 512)
        ({3: 512, 1: 1536}, 2048)
    """
    offsets = {}
    for number in numbers:
        offsets[number] = start
        start += aligned(sizes[number])
    return offsets, start


def layout(lives, sizes, start):
    """Loge des zones dans une arène : deux qui vivent en même temps ne se touchent pas.

    Chacune prend, à sa naissance, le plus petit trou où elle tient, sinon le haut de l’arène.

    Paramètres
        lives : {numéro: (première, dernière ligne où elle sert)}.
        sizes : octets, par numéro.
        start : le premier octet libre de l’arène.

    Renvoie
        {numéro: début}, et la taille de l’arène.

    Exemple
        >>> layout({0: (0, 1), 1: (1, 2), 2: (2, 3)}, [512, 1024, 100], 0)
        ({0: 0, 1: 512, 2: 0}, 1536)
    """
    offsets, holes, top, alive = {}, {}, start, []  # holes : début -> fin
    for number in sorted(lives, key=lambda number: lives[number][0]):
        first, last = lives[number]
        for gone in [one for one in alive if one[0] < first]:
            alive.remove(gone)
            top = _give_back(holes, gone[1], gone[2], top)
        size = aligned(sizes[number])
        fitting = [(end - begin, begin) for begin, end in holes.items() if end - begin >= size]
        if fitting:
            _, begin = min(fitting)
            end = holes.pop(begin)
            if end > begin + size:
                holes[begin + size] = end
        else:
            begin, top = top, top + size
        offsets[number] = begin
        alive.append((last, begin, begin + size))
    return offsets, max([start, *(offsets[n] + aligned(sizes[n]) for n in offsets)])


def _give_back(holes, begin, end, top):
    """Rend un trou, uni à ses voisins ; le haut de l’arène redescend s’il y touche."""
    if end in holes:
        end = holes.pop(end)
    before = next((one for one, stop in holes.items() if stop == begin), None)
    if before is not None:
        del holes[before]
        begin = before
    if end == top:
        return begin
    holes[begin] = end
    return top
