"""Le cache des noyaux compilés : le second démarrage ne compile rien.

Un noyau, un fichier : son code machine, précédé de l’empreinte qui dit s’il est entier, sous un nom
fait de tout ce dont il dépend (texte, types, versions, processeur). Un fichier n’est jamais modifié
et ne paraît qu’une fois complet : plusieurs programmes, machines ou versions partagent un dossier
sans se gêner. Un fichier absent, abîmé ou illisible se recompile ; un dossier où l’on ne peut pas
écrire coûte un avertissement. Le code s’exécute tel quel : ne partagez le dossier qu’avec des
personnes de confiance.

Ordre de lecture : `directory`, `key_of`, `read`, `write`, `kernels`. Pour le voir ou le vider :
`python -m engine.backends.__main__`.
"""

import contextlib
import hashlib
import os
import re
import sys
import warnings
from pathlib import Path

from engine.core.errors import EngineError
from engine.core.settings import config
from engine.io.files import write_whole

_DIGEST = hashlib.sha256().digest_size
_NAME = re.compile(r"([a-z0-9_]+)_[0-9a-f]{20}\.noyau(\.[0-9a-f]{32}\.tmp)?")
_warned = []


class CacheWarning(EngineError, UserWarning):
    """Le cache des noyaux ne peut pas être écrit : on compilera de nouveau la prochaine fois."""


class Counters:
    """Combien de noyaux chargés du disque (`hits`) et compilés (`misses`) depuis le démarrage."""

    hits = 0
    misses = 0


def directory():
    """Le dossier du cache : le réglage `cache_dir`, sinon celui que le système réserve aux
    caches.
    """
    if config.cache_dir:
        return Path(config.cache_dir)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "chainage"


def key_of(*parts):
    """L’empreinte de tout ce dont un noyau dépend."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20]


def read(name, key):
    """Le code machine rangé sous ce nom et cette empreinte, ou None."""
    path = _path(name, key)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content = data[_DIGEST:]
    if _digest(path, content) != data[:_DIGEST]:
        return None
    with contextlib.suppress(OSError):  # la date dit le dernier usage
        os.utime(path)
    return content


def write(name, key, content):
    """Range un code machine : d’abord à côté, puis sous son nom, en une fois."""
    path = _path(name, key)
    try:
        write_whole(path, _digest(path, content) + content)
    except OSError as error:
        _warn_once(error, path.parent)


def _digest(path, content):
    """L’empreinte du contenu sous ce nom : un noyau rangé à la place d’un autre se recompile."""
    return hashlib.sha256(path.name.encode() + content).digest()


def _path(name, key):
    return directory() / f"{name}_{key}.noyau"


def _warn_once(error, folder):
    if folder not in _warned:
        _warned.append(folder)
        warnings.warn(
            CacheWarning(
                "cache des noyaux inaccessible en écriture : on compile en mémoire, plus lentement",
                expected=f"un dossier où écrire : {folder.name}",
                received=str(error.strerror or error),
                hint="libérez de la place, ou choisissez un dossier : ENGINE_FLAGS='cache_dir=...'",
            ),
            stacklevel=3,
        )


def kernels():
    """Les noyaux rangés : (famille, octets, date du dernier usage, chemin) ; rien d’autre.

    Un fichier `.tmp`, laissé par un programme interrompu, est de la famille « inachevés ».
    """
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(directory()):
            name = _NAME.fullmatch(entry.name)
            if name and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):  # un autre programme vient de l’ôter
                    status = entry.stat()
                    family = "inachevés" if name[2] else name[1]
                    found.append((family, status.st_size, status.st_mtime, Path(entry.path)))
    return found
