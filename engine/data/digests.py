"""Lire un fichier du cours après avoir comparé son empreinte SHA-256 à celle de `SHA256SUMS`.

Un fichier abîmé est nommé, au lieu de fausser un apprentissage.
"""

import hashlib
from pathlib import Path

from engine.errors import DataError

DATASETS = Path(__file__).resolve().parents[2] / "datasets"


def read_checked(path):
    """Les octets d’un fichier, une fois son empreinte vérifiée.

    Paramètres
        path : le fichier ; `SHA256SUMS`, dans le même dossier, porte son empreinte.

    Renvoie
        Son contenu, en octets.

    Lève
        DataError : le fichier, ou `SHA256SUMS`, manque ou n’est plus celui d’origine.

    Exemple
        >>> read_checked(DATASETS / "communes" / "communes-2026.csv")[:14]
        b'code_insee,nom'
    """
    path = Path(path)
    digests = _read_digests(path.with_name("SHA256SUMS"))
    content = _read_bytes(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != digests.get(path.name):
        raise DataError(
            f"{path.parent.name} : le fichier {path.name} est abîmé",
            expected=f"SHA-256 {digests.get(path.name, 'inscrit dans SHA256SUMS')}",
            received=f"SHA-256 {digest} ({len(content)} octets)",
            where=path,
            hint=restore(path),
        )
    return content


def restore(path):
    """Quoi essayer quand un fichier du cours manque ou ne convient plus."""
    return (
        f"restaurer les fichiers du cours par `git checkout -- datasets/{path.parent.name}`, "
        "ou retélécharger le cours"
    )


def _read_digests(path):
    lines = _read_bytes(path).decode("ascii", "replace").splitlines()
    pairs = [line.split() for line in lines if line.strip()]
    return {pair[-1]: pair[0] for pair in pairs}


def _read_bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path.parent.name} : impossible de lire le fichier {path.name}",
            received=error.strerror,
            where=path,
            hint=restore(path),
        ) from error
