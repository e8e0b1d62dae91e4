"""Les dtypes du moteur, et ce que deux d’entre eux font ensemble.

Les demi-flottants, float16 et bfloat16, rangent un nombre sur deux octets : 5 bits d’exposant et
10 de fraction pour l’un, 8 et 7 pour l’autre, qui va donc aussi loin que float32. Ils servent à
ranger ; tout se calcule et s’accumule en float32, puis s’arrondit (`widened`). NumPy ne connaît pas
bfloat16 : le paquet ml_dtypes le lui apprend.

Ordre de lecture : `DTYPES`, `upcast`, `widened`, `in_float32`.
"""

import contextlib
import functools

import numpy as np

from engine.core.errors import DtypeError

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32", "float64"),
)
HALVES = ("float16", "bfloat16")
FLOATS = (*HALVES, "float32", "float64")

with contextlib.suppress(ImportError):  # sans lui, `TensorType("bfloat16")` dira quoi installer
    import ml_dtypes  # noqa: F401  apprend bfloat16 à NumPy


@functools.cache
def upcast(*dtypes):
    """Le plus petit dtype qui contient les autres.

    int32 et float32 donnent float64 ; bfloat16 se mêle aux entiers comme float16, et les deux
    demi-flottants donnent float32.

    Exemple
        >>> upcast("int32", "float32"), upcast("bfloat16", "int8"), upcast("bfloat16", "float16")
        ('float64', 'bfloat16', 'float32')
    """
    if "bfloat16" not in dtypes:
        return str(np.result_type(*map(np.dtype, dtypes)))
    others = ["float16" if dtype == "bfloat16" else dtype for dtype in dtypes]
    common = upcast(*others)
    if common != "float16":
        return common
    return "float32" if "float16" in dtypes else "bfloat16"


def holds(wide, dtype):
    """Dit si tout nombre de ce dtype s’écrit en `wide` sans se perdre.

    Exemple
        >>> holds("float32", "bfloat16"), holds("bfloat16", "float16")
        (True, False)
    """
    return upcast(wide, dtype) == wide


def epsilon(dtype):
    """L’écart entre 1 et le nombre suivant de ce dtype : l’unité de ses arrondis.

    Exemple
        >>> epsilon("bfloat16"), epsilon("float16") == 2**-10
        (0.0078125, True)
    """
    return 2.0**-7 if str(dtype) == "bfloat16" else float(np.finfo(dtype).eps)


def widened(dtype):
    """Le dtype où se calcule ce qui se range en `dtype` : float32 pour un demi-flottant.

    Exemple
        >>> widened("bfloat16"), widened("int8")
        ('float32', 'int8')
    """
    return "float32" if dtype in HALVES else dtype


def is_number(dtype):
    """Dit si ce dtype de NumPy est de ceux du moteur."""
    return dtype.name in DTYPES


def need_bfloat16():
    """Lève DtypeError si NumPy ne connaît pas bfloat16."""
    try:
        np.dtype("bfloat16")
    except TypeError:
        raise DtypeError(
            "bfloat16 demande le paquet ml_dtypes : NumPy ne connaît pas ce dtype",
            hint="pip install ml_dtypes",
        ) from None


def in_float32(perform):
    """Le `perform` d’un op qui calcule, pour qui les demi-flottants sont des float32.

    Il reçoit un nœud et des tableaux élargis ; ses résultats sont arrondis au dtype annoncé.
    """

    @functools.wraps(perform)
    def rounding(self, node, inputs, output_storage):
        dtypes = [variable.dtype for variable in (*node.inputs, *node.outputs)]
        if not any(dtype in HALVES for dtype in dtypes):
            perform(self, node, inputs, output_storage)
            return
        wide = [
            entry.type.with_dtype(widened(entry.dtype))() if entry.dtype in HALVES else entry
            for entry in node.inputs
        ]
        arrays = [
            value.astype(entry.dtype, copy=False) for value, entry in zip(inputs, wide, strict=True)
        ]
        perform(self, self.make_node(*wide), arrays, output_storage)
        with np.errstate(all="ignore"):
            for cell, output in zip(output_storage, node.outputs, strict=True):
                cell[0] = cell[0].astype(output.dtype, copy=False)

    return rounding
