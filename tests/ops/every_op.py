"""Toutes les ops du moteur, trouvées d’elles-mêmes, avec leurs exemples.

Une op nouvelle, écrite dans un fichier de `engine/ops/`, entre ici sans que rien d’autre change :
sa classe dit ses réglages (`variants`) et ses exemples (`samples`), ou le test qui l’éprouve
(`tested_by`).

`VARIANTS` : classe -> ops à éprouver ; `CASES` : couples (op, entrées).
"""

import importlib
import pkgutil

import engine
from engine import compat, loops, ops
from engine.core.graph import Op
from engine.gpu import compiling

for _folder in (ops, loops, compiling, compat):
    for _file in pkgutil.iter_modules(_folder.__path__):
        importlib.import_module(f"{_folder.__name__}.{_file.name}")


def _subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


CLASSES = [
    cls
    for cls in dict.fromkeys(_subclasses(Op))
    if cls.__module__.startswith(f"{engine.__name__}.") and not cls.__name__.startswith("_")
]
VARIANTS = {cls: cls.variants() for cls in CLASSES if cls.tested_by is None}
CASES = [(op, sample) for found in VARIANTS.values() for op in found for sample in op.samples()]
