"""Ranger les paramètres d’un modèle appris, et les reprendre.

Un modèle est un fichier `datasets/modeles/NOM.safetensors` : un tableau par paramètre, sous le nom
de sa variable partagée, et une fiche (ce qu’il fait, ce qu’il vaut, comment il a été appris). Les
nombres à virgule y sont en float16, deux octets par poids ; ils sont rendus en float32. Ce n’est
pas un objet Python que l’on rouvre, mais des tableaux nommés : toute bibliothèque sait les lire.

Ordre de lecture : `save`, `weights`, `load`, `cards`.

Source : le format safetensors (Hugging Face, 2022), sans code exécutable.
"""

import hashlib
import json
import re
from typing import NamedTuple

import numpy as np

from course.data.shipped import DATASETS, SUMS, check_digest, digests_in, read_bytes, restoring
from engine.core.dtypes import FLOATS, holds
from engine.core.errors import DataError, EngineError, ShapeError
from engine.io.files import locked, write_whole
from engine.io.named_arrays import pack, unpack

FOLDER = DATASETS / "modeles"
ABOUT, NAME = "fiche", "nom"


class Card(NamedTuple):
    """La fiche d’un modèle.

    Champs
        name : son nom dans le zoo.
        about : ce qui en a été dit à `save` (texte et nombres).
        shapes : la forme de chaque paramètre.
        size : la taille du fichier, en octets.
    """

    name: str
    about: dict
    shapes: dict
    size: int


