"""Des tableaux nommés dans un fichier qui se reconnaît abîmé : `pack`, `unpack`.

Le format est safetensors, que toute bibliothèque lit ; un de ses textes est l’empreinte de tout le
fichier, noms et nombres. Qu’un bit change n’importe où, `unpack` le dit.

Source : le format safetensors (Hugging Face, 2022), sans code exécutable.
"""

import hashlib
import json
from typing import NamedTuple

import numpy as np
import safetensors
from safetensors.numpy import save

from engine.core.errors import DataError

SEAL = "empreinte"
BLANK = f"sha256 {'0' * 64}"  # la place de l’empreinte, tant que l’on ne la connaît pas
DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "F16": "float16", "BF16": "bfloat16",
    "F32": "float32", "F64": "float64",
}  # fmt: skip


class Unpacked(NamedTuple):
    """Ce que contient un fichier : {nom : tableau}, {nom : texte}, et s’il porte son empreinte."""

    arrays: dict
    texts: dict
    sealed: bool


def pack(arrays, texts):
    """Rend les octets du fichier : {nom : tableau} et {nom : texte}, scellés.

    Exemple
        >>> data = pack({"W": np.eye(2)}, {"titre": "identité"})
        >>> content = unpack(data, "essai")
        >>> content.texts, content.sealed
        ({'titre': 'identité'}, True)
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    data = save(contiguous, metadata={**texts, SEAL: BLANK})
    return data.replace(BLANK.encode(), _digest(data).encode(), 1)


def unpack(data, what, hint=None):
    """Rend l’`Unpacked` de ces octets.

    Paramètres
        data : les octets du fichier.
        what, hint : de quoi il s’agit et quoi essayer, pour l’erreur.

    Lève
        DataError : ce n’est pas un tel fichier, ou il n’est plus ce qui a été écrit.
    """
    try:
        header = int.from_bytes(data[:8], "little")
        texts = dict(json.loads(data[8 : 8 + header]).get("__metadata__", {}))
        arrays = {name: _array(entry) for name, entry in safetensors.deserialize(data)}
    except (safetensors.SafetensorError, ValueError, LookupError, AttributeError, TypeError,
            RecursionError) as error:  # fmt: skip
        raise DataError(
            f"{what} : ce n'est pas un fichier de tableaux, ou il est abîmé",
            expected="un fichier safetensors entier",
            received=f"{len(data)} octets ({error})",
            hint=hint,
        ) from error
    seal = texts.pop(SEAL, None)
    if seal is not None and _digest(data.replace(str(seal).encode(), BLANK.encode(), 1)) != seal:
        raise DataError(
            f"{what} : le fichier est abîmé",
            expected="les octets qui ont été écrits",
            received="une empreinte qui n'est pas la leur",
            hint=hint,
        )
    return Unpacked(arrays, texts, seal is not None)


def _array(entry):
    array = np.frombuffer(entry["data"], dtype=DTYPES[entry["dtype"]])
    return array.reshape(entry["shape"]).copy()


def _digest(data):
    return f"sha256 {hashlib.sha256(data).hexdigest()}"
