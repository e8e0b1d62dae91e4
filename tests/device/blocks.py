"""Le simulateur de Numba, un fil à la fois, la mémoire des blocs d’abord empoisonnée.

Numba fait courir ensemble tous les fils d’un bloc, et les surveille sans cesse : à 256 fils, c’est
lent, et une course se voit un jour sur dix. Ici un fil avance seul jusqu’à ce qu’il en attende
d’autres (une barrière, un échange), puis passe la main : l’ordre se répète, et le premier fil va le
plus loin possible, ce qui montre les barrières oubliées. D’un bloc au suivant, l’ordre se renverse.

La mémoire partagée et les tableaux d’un fil naissent pleins de NaN, ou du plus grand entier : lire
avant d’écrire se voit.

Ordre de lecture : `one_at_a_time`, `Block`, `_shown`, `poisoned`.
"""

import contextlib
import importlib
import itertools
import os
import sys
import threading
from collections import deque
from unittest import mock

import numpy as np
from numba.core import types
from numba.np import numpy_support

from engine.gpu.kernels import device, simulated  # noqa: F401

# `device` a choisi le simulateur avant que numba.cuda ne se charge
kernel, kernelapi = (
    importlib.import_module(f"numba.cuda.simulator.{name}") for name in ("kernel", "kernelapi")
)


@contextlib.contextmanager
def one_at_a_time(warp):
    """Le temps d’un bloc Python, le simulateur est celui-ci ; un warp y a `warp` fils."""
    with contextlib.ExitStack() as stack:
        for place, name, value in (
            (simulated, "WARP", warp),
            (simulated, "_shown", _shown),
            (kernel, "BlockManager", Block),
            (kernel.BlockThread, "syncthreads", _syncthreads),
            (kernelapi.FakeCUDAShared, "array", _shared),
            (kernelapi.FakeCUDALocal, "array", _local),
        ):
            stack.enter_context(mock.patch.object(place, name, value))
        stack.enter_context(_on_one_core())
        yield


@contextlib.contextmanager
def _on_one_core():
    """Passer la main d’un cœur à l’autre prend quatre fois plus de temps."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[os.getpid() % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# ---- les fils --------------------------------------------------------------------------------

_ranks = itertools.count()


class Block:
    """Un bloc : ses fils, ceux qui peuvent avancer, ceux qui attendent."""

    def __init__(self, f, grid_dim, block_dim, debug):
        self._grid_dim, self._block_dim, self._f, self._debug = grid_dim, block_dim, f, debug
        self.block_state = np.zeros(block_dim, dtype=np.bool_)
        self.ready, self.ended = deque(), threading.Lock()
        self.meetings, self.shown, self.fault = {}, {}, None
        self.ended.acquire()

    def run(self, grid_point, *args):
        """Fait tourner le bloc ; lève la faute d’un fil, s’il y en a."""
        points = list(np.ndindex(*self._block_dim))
        threads = [
            kernel.BlockThread(lambda: self._follow(args), self, grid_point, point, self._debug)
            for point in points[:: -1 if next(_ranks) % 2 else 1]
        ]
        for thread in threads:
            thread.turn = threading.Lock()
            thread.turn.acquire()
            thread.start()
        self.alive = len(threads)
        self.ready.extend(threads)
        self._next()
        self.ended.acquire()
        for thread in threads:  # après une faute, ceux qui attendaient s’en vont
            if self.fault and thread.is_alive():
                thread.turn.release()
            thread.join()
        if self.fault:
            raise self.fault

    def _follow(self, args):
        thread = threading.current_thread()
        thread.turn.acquire()
        if self.fault:
            return
        try:
            self._f(*args)
        except _AbandonedError:
            return
        except Exception as fault:
            place = f"bloc {thread.blockIdx}, fil {thread.threadIdx}"
            self.fault = type(fault)(f"{place} : {fault}").with_traceback(fault.__traceback__)
            self.ended.release()
            return
        self.alive -= 1
        self._gather("block")
        self._next()

    def meet(self, key, size=None):
        """Attend que `size` fils (None : tous ceux qui restent) soient venus à ce rendez-vous."""
        thread = threading.current_thread()
        self.meetings.setdefault(key, []).append(thread)
        self._gather(key, size)
        self._next()
        thread.turn.acquire()
        if self.fault:
            raise _AbandonedError

    def _gather(self, key, size=None):
        present = self.meetings.get(key, [])
        if present and len(present) == (size or self.alive):
            self.ready.extend(self.meetings.pop(key))

    def _next(self):
        """Donne la main au premier fil prêt."""
        if self.ready:
            self.ready.popleft().turn.release()
            return
        if self.alive:
            self.fault = RuntimeError(f"{self.alive} fils attendent en vain : {[*self.meetings]}")
        self.ended.release()


class _AbandonedError(Exception):
    """Un autre fil du bloc a fauté."""


def _syncthreads(thread):
    thread._manager.meet("block")


def _shown(x, width):
    """Comme `simulated._shown` : chaque échange d’un warp a son rendez-vous."""
    thread = threading.current_thread()
    warp, lane = divmod(thread.thread_id, width)
    thread.exchanges = rank = getattr(thread, "exchanges", 0) + 1
    held = thread._manager.shown.setdefault((width, warp, rank), [None] * width)
    held[lane] = x
    thread._manager.meet((width, warp, rank), width)
    return lane, held


# ---- la mémoire --------------------------------------------------------------------------------

_allocating = threading.Lock()


def poisoned(shape, dtype):
    """Un tableau dont aucune valeur ne peut servir sans se voir."""
    dtype = numpy_support.as_dtype(dtype) if isinstance(dtype, types.Type) else np.dtype(dtype)
    if dtype.kind in "iu":
        return np.full(shape, np.iinfo(dtype).max, dtype)
    return np.full(shape, True if dtype.kind == "b" else np.nan, dtype)


def _shared(allocations, shape, dtype):
    """Le tableau de cette ligne du noyau, un pour tous les fils du bloc."""
    frame = sys._getframe(1)
    key = frame.f_code.co_filename, frame.f_lineno
    with _allocating:
        found = allocations._allocations.get(key)
        if found is None:
            found = allocations._allocations[key] = poisoned(shape, dtype)
    return found


def _local(_, shape, dtype):
    return poisoned(shape, dtype)