def save(name, parameters, about, folder=FOLDER):
    """Range les paramètres sous `name`, et inscrit l’empreinte du fichier dans `SHA256SUMS`.

    Paramètres
        name : le nom du modèle, en minuscules, chiffres et tirets bas.
        parameters : variables partagées, aux noms distincts.
        about : dictionnaire de textes et de nombres : ce que fait le modèle, ses mesures.
        folder : le dossier du zoo.

    Renvoie
        La `Card` du modèle.

    Lève
        EngineError : un paramètre sans nom à lui, ou qui n’est pas fini.
        DataError : un nombre dépasse ce que float16 sait écrire (65 504).

    Exemple
        >>> import tempfile, engine
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> W = engine.shared(np.eye(2, dtype="float32"), name="W")
        >>> save("essai", [W], {"modèle": "identité"}, folder).shapes
        {'W': (2, 2)}
        >>> W.set_value(np.zeros((2, 2), "float32"))
        >>> load("essai", [W], folder).about, W.get_value().trace()
        ({'modèle': 'identité'}, np.float32(2.0))
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise EngineError(
            "zoo : un nom de modèle est aussi celui d'un fichier",
            expected="des minuscules sans accent, des chiffres, des tirets bas",
            received=repr(name),
            hint="le dossier se donne à part : zoo.save('chiffres', ..., folder=dossier)",
        )
    arrays = {key: _compact(key, value.get_value()) for key, value in _named(parameters).items()}
    try:
        told = json.dumps(about, ensure_ascii=False)
    except TypeError as error:
        raise EngineError(
            "zoo : la fiche d'un modèle est faite de textes et de nombres",
            expected="un dictionnaire comme {'erreur': 0.02}",
            received=f"{about!r} ({error})",
            hint="float(valeur), str(valeur), tableau.tolist()",
        ) from error
    data = pack(arrays, {NAME: name, ABOUT: told})
    path = _path(name, folder)
    with locked(folder / SUMS):
        digests = digests_in(folder) if (folder / SUMS).exists() else {}
        digests[path.name] = hashlib.sha256(data).hexdigest()
        write_whole(path, data)
        lines = [f"{digest}  {file}\n" for file, digest in sorted(digests.items())]
        write_whole(folder / SUMS, "".join(lines).encode())
    return _read(name, folder)[0]


def weights(name, folder=FOLDER):
    """Les tableaux d’un modèle : {nom du paramètre : tableau}, nombres à virgule en float32.

    Lève
        DataError : pas de modèle de ce nom (les noms connus sont dits), ou fichier abîmé.
    """
    return _read(name, folder)[1]


def load(name, parameters, folder=FOLDER):
    """Met dans des variables partagées les poids d’un modèle du zoo : toutes, ou aucune.

    Paramètres
        name : le nom du modèle ; `cards()` les donne tous.
        parameters : variables partagées ; leurs noms sont ceux des paramètres du fichier.

    Renvoie
        La `Card` du modèle.

    Lève
        DataError : modèle inconnu ou abîmé ; noms de paramètres qui ne sont pas les siens.
        ShapeError : un paramètre n’a pas la forme rangée.
    """
    named, (card, arrays) = _named(parameters), _read(name, folder)
    if set(named) != set(arrays):
        raise DataError(
            f"zoo : les paramètres donnés ne sont pas ceux du modèle {name}",
            expected=", ".join(sorted(arrays)),
            received=", ".join(sorted(named)),
            hint="donnez toutes les variables partagées du modèle, sous les noms du fichier",
        )
    for key, parameter in named.items():
        found = parameter.get_value(borrow=True).shape
        if found != arrays[key].shape:
            raise ShapeError(
                f"zoo : le paramètre {key} n'a pas la forme de celui du modèle {name}",
                expected=str(arrays[key].shape),
                received=str(found),
                hint="construisez le modèle avec les tailles dites par zoo.cards()",
            )
    for key, parameter in named.items():
        kept = arrays[key].dtype.name
        if not (holds(parameter.dtype, kept) or {parameter.dtype, kept} <= {*FLOATS}):
            raise DataError(
                f"zoo : le paramètre {key} n'a pas le dtype de celui du modèle {name}",
                expected=kept,
                received=parameter.dtype,
                hint=f"créez-le en {kept}",
            )
    for key, parameter in named.items():
        parameter.set_value(arrays[key].astype(parameter.dtype))
    return card


def cards(folder=FOLDER):
    """Les fiches de tous les modèles livrés : {nom : `Card`}."""
    names = sorted(path.stem for path in folder.glob("*.safetensors"))
    return {name: _read(name, folder)[0] for name in names}


def _path(name, folder):
    return folder / f"{name}.safetensors"


def _read(name, folder):
    """(fiche, tableaux) d’un modèle : d’une seule lecture, un autre programme peut en écrire."""
    path = _path(name, folder)
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors")))
        raise DataError(
            f"zoo : pas de modèle nommé {name}",
            expected=f"un de ceux-ci : {known}" if known else "un modèle livré",
            where=folder,
            hint=restoring(folder),
            received=repr(name),
        )
    listed, data = digests_in(folder).get(path.name), read_bytes(path)
    content = unpack(data, f"zoo, modèle {name}", restoring(folder))
    # une sauvegarde interrompue n’a pas inscrit l’empreinte : celle que porte le fichier suffit
    if not (content.sealed and content.texts.get(NAME) == name):
        check_digest(path, data, listed)
    if ABOUT not in content.texts:
        raise DataError(
            f"zoo : le fichier {path.name} n'a pas été écrit par zoo.save",
            expected="un modèle et sa fiche",
            received=", ".join(content.arrays),
            where=path,
        )
    arrays = {key: array.astype(_dtype_in_use(array)) for key, array in content.arrays.items()}
    shapes = {key: array.shape for key, array in sorted(arrays.items())}
    return Card(name, json.loads(content.texts[ABOUT]), shapes, len(data)), arrays


def _named(parameters):
    """{nom : variable partagée}, chaque nom une fois."""
    named = {parameter.name: parameter for parameter in parameters}
    if None in named or len(named) < len(parameters):
        raise EngineError(
            "zoo : chaque paramètre doit avoir un nom à lui",
            received=", ".join(str(parameter.name) for parameter in parameters),
            hint="donnez-le à la création : shared(valeur, name='W')",
            expected="des noms distincts",
        )
    return named


def _compact(key, value):
    """Le tableau à écrire : deux octets par nombre à virgule."""
    value = np.asarray(value, order="C")  # un scalaire reste un scalaire
    if value.dtype.name not in FLOATS:
        return value
    if not np.isfinite(value).all():
        raise EngineError(
            f"zoo : le paramètre {key} n'est pas fini",
            expected="des nombres",
            received=f"{np.count_nonzero(~np.isfinite(value))} infinis ou non définis",
            hint="l'entraînement a divergé : reprenez le meilleur modèle (restore_best)",
        )
    largest, limit = np.abs(value).max(initial=0), np.finfo(np.float16).max
    if largest > limit:
        raise DataError(
            f"zoo : le paramètre {key} ne tient pas en float16",
            expected=f"des valeurs d'au plus {limit:g}",
            received=f"{largest:g}",
            hint="réduisez-le : un poids pareil dit un entraînement qui diverge",
        )
    return value.astype(np.float16)


def _dtype_in_use(array):
    return np.float32 if array.dtype == np.float16 else array.dtype
