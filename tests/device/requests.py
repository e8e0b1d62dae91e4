"""Tous les noyaux qu’appellent les exemples des ops : ce qu’il y a à compiler.

`Recorder` est une machine qui ne calcule rien : elle note les textes qu’on lui demande.
"""

import contextlib

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.cuda import all_kernels, machines, registry
from engine.backends.cuda.arrays import upload
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.cubins import Request
from engine.ops.elemwise import elemwise
from engine.ops.losses import LogLikelihood
from engine.ops.reduce import REDUCTIONS, Reduce
from engine.scalars import SCALARS
from engine.settings import config
from engine.types import TensorType
from tests.engine.test_ops_generic import VARIANTS

FLOATS = ("float32", "float64")


_SMALL = 1 << 16
TIERS = ("fast", "readable")  # ce qui se compile ; la bibliothèque n’a pas de noyau


class Recorder:
    """Une machine aux réglages d’un GPU, qui note les noyaux demandés et ne lance rien.

    Seuls les petits tableaux y sont vraiment portés (une op peut en vérifier les valeurs) : les
    vraies tailles ne coûtent rien.
    """

    is_simulated = False
    stream_handle = None
    rank = 0
    block = reduction_block = 256
    tile = 16
    warp = 32
    architecture = "sm_90a"

    def __init__(self):
        self.requests = []

    def allocate(self, size, dtype):
        return np.zeros(size, dtype)

    def write(self, array, value):
        if array.size < _SMALL:
            array.buffer[: array.size] = value.reshape(-1)

    def download(self, array):
        if array.size >= _SMALL:
            return np.zeros(array.shape, array.dtype)
        steps = [step * array.dtype.itemsize for step in array.strides]
        return as_strided(array.buffer[array.offset :], array.shape, steps).copy()

    def address(self, array):
        return 0

    def copy(self, target, source):
        """Rien à faire."""

    def call(self, function, *arguments):
        """Rien à faire."""

    def arena(self, nbytes):
        return np.zeros(nbytes, "uint8")

    def carve(self, arena, offset, nbytes, dtype):
        return arena[offset : offset + nbytes].view(dtype)

    def send(self, arena, offset, arrays, nbytes):
        """Rien à faire."""

    def bring(self, arena, nbytes):
        return arena[:nbytes]

    def captured(self, run):
        return run

    def prepare(self, name, text, signature, block):
        self.requests.append(Request(name, text, tuple(signature), block))

    def activate(self):
        """Rien à choisir."""

    def launch(self, function, blocks, block, arguments):
        """Rien à faire."""

    def synchronize(self):
        """Rien à attendre."""


def cases():
    """Les (op, entrées) à essayer, une fois en float32 et une fois en float64."""
    found = [(op, sample) for ops in VARIANTS.values() for op in ops for sample in op.samples()]
    x = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
    found += [(Reduce(r, a), [x]) for r in REDUCTIONS.values() for a in ((0,), (1,), (0, 1))]
    for op in (LogLikelihood(), LogLikelihood(gradient=True)):
        found += [(op, sample) for sample in op.samples()]
    for scalar in SCALARS.values():
        op = elemwise(scalar.name)
        found += [(op, sample) for sample in op.samples()]
    for op, sample in found:
        for kind in FLOATS:
            arrays = [np.asarray(v) for v in sample]
            yield op, [v.astype(kind) if v.dtype.kind == "f" else v for v in arrays], kind


def call_on_device(op, values):
    """Les sorties de `op`, en tableaux du périphérique ; None si elle se calcule sur l’hôte."""
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    host = all_kernels.host_inputs(node)
    if host is None:
        return None, node
    call = registry.device_function(node)
    results = call(*[v if r in host else upload(v) for r, v in enumerate(values)])
    return (results if isinstance(results, list) else [results]), node


@contextlib.contextmanager
def using(machine):
    """Le temps d’un bloc, tout passe par `machine`."""
    make_kernel.cache_clear()
    before = machines.replace(machine)
    try:
        yield machine
    finally:
        machines.replace(before)
        make_kernel.cache_clear()


def record():
    """Les demandes des exemples, sans doublon : un même texte ne se compile qu’une fois."""
    with using(Recorder()) as recorder:
        for tier in TIERS:
            with config.change_flags(gpu_tier=tier):
                for op, values, _ in cases():
                    call_on_device(op, values)
    return list(dict.fromkeys(recorder.requests))
