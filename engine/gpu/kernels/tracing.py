"""Exécuter un noyau pas à pas et noter chaque accès à la mémoire, fil par fil.

`trace(noyau, grille, bloc, sortie, x)` fait tourner le texte même du noyau, sans GPU ni Numba : le
nom `cuda` y désigne, le temps de la trace, une petite machine. Ses tableaux notent qui lit et qui
écrit ; un indice hors des bornes y est une erreur, alors qu’un GPU lirait ou abîmerait en silence
la mémoire d’à côté.

Un seul fil avance à la fois, dans un ordre fixé : la même trace donne toujours la même chose. Deux
ordres sont proposés, tous deux permis par CUDA : chaque fil va jusqu’à la prochaine barrière
(`lockstep=False`), ou les fils avancent d’un accès chacun à son tour (`lockstep=True`, comme un
*warp*). Un noyau dont le résultat en dépend a une course, et `Trace.races` la nomme.

Ordre de lecture : `trace`, `Machine`, `TracedArray`.
"""

import ctypes
import functools
import inspect
import itertools
import threading
from typing import NamedTuple

import numpy as np

from engine.core.errors import EngineError
from engine.gpu.kernels.geometry import as_tuple
from engine.gpu.kernels.traces import ATOMIC, READ, WRITE, Access, Trace, who

MOST_ACCESSES = 500_000  # au-delà, le noyau ne finit sans doute pas


class KernelError(EngineError, RuntimeError):
    """Un noyau fait ce qu’un GPU ne vérifierait pas : indice hors des bornes, barrière oubliée."""


def trace(kernel, grid, block, *arguments, lockstep=False):
    """Exécute le noyau pas à pas ; ses tableaux sont modifiés sur place, comme par un lancement.

    Paramètres
        kernel : une fonction qui appelle `cuda`, décorée ou non par `@cuda.jit`.
        grid, block : nombres de blocs et de fils par bloc, dans l’ordre de CUDA (x d’abord).
        arguments : tableaux NumPy et nombres.
        lockstep : alterner les fils à chaque accès au lieu d’aller d’une barrière à l’autre.

    Renvoie
        une `Trace`.

    Lève
        KernelError : indice hors des bornes, barrière que tous les fils ne passent pas, noyau sans
            fin ; ce que lève le noyau lui-même passe tel quel.
    """
    function = getattr(kernel, "py_func", kernel)
    names = list(inspect.signature(function).parameters)
    machine = Machine(as_tuple(grid), as_tuple(block), lockstep)
    shapes, inside = {}, []
    for name, value in itertools.zip_longest(names[: len(arguments)], arguments):
        is_array = isinstance(value, np.ndarray) and value.ndim
        if is_array:
            shapes[name] = value.shape
        inside.append(TracedArray(machine, name, value) if is_array else value)
    space = function.__globals__
    missing = object()
    before = space.get("cuda", missing)
    space["cuda"] = machine
    try:
        machine.run(function, inside)
    finally:
        if before is missing:
            del space["cuda"]
        else:
            space["cuda"] = before
    return Trace(
        function.__name__, machine.grid_dim, machine.block_dim,
        shapes | machine.shared_shapes, machine.accesses,
    )  # fmt: skip


class Dim3(NamedTuple):
    """Un triplet de CUDA."""

    x: int = 1
    y: int = 1
    z: int = 1


class _GivenUp(BaseException):
    """Fait sortir un fil de son noyau."""


