"""Tous les noyaux qu’appellent les exemples des ops : ce qu’il y a à compiler.

`Recorder` est une machine qui ne calcule rien : elle note les textes qu’on lui demande.
"""

import contextlib
from unittest import mock

import numpy as np

from engine.core.errors import ShapeError
from engine.core.registry import load
from engine.core.types import TensorType
from engine.gpu.kernels import convolutions, machines, registry
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.cubins import ARCHITECTURES, Request
from engine.gpu.kernels.lessons import lesson_kernel
from engine.ops.index import IncSubtensor
from engine.ops.nnet import Softmax
from engine.ops.products import Dot
from engine.ops.reduce import REDUCTIONS, Reduce
from tests.ops import every_op

load("cuda")  # tous les noyaux se déclarent
FLOATS = ("float32", "float64")
_SMALL = 1 << 16


class Sized(machines.Simulator):
    """Un simulateur aux réglages d’un GPU : il en reçoit les textes."""

    is_simulated = False
    block = reduction_block = 256
    tile = 16
    architecture = "sm_90a"


class Recorder(Sized):
    """Une machine qui note les noyaux demandés et ne lance rien.

    Seuls les petits tableaux y sont vraiment portés (une op peut en vérifier les valeurs) : les
    vraies tailles ne coûtent rien.
    """

    def __init__(self, architecture="sm_90a"):
        super().__init__()
        self.architecture = architecture
        self.requests = []

    def allocate(self, size, dtype):
        return np.zeros(size, dtype)

    def arena(self, nbytes):
        return np.zeros(nbytes, "uint8")

    def write(self, array, value):
        if array.size < _SMALL:
            super().write(array, value)

    def copy(self, target, source):
        """Rien à faire."""

    def download(self, array):
        if array.size < _SMALL:
            return super().download(array)
        return np.zeros(array.shape, array.dtype)

    def prepare(self, name, text, signature, block):
        self.requests.append(Request(name, text, tuple(signature), block))

    def launch(self, function, blocks, block, arguments):
        """Rien à faire."""


def cases():
    """Les (op, entrées) à essayer, une fois en float32 et une fois en float64."""
    for op, sample in every_op.CASES:
        for kind in FLOATS:
            arrays = [np.asarray(v) for v in sample]
            yield op, [v.astype(kind) if v.dtype.kind == "f" else v for v in arrays], kind


def large_cases():
    """Des (op, entrées) assez grandes pour les tuiles les plus larges ; elles sont vides."""
    for kind in FLOATS:
        for size in (256, 4096):
            square = np.zeros((size, size), kind)
            yield Dot(), [square, square]
            yield Softmax(-1), [square]
            yield from ((Reduce(REDUCTIONS["sum"], axes), [square]) for axes in ((0,), (1,)))


def call_on_device(op, values, place=upload):
    """Les sorties de `op`, en tableaux du périphérique ; None si elle se calcule sur l’hôte.

    `place` y porte une entrée.
    """
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    host = registry.host_inputs(node)
    if host is None:
        return None, node
    call = registry.device_function(node)
    results = call(*[v if r in host else place(v) for r, v in enumerate(values)])
    return (results if isinstance(results, list) else [results]), node


@contextlib.contextmanager
def using(machine):
    """Le temps d’un bloc, tout passe par `machine`."""
    _forget()
    before = machines.replace(machine)
    try:
        yield machine
    finally:
        machines.replace(before)
        _forget()


def by_columns():
    """Le temps d’un bloc, ce qui se compile n’a pas cuDNN, même là où elle est."""
    return mock.patch.object(convolutions, "find", lambda device: (None, "cuDNN est écartée"))


def _forget():
    """Les noyaux d’une machine ne servent pas à une autre."""
    make_kernel.cache_clear()
    lesson_kernel.cache_clear()


def blind(op):
    """Ce que `op` peut lever où aucun noyau ne tourne : un masque n’y choisit aucun élément.

    Ses exemples d’une seule valeur y passent, et demandent tous ses noyaux.
    """
    return [ShapeError] if isinstance(op, IncSubtensor) and op.template == ("a",) else []


def record(architectures=(ARCHITECTURES[0], ARCHITECTURES[-1])):
    """Les demandes des exemples, sans doublon : un même texte ne se compile qu’une fois.

    `architectures` : celles à qui l’on demande ; la plus vieille et la plus neuve diffèrent.
    """
    found = []
    for architecture in architectures:
        with using(Recorder(architecture)) as recorder:
            for op, values, *_ in (*cases(), *large_cases()):
                with contextlib.suppress(*blind(op)):
                    call_on_device(op, values)
        found += recorder.requests
    return list(dict.fromkeys(found))
