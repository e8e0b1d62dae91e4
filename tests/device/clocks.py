"""Chronométrer, de quatre façons ; des médianes, en microsecondes par appel.

    noyaux   les lancements, capturés dans un graphe et rejoués : le GPU seul, sans intervalle
    appels   des appels à la suite, entre deux repères posés dans le flux
    hôte     un appel et son attente, vus de Python
    envoi    ce que l’appel coûte à Python, sans attendre

Deux horloges, de mêmes méthodes : `Ours` pour le flux du moteur, `Theirs` pour celui de PyTorch.

Ordre de lecture : `Clock`, `Ours`, `Theirs`.
"""

import time

import numpy as np

from engine.gpu.kernels.calls import DeviceError

WARM_UP = 5  # appels : les premiers compilent, règlent, capturent
_AIM = 2000  # µs : assez d’appels entre deux repères pour que ceux-ci ne se voient pas
_MOST = 50


class Clock:
    """Ce que les deux horloges partagent."""

    def __init__(self, repeats):
        self.repeats = repeats

    def time(self, way, run):
        """La durée d’un appel de `run`, mesurée de cette façon."""
        for _ in range(WARM_UP):
            run()
        self.wait()
        return {
            "noyaux": self.kernels, "appels": self.calls, "hôte": self.wall, "envoi": self.sending,
        }[way](run)  # fmt: skip

    def wall(self, run):
        spent = []
        for _ in range(self.repeats):
            start = time.perf_counter()
            run()
            self.wait()
            spent.append(time.perf_counter() - start)
        return 1e6 * float(np.median(spent))

    def sending(self, run):
        spent = []
        for _ in range(self.repeats):
            start = time.perf_counter()
            for _ in range(_MOST):
                run()
            spent.append((time.perf_counter() - start) / _MOST)
            self.wait()
        return 1e6 * float(np.median(spent))

    def calls(self, run):
        once = self.between(run, 3)
        count = int(np.clip(_AIM / max(once, 1), 1, _MOST))

        def several():
            for _ in range(count):
                run()

        return self.between(several, self.repeats) / count

    def kernels(self, run):
        once = self.between(run, 3)
        count = int(np.clip(_AIM / max(once, 1), 1, _MOST))
        try:
            replay = self.captured(run, count)
        except (DeviceError, RuntimeError):
            return self.calls(run)  # ce lancement ne se capture pas
        replay()
        return self.between(replay, self.repeats) / count


class Ours(Clock):
    """L’horloge du flux de `device`."""

    def __init__(self, device, repeats):
        super().__init__(repeats)
        self.device, self.wait = device, device.synchronize

    def between(self, run, repeats):
        """La durée médiane de `run` entre deux repères."""
        return self.device.microseconds(run, repeats)

    def captured(self, run, count):
        """De quoi rejouer `count` appels de `run`, qui ne portent ni ne rapportent rien."""

        def several():
            for _ in range(count):
                run()

        return self.device.captured(several)


class Theirs(Clock):
    """L’horloge de PyTorch."""

    def __init__(self, torch, repeats):
        super().__init__(repeats)
        self.torch, self.wait = torch, torch.cuda.synchronize

    def between(self, run, repeats):
        spent = []
        for _ in range(repeats):
            start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            spent.append(1000 * start.elapsed_time(end))
        return float(np.median(spent))

    def captured(self, run, count):
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            for _ in range(count):
                run()
        return graph.replay
