"""Lire un fichier livré avec le cours, une fois vérifié qu’il est bien celui d’origine.

Chaque dossier de `datasets/` porte un `SHA256SUMS` ; un fichier abîmé est nommé au lieu de fausser
un apprentissage.

Ordre de lecture : `read_shipped`, `digests_in`, `restoring`.
"""

import hashlib
from pathlib import Path

from engine.errors import DataError

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
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
    data = _read_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise DataError(
            f"datasets/{path.parent.name} : le fichier {path.name} est abîmé",
            expected=f"SHA-256 {expected or f'inscrit dans {SUMS}'}",
            received=f"SHA-256 {digest} ({len(data)} octets)",
            where=path,
            hint=restoring(path.parent),
        )
    return data


def digests_in(folder):
    """Les empreintes du `SHA256SUMS` de `folder` : {nom du fichier : empreinte}.

    Lève
        DataError : le fichier des empreintes manque ou est illisible.
    """
    lines = _read_bytes(Path(folder) / SUMS).decode("utf-8", "replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    return {name.lstrip("*"): digest for digest, name in pairs}


def restoring(folder):
    """Comment retrouver un fichier abîmé de `folder`."""
    return (
        f"restaurer les fichiers du cours par `git checkout -- datasets/{Path(folder).name}`, "
        "ou retélécharger le cours"
    )


def _read_bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"datasets/{path.parent.name} : impossible de lire le fichier {path.name}",
            received=error.strerror,
            where=path,
            hint=restoring(path.parent),
        ) from error