class _Worker:
    """Un fil CUDA, porté par un fil Python qui n’avance que lorsqu’on lui passe la main."""

    def __init__(self, block_position, thread_position, block_index, thread_index):
        self.block, self.thread = block_position, thread_position
        self.block_index, self.thread_index = block_index, thread_index
        self.epoch = self.shared_calls = 0
        self.waiting = self.done = self.running = self.given_up = False
        self.carrier = self.error = None
        self.turn, self.back = threading.Semaphore(0), threading.Semaphore(0)

    def start(self, function, arguments):
        def body():
            try:
                self._wait_for_turn()
                function(*arguments)
            except _GivenUp:
                pass
            except BaseException as error:
                self.error = error
            self.done = True
            self.back.release()

        self.carrier = threading.Thread(target=body, daemon=True)
        self.carrier.start()

    def advance(self):
        """Passe la main au fil, et attend qu’il la rende."""
        self.running = True
        self.turn.release()
        while not self.back.acquire(timeout=0.5):
            pass  # sous Windows, seule une attente bornée laisse passer une interruption
        self.running = False
        if self.error is not None:
            raise self.error

    def hand_back(self):
        """Rend la main, dans le fil lui-même."""
        self.back.release()
        self._wait_for_turn()

    def give_up(self):
        """Termine un fil : un autre a échoué, ou une interruption est venue pendant qu’il court."""
        self.given_up = True
        self.turn.release()
        if self.running:  # une boucle sans fin n’attend rien : l’exception y est posée
            where = ctypes.c_ulong(self.carrier.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(where, ctypes.py_object(_GivenUp))

    def _wait_for_turn(self):
        self.turn.acquire()
        if self.given_up:
            raise _GivenUp


class Machine:
    """Ce que désigne `cuda` dans un noyau pendant une trace."""

    def __init__(self, grid, block, lockstep):
        self.grid_dim, self.block_dim = grid, block
        self.gridDim, self.blockDim = Dim3(*grid), Dim3(*block)
        self.lockstep = lockstep
        self.accesses, self.shared_shapes = [], {}
        self._current, self._shared = None, []
        self.shared, self.local, self.atomic = _Shared(self), _Local(), _Atomic(self)

    def run(self, function, arguments):
        """Un bloc après l’autre ; dans un bloc, tous les fils d’une barrière à la suivante."""
        for block_position, block_index in enumerate(_points(self.grid_dim)):
            self._shared = []
            workers = [
                _Worker(block_position, k, block_index, index)
                for k, index in enumerate(_points(self.block_dim))
            ]
            for worker in workers:
                worker.start(function, arguments)
            try:
                while not all(worker.done for worker in workers):
                    self._to_barrier(workers)
            finally:
                for worker in workers:
                    worker.give_up()

    def _to_barrier(self, workers):
        running = [worker for worker in workers if not worker.done]
        while running:
            for worker in running:
                self._current = worker
                worker.advance()
            running = [worker for worker in running if not (worker.done or worker.waiting)]
        arrived = [worker for worker in workers if worker.waiting]
        gone = [worker for worker in workers if worker.done]
        if arrived and gone:
            raise KernelError(
                "tous les fils d’un bloc doivent passer par chaque syncthreads",
                received=f"{who(arrived[0])} y attend, {who(gone[0])} a déjà fini",
                hint="pas de syncthreads dans un « if », ni de « return » avant lui",
            )
        for worker in arrived:
            worker.waiting = False
            worker.epoch += 1

    def note(self, kind, array, index):
        """Note un accès du fil en cours ; au pas à pas, les autres fils passent d’abord."""
        worker = self._current
        if self.lockstep:
            worker.hand_back()
        if len(self.accesses) >= MOST_ACCESSES:
            raise KernelError(
                f"plus de {MOST_ACCESSES} accès à la mémoire : le noyau finit-il ?",
                where=who(worker),
            )
        self.accesses.append(Access(kind, array, index, worker.block, worker.thread, worker.epoch))

    def __getattr__(self, name):
        known = "grid, gridsize, threadIdx, blockIdx, blockDim, gridDim, syncthreads, "
        raise KernelError(
            f"la machine pas à pas ne connaît pas cuda.{name}",
            expected=known + "shared.array, local.array, atomic.add, atomic.max",
        )

    def who(self):
        """Le fil en cours, en français."""
        return who(self._current)

    @property
    def threadIdx(self):
        return self._current.thread_index

    @property
    def blockIdx(self):
        return self._current.block_index

    def grid(self, ndim):
        """La place du fil dans toute la grille."""
        places = zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)
        return _axes([block * width + thread for block, width, thread in places], ndim)

    def gridsize(self, ndim):
        """Le nombre de fils de la grille, par axe."""
        sizes = zip(self.gridDim, self.blockDim, strict=True)
        return _axes([blocks * width for blocks, width in sizes], ndim)

    def syncthreads(self):
        """La barrière : attendre tous les fils du bloc."""
        worker = self._current
        worker.waiting = True
        worker.hand_back()

    def shared_array(self, shape, dtype):
        worker = self._current
        position = worker.shared_calls
        worker.shared_calls += 1
        if position == len(self._shared):
            name = f"partagée {position + 1}"
            array = np.empty(shape, _dtype(dtype))
            array.fill(np.nan if array.dtype.kind == "f" else 0)  # rien n’y est encore écrit
            self.shared_shapes[name] = array.shape
            self._shared.append(TracedArray(self, name, array))
        return self._shared[position]


