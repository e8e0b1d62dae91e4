"""Écrire un fichier en entier ou pas du tout : `write_whole`.

Une coupure de courant, un disque plein, deux programmes à la fois : sous son nom, un fichier est
celui d’avant ou celui d’après, jamais un morceau.
"""

import contextlib
import uuid
from pathlib import Path


def write_whole(path, data):
    """Écrit `data` à côté de `path`, puis le renomme ; crée le dossier s’il manque.

    Paramètres
        path : le fichier.
        data : des octets.

    Lève
        OSError : l’écriture est impossible ; il ne reste alors rien à côté.

    Exemple
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dossier" / "note"
        >>> write_whole(path, b"ut")
        >>> path.read_bytes(), len(list(path.parent.iterdir()))
        (b'ut', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
