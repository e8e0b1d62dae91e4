"""Les noyaux du périphérique, par op : `@device_kernel(Op)`.

La fabrique reçoit le nœud tel qu’il s’écrit sur l’hôte et rend une fonction des tableaux du
périphérique. Ce qu’elle ne sait pas faire (`when`) se calcule sur l’hôte.

Un produit, une convolution ont deux niveaux :

    lisible       les noyaux de `readable/`, ceux de la leçon 10 : tout se lit, tout marche
    bibliothèque  cuBLAS et cuDNN, là où ils sont installés

Sur un GPU, la bibliothèque vient d’abord ; ce qu’elle ne sait pas faire, le noyau lisible le fait.
Le réglage `gpu_tier` demande l’un ou l’autre.

Ordre de lecture : `device_kernel`, `host_inputs`, `choose`, puis les transferts.
"""

from functools import cache
from typing import NamedTuple

from engine.core.graph import Constant
from engine.core.registry import kernel
from engine.core.settings import config
from engine.core.typeset import typeset
from engine.gpu.compiling.transfers import OnDevice, ToDevice, ToHost
from engine.gpu.kernels.arrays import DeviceArray, upload
from engine.gpu.kernels.faults import check

_FACTORIES = {}


def device_kernel(op_class, host=lambda node: (), when=lambda node: True):
    """Déclare la fabrique des noyaux de `op_class`.

    Paramètres
        host : nœud -> rangs des entrées que le noyau veut sur l’hôte (des longueurs, des indices).
        when : nœud -> dit si la fabrique sait le faire.
    """

    def register(factory):
        _FACTORIES[op_class] = factory, host, when
        return factory

    return register


def host_inputs(node):
    """Les rangs des entrées qui restent sur l’hôte ; None si aucun noyau ne calcule ce nœud."""
    if type(node.op) not in _FACTORIES:
        return None
    _, host, when = _FACTORIES[type(node.op)]
    return tuple(host(node)) if when(node) else None


def device_function(node):
    """La fonction des tableaux du périphérique qui calcule ce nœud, si `host_inputs` en dit un."""
    return _FACTORIES[type(node.op)][0](node)


def kernels():
    """Les classes d’ops qui ont un noyau."""
    return list(_FACTORIES)


# ---- les deux niveaux ----------------------------------------------------------------------------

NAMES = {"library": "bibliothèque", "readable": "lisible"}


class Tier(NamedTuple):
    """Le niveau d’un nœud, et pourquoi celui-là."""

    name: str
    why: str

    def __str__(self):
        return typeset(f"{self.name} : {self.why}" if self.why else self.name)


def choose(readable, library="", name=""):
    """La fonction qui calcule par le meilleur niveau ; son attribut `tier` dit lequel.

    Paramètres
        readable : une fonction des tableaux.
        library : une autre, qui rend None pour les formes qu’elle ne sait pas faire ; ou un texte,
            la raison de son absence.
        name : ce qu’est cette bibliothèque.

    Exemple
        >>> add = choose(lambda x, y: x + y, "cuBLAS n'additionne pas")
        >>> print(add(1, 2), add.tier)
        3 lisible : cuBLAS n’additionne pas
    """
    asked, able = config.gpu_tier, callable(library)

    def call(*arrays):
        found = library(*arrays) if able and asked != "readable" else None
        return readable(*arrays) if found is None else found

    level = "library" if able and asked != "readable" else "readable"
    why = f"gpu_tier={asked}" if level == asked else name if able else library
    call.tier = Tier(NAMES[level], why)
    return call


# ---- les transferts ------------------------------------------------------------------------------


@kernel(OnDevice, "cuda")
def on_device_kernel(node, reuse):
    return device_function(_AsOnHost(node.op.op, node))


class _AsOnHost:
    """Le nœud, vu comme sur l’hôte : la même op, les mêmes entrées et sorties."""

    def __init__(self, op, node):
        self.op, self.inputs, self.outputs = op, node.inputs, node.outputs
        self.trace = node.trace


@kernel(ToDevice, "cuda")
def to_device_kernel(node, reuse):
    if isinstance(node.inputs[0], Constant):
        once = cache(lambda: upload(node.inputs[0].data))
        return lambda x: once()
    return lambda x: x if isinstance(x, DeviceArray) else upload(x)


@kernel(ToHost, "cuda")
def to_host_kernel(node, reuse):
    def call(x):
        if not isinstance(x, DeviceArray):
            return x
        value = x.to_host()
        check()
        return value

    return call
