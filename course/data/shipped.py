"""Lire un fichier livré avec le cours, une fois vérifié qu’il est bien celui d’origine.

Chaque dossier de `datasets/` porte un `SHA256SUMS` ; un fichier abîmé est nommé au lieu de fausser
un apprentissage.

Ordre de lecture : `read_shipped`, `digests_in`, `restoring`.
"""

import hashlib
from pathlib import Path

from course.places import DATASETS
from engine.core.errors import DataError

SUMS = "SHA256SUMS"


def read_shipped(path):
    """Les octets de `path`, comparés à l’empreinte inscrite dans le `SHA256SUMS` de son dossier.

    Paramètres
        path : le fichier.

    Lève
        DataError : le fichier manque, est illisible ou n’est plus celui d’origine.

    Exemple
        >>> len(read_shipped(DATASETS / "mnist" / "t10k-labels-idx1-ubyte.gz"))
        4517
    """
    path = Path(path)
    expected = digests_in(path.parent).get(path.name)
    data = read_bytes(path)
    check_digest(path, data, expected)
    return data


def check_digest(path, data, expected):
    """Compare les octets de `path` à l’empreinte attendue (None : elle n’est pas inscrite).

    Lève
        DataError : ce n’est pas la leur.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise DataError(
            f"{path.parent.name} : le fichier {path.name} est abîmé",
            expected=f"SHA-256 {expected or f'inscrit dans {SUMS}'}",
            received=f"SHA-256 {digest} ({len(data)} octets)",
            where=path,
            hint=restoring(path.parent),
        )


def digests_in(folder):
    """Les empreintes du `SHA256SUMS` de `folder` : {nom du fichier : empreinte}.

    Lève
        DataError : le fichier des empreintes manque ou est illisible.
    """
    lines = read_bytes(Path(folder) / SUMS).decode("utf-8", "replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None:
        raise DataError(
            f"{Path(folder).name} : le fichier {SUMS} est abîmé",
            expected="des lignes « empreinte  nom »",
            received=" ".join(wrong),
            where=Path(folder) / SUMS,
            hint=restoring(folder),
        )
    return {name.lstrip("*"): digest for digest, name in pairs}


def restoring(folder):
    """Comment retrouver un fichier abîmé de `folder`."""
    if not (DATASETS / Path(folder).name).is_dir():
        return "refaites ce fichier, ou reprenez-en une copie"
    return (
        f"restaurer les fichiers du cours par `git checkout -- datasets/{Path(folder).name}`, "
        "ou retélécharger le cours"
    )


def read_bytes(path):
    """Les octets de `path` ; DataError, avec de quoi le retrouver, s’il est illisible."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path.parent.name} : impossible de lire le fichier {path.name}",
            received=error.strerror,
            where=path,
            hint=restoring(path.parent),
            expected="un fichier livré avec le cours",
        ) from error