class _Shared:
    def __init__(self, machine):
        self._machine = machine

    def array(self, shape, dtype):
        return self._machine.shared_array(shape, dtype)


class _Local:
    @staticmethod
    def array(shape, dtype):
        return np.full(shape, 0, _dtype(dtype))


class _Atomic:
    def __init__(self, machine):
        self._machine = machine

    def add(self, array, index, value):
        """Ajoute d’un seul tenant ; renvoie l’ancienne valeur."""
        return array.update(index, lambda old: old + value)

    def max(self, array, index, value):
        """Garde le plus grand, d’un seul tenant ; renvoie l’ancienne valeur."""
        return array.update(index, lambda old: max(old, value))


class TracedArray:
    """Un tableau qui note ses accès ; `a[i, j]` et `a[i][j]` désignent le même élément."""

    def __init__(self, machine, name, array, base=0):
        self._machine, self._name, self._array, self._base = machine, name, array, base
        self.shape, self.size, self.ndim = array.shape, array.size, array.ndim
        self.dtype = array.dtype

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        key, index = self._place(key)
        if len(key) < self.ndim:
            return TracedArray(self._machine, self._name, self._array[key], index)
        self._machine.note(READ, self._name, index)
        return self._array[key]

    def __setitem__(self, key, value):
        key, index = self._place(key)
        if len(key) < self.ndim:
            raise KernelError(
                f"un fil écrit un élément à la fois de {self._name}",
                expected=f"{self.ndim} indices",
                received=f"{len(key)}",
            )
        self._machine.note(WRITE, self._name, index)
        self._array[key] = value

    def update(self, key, change):
        """Lit, change et écrit sans que rien s’intercale."""
        key, index = self._place(key)
        self._machine.note(ATOMIC, self._name, index)
        old = self._array[key]
        self._array[key] = change(old)
        return old

    def _place(self, key):
        """(indices, indice à plat), une fois les bornes vérifiées."""
        key = key if isinstance(key, tuple) else (key,)
        bad = len(key) > self.ndim or any(not isinstance(k, (int, np.integer)) for k in key)
        if bad:
            raise KernelError(
                f"un noyau désigne un élément de {self._name} par des entiers, un par axe",
                expected=f"{self.ndim} entier(s) au plus",
                received=repr(key),
                where=self._machine.who(),
            )
        if any(not 0 <= k < length for k, length in zip(key, self.shape, strict=False)):
            shown = ", ".join(map(str, key))
            raise KernelError(
                f"indice hors des bornes : {self._name}[{shown}]",
                expected=f"des indices dans la forme {self.shape}",
                where=self._machine.who(),
                hint="une garde (« if i < x.size ») : un GPU, lui, n’aurait rien vérifié",
            )
        index = self._base
        for k, stride in zip(key, _strides(self.shape), strict=False):
            index += int(k) * stride
        return tuple(map(int, key)), index


class PythonKernel:
    """Ce que rend `cuda.jit` là où Numba manque : le même noyau, exécuté pas à pas."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.py_func = function

    def __getitem__(self, configuration):
        def run(*arguments):
            trace(self.py_func, *configuration, *arguments)

        return run


class PythonCuda:
    """Le remplaçant de `numba.cuda` là où Numba manque."""

    jit = PythonKernel


def _points(dims):
    """Les points d’une forme de CUDA, x variant le plus vite."""
    return [Dim3(*p[::-1], *(0,) * (3 - len(p))) for p in np.ndindex(*dims[::-1])]


def _axes(values, ndim):
    return values[0] if ndim == 1 else tuple(values[:ndim])


def _strides(shape):
    strides = [1]
    for length in shape[:0:-1]:
        strides.append(strides[-1] * length)
    return strides[::-1]


def _dtype(dtype):
    return np.dtype(getattr(dtype, "name", dtype))  # np.float32, ou numba.float32
