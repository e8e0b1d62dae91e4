"""Ce que le périphérique sait calculer : `python -m tests.gpu.coverage`.

Imprime combien de classes d’ops y ont un noyau et à quels niveaux, celles qui retombent sur l’hôte
et pourquoi, puis les ops des fonctions d’apprentissage des leçons 6, 7 et 9.

Ordre de lecture : `covered`, `tiers_of`, `report`.
"""

import numpy as np

import engine
from engine import config
from engine.core.registry import load
from engine.core.types import TensorType
from engine.gpu.compiling.nested import DeviceBranch, DeviceLoop
from engine.gpu.compiling.transfers import OnDevice, ToDevice, ToHost
from engine.gpu.kernels import registry
from engine.gpu.kernels.registry import NAMES
from engine.loops.branches import LazyIfElse
from engine.loops.loop_op import Scan
from engine.ops.shape import MakeVector, Shape, ShapeAxis
from tests.gpu.test_training import character_lstm, lenet, softmax_regression
from tests.ops.every_op import CASES, CLASSES

load("cuda")  # tous les noyaux se déclarent
LESSONS = {"06": softmax_regression, "07": lenet, "09": character_lstm}
_NESTED = {DeviceLoop: Scan, DeviceBranch: LazyIfElse}  # placée -> l’op dont elle vient
_APART = {"Nested", "DeviceLoop", "DeviceBranch", "ToDevice", "ToHost", "OnDevice"}
_HOSTS_OWN = (MakeVector, Shape, ShapeAxis, ToDevice, ToHost)


def op_classes():
    """Les classes d’ops, sauf celles que le placement pose."""
    return [cls for cls in CLASSES if cls.__name__ not in _APART]


def covered():
    """Celles qui ont un noyau ; la boucle et le choix, par le placement de leurs graphes."""
    return {*registry.kernels(), *_NESTED.values()}


def node_of(op, values):
    """Le nœud de `op`, ses entrées de ces dtypes, de longueurs inconnues."""
    return op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])


def tiers_of(op, sample):
    """Les niveaux du noyau de `op` pour ces entrées : `library`, `readable`."""
    values = [np.asarray(v) for v in sample]
    node = node_of(op, [v.astype("float32") if v.dtype.kind == "f" else v for v in values])
    if registry.host_inputs(node) is None:
        return set()
    found = set()
    for asked, name in NAMES.items():
        with config.change_flags(gpu_tier=asked):
            tier = getattr(registry.device_function(node), "tier", None)
        found |= {asked} if tier is not None and tier.name == name else set()
    return found or {"readable"}


def tiers():
    """{classe d’op: les niveaux de ses exemples} ; ce qui porte des graphes n’a que les leurs."""
    found = {}
    for op, sample in CASES:
        if type(op) in covered():
            found[type(op)] = found.get(type(op), set()) | tiers_of(op, sample)
    return found


def placed(graph):
    """Les ops d’un graphe placé, boucles comprises : (sur le périphérique, sur l’hôte)."""
    here, there = set(), set()
    for node in graph:
        op = node.op
        if isinstance(op, OnDevice):
            here.add(type(op.op).__name__)
        elif type(op) in _NESTED:
            here.add(_NESTED[type(op)].__name__)
            for inputs, outputs in op.inner_graphs():
                more, left = placed(engine.core.graph.toposort(outputs, inputs))
                here, there = here | more, there | left
        elif not isinstance(op, _HOSTS_OWN) and any(v.ndim for v in (*node.inputs, *node.outputs)):
            there.add(type(op).__name__)
    return here, there


def lesson_ops():
    """Pour chaque leçon : les ops placées, celles restées sur l’hôte."""
    rows = {}
    for number, lesson in LESSONS.items():
        with config.change_flags(device="cuda", floatX="float32"):
            f, _, _ = lesson()
        rows[number] = placed(f.fgraph.toposort())
    return rows


def report():
    """Le texte de la commande."""
    classes = op_classes()
    have = [cls for cls in classes if cls in covered()]
    lines = [f"{len(have)} classes d’ops sur {len(classes)} ont un noyau du périphérique"]
    rows = {}
    for cls, found in tiers().items():
        key = ", ".join(name for asked, name in reversed(NAMES.items()) if asked in found)
        rows.setdefault(key, []).append(cls.__name__)
    lines += [f"  {key} : {', '.join(names)}" for key, names in rows.items()]
    lines += [
        f"  sur l’hôte : {cls.__name__} ({cls.host_only or 'sans raison écrite'})"
        for cls in classes
        if cls not in covered()
    ]
    for number, (here, there) in lesson_ops().items():
        lines.append(f"leçon {number} : {len(here)} ops, {len(there)} sur l’hôte")
        lines.append(f"  {', '.join(sorted(here))}")
        lines += [f"  sur l’hôte : {', '.join(sorted(there))}"] if there else []
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
