"""Écrire un fichier en entier ou pas du tout (`write_whole`), chacun à son tour (`locked`).

Une coupure de courant, un disque plein, deux programmes à la fois : sous son nom, un fichier est
celui d’avant ou celui d’après, jamais un morceau. Lire, changer, récrire demande de plus que
personne n’écrive entre-temps : c’est le verrou.
"""

import contextlib
import errno
import os
import sys
import time
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

PAUSE = 0.02  # secondes entre deux essais, quand un autre programme tient le fichier
TRIES = 50
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # un disque du réseau qui n’en a pas


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
        _to_disk(beside)
        _rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    with contextlib.suppress(OSError):  # Windows n’ouvre pas un dossier
        _to_disk(path.parent)


def _to_disk(path):
    """Attend que le disque ait tout : sans cela, une panne garde le nouveau nom et un vide."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(beside, path):
    """Windows refuse de remplacer un fichier qu’un autre programme lit : on attend."""
    for _ in range(TRIES if sys.platform == "win32" else 0):
        with contextlib.suppress(PermissionError):
            beside.replace(path)
            return
        time.sleep(PAUSE)
    beside.replace(path)


@contextlib.contextmanager
def locked(path):
    """Le temps d’un bloc `with`, aucun autre `locked(path)` n’avance, ici ou ailleurs.

    Le système rend le verrou d’un programme tué. Les brouillons que celui-ci a laissés près de
    `path` sont ôtés.

    Lève
        OSError : le dossier n’existe pas et ne peut pas être créé, ou n’est pas à nous.

    Exemple
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "compte"
        >>> with locked(path):
        ...     write_whole(path, b"1")
        >>> [place.name for place in path.parent.iterdir()]
        ['compte']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.verrou")
    descriptor = _acquire(place)
    try:
        for draft in path.parent.glob(f"{path.name}.*.tmp"):
            with contextlib.suppress(OSError):
                draft.unlink()
        yield
    finally:
        with contextlib.suppress(OSError):  # sous Windows, un fichier ouvert reste
            place.unlink()
        os.close(descriptor)  # ce qui rend le verrou


def _acquire(place):
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
        try:
            if _try_lock(descriptor) and _is_there(descriptor, place):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(PAUSE)


def _try_lock(descriptor):
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _is_there(descriptor, place):
    """Dit si le verrou pris est encore le fichier de ce nom : on a pu l’ôter entre-temps."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(place))
    except FileNotFoundError:
        return False
