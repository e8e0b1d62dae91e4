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

Ordre de lecture : `Section` (ce qu’appelle le programme émis), `Plan`, `Bound`. Le journal est dans
`journal`, la place des zones dans `layouts`.
"""

import weakref

import numpy as np

from engine.core.settings import config
from engine.core.typeset import typeset
from engine.gpu.kernels import faults
from engine.gpu.kernels.arrays import DeviceArray, upload
from engine.gpu.kernels.calls import DeviceError
from engine.gpu.kernels.journal import Place, Recorder, mapped
from engine.gpu.kernels.layouts import layout, lives_of, row
from engine.gpu.kernels.machines import machine, replace
from engine.gpu.kernels.views import contiguous

MAX_PLANS = 256  # formes et valeurs d’hôte (un numéro de lot…) dont une section garde le plan
MAX_WASTED = 256  # plans oubliés sans avoir servi : au-delà, on n’en fait plus
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
        self.replays = self.wasted = 0
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
            done = plan.replay(uploaded, resident, self.storages)
            if done is not None:
                self.replays += 1
                return done[0], self._given(done[1]), done[2]
        return self._first(key, uploaded, host, resident)

    def __str__(self):
        if self.why:
            return typeset(f"rien : {self.why}")
        plans = self.plans.values()
        failures = {b.failure for plan in plans for b in plan.bound.values() if b.failure}
        return typeset(", ".join([f"{self.replays} appel(s)", *sorted(failures)]))

    def _first(self, key, uploaded, host, resident):
        """Un premier appel à ces formes : nœud par nœud, et son journal."""
        if config.gpu_replay == "off" or self.why:
            brought, updated, values = self.run(*map(_carried, uploaded), *host, *resident)
            updated = self._given(self._housed(updated))
            return [_to_host(x) for x in brought], updated, values
        recorder = Recorder(machine(), resident)
        before = replace(recorder)
        try:
            given = [_carried(x) for x in uploaded]
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
            self.plans[key] = Plan(
                recorder, given, [*brought, *flags], updated, values, sites, _sharing(resident)
            )
            self._forget_one()
        return results, self._given(self._housed(updated)), values

    def _given(self, housed):
        return [s.given(x) for s, x in zip(self.storages, housed, strict=True)]

    def _housed(self, updated):
        """Les mises à jour, dans les zones des variables : rien n’est encore échangé."""
        return [s.housed(x) for s, x in zip(self.storages, updated, strict=True)]

    def _forget_one(self):
        """Au-delà de `MAX_PLANS`, le plus ancien s’en va."""
        if len(self.plans) <= MAX_PLANS:
            return
        oldest = self.plans.pop(next(iter(self.plans)))
        self.wasted += not oldest.bound
        if self.wasted > MAX_WASTED:
            self.plans.clear()
            self.why = "les formes ou les indices changent à chaque appel"


def _carried(x):
    """Une copie à nous, sur le périphérique : une mise à jour peut la garder."""
    return x.copy() if isinstance(x, DeviceArray) else upload(x)


def _to_host(x):
    value = x.to_host()
    faults.check()
    return value


def _frozen(item):
    """La même clef, ses listes changées en tuples."""
    return tuple(map(_frozen, item)) if isinstance(item, list | tuple) else item


def _sharing(arrays):
    """Pour chaque tableau, le rang du premier qui est dans la même zone."""
    zones = [id(x.buffer) for x in arrays]
    return [*map(zones.index, zones)]


def _copied(values):
    """Des valeurs d’hôte que l’appelant peut changer."""
    return [value.copy() if isinstance(value, np.ndarray) else value for value in values]


class Plan:
    """Un journal prêt à rejouer, pour des formes données."""

    def __init__(self, recorder, given, brought, updated, values, sites, sharing):
        self.values = _copied(values)
        self.sites = sites
        self.given = [recorder.place(x) for x in given]
        self.brought = [recorder.place(x) for x in brought]
        self.updated = [recorder.place(x) for x in updated]
        self.bound = {}
        self.sharing = sharing  # les variables qui sont dans une même zone (voir `_sharing`)
        outside = [place.zone for place in (*self.brought, *self.given)]
        ends = {place.zone for place in self.updated}
        self.sizes = sizes = recorder.sizes
        self.dtypes = recorder.dtypes
        self.offsets, after = row(outside, sizes, 0)
        self.events = recorder.settled()
        lives = lives_of(self.events, {*outside, *ends})
        scratch, self.size = layout(lives, sizes, after)
        self.offsets |= scratch

    def replay(self, uploaded, resident, storages):
        """Rejoue : porte les entrées, lance tout, rapporte les sorties, vérifie les indices.

        Rend None, rien n’étant fait, si des variables ont emprunté la même mémoire depuis.
        """
        device = machine()
        targets = [
            storage.room(place.shape, place.dtype)
            for storage, place in zip(storages, self.updated, strict=True)
        ]
        arena = device.arena(self.size)
        key = (device.identity(arena), *map(id, [x.buffer for x in (*resident, *targets)]))
        bound = self.bound.get(key)
        if bound is None:
            if self.sharing != _sharing(resident):
                return None
            if len(self.bound) >= MAX_BOUND:
                self.bound.pop(next(iter(self.bound)))
            known = self.bound
            bound = Bound(self, device, arena, resident, targets, lambda _: known.pop(key, None))
            known[key] = bound
        if any([type(x) is DeviceArray for x in uploaded]):
            for place, x in zip(bound.given, uploaded, strict=True):
                if type(x) is DeviceArray:
                    place.take(x)
                else:
                    device.write(place, np.ascontiguousarray(x).reshape(x.shape))
        elif uploaded:
            bound.send(uploaded)
        bound.run()
        values = self.values and _copied(self.values)
        if not self.brought:
            return [], targets, values
        results = bound.bring()
        if self.sites:
            flag = results.pop()
            if flag[0]:
                faults.arm_again(self.sites)
                faults.judge(flag)
        return results, targets, values


class Bound:
    """Un plan dont toutes les adresses sont connues.

    Il ne fait pas vivre les zones des variables partagées : quand l’une disparaît, `gone` est
    appelée (une autre prendra peut-être son adresse).
    """

    def __init__(self, plan, device, arena, resident, targets, gone):
        zones = {
            number: device.carve(arena, offset, plan.sizes[number], plan.dtypes[number])
            for number, offset in plan.offsets.items()
        }
        zones |= {-1 - k: device.borrowed(x.buffer) for k, x in enumerate(resident)}
        pairs = zip(plan.updated, targets, strict=True)
        zones |= {place.zone: device.borrowed(x.buffer) for place, x in pairs}
        self.watched = [weakref.ref(x.buffer, gone) for x in (*resident, *targets)]
        self.given, brought = (
            [place.in_zone(zones) for place in row] for row in (plan.given, plan.brought)
        )
        if self.given:
            self.send = device.sender(self.given, waited=bool(brought))
        if brought:
            self.bring = device.bringer(brought)
        steps = []
        for event in plan.events:
            real = mapped(lambda place: place.in_zone(zones), Place, event.arguments)
            if event.method == "loop":
                loop, *real = real
                steps.append((loop.run_on, real))
            else:
                steps.append((getattr(device, event.method), real))

        def line_by_line():
            for act, arguments in steps:
                act(*arguments)

        self.device, self.line_by_line = device, line_by_line
        self.graph, self.is_warm = None, False
        self.failure = None  # pourquoi le pilote ne capture pas ce plan

    def run(self):
        """Lance tout : ligne par ligne la première fois, d’un seul graphe ensuite.

        La première charge les noyaux que l’appel noté n’a pas lancés, et laisse cuBLAS choisir les
        siens : une capture ne le permet pas toujours.
        """
        if self.graph:
            self.graph()
        elif self.is_warm:
            self.graph = self._captured()
            self.graph()
        else:
            self.line_by_line()
            self.is_warm = True

    def _captured(self):
        try:
            return self.device.captured(self.line_by_line)
        except DeviceError as error:  # le journal se rejoue alors ligne par ligne
            self.failure = f"sans graphe CUDA : {error.received}"
            return self.line_by_line
