"""Le cache des noyaux compilés : le second démarrage ne compile rien.

Un noyau, un fichier : son code machine, précédé de l’empreinte qui dit s’il est entier, sous un nom
fait de tout ce dont il dépend (texte, types, versions, processeur). Un fichier n’est jamais modifié
et ne paraît qu’une fois complet : plusieurs programmes, machines ou versions partagent un dossier
sans se gêner. Un fichier absent, abîmé ou illisible se recompile ; un dossier où l’on ne peut pas
écrire coûte un avertissement. Le code s’exécute tel quel : ne partagez le dossier qu’avec des
personnes de confiance.

`python -m engine.cache` le montre, `python -m engine.cache --vider` l’efface.

Ordre de lecture : `directory`, `key_of`, `read`, `write`, puis `kernels`, `table`, `clear`, `main`.
"""

import argparse
import contextlib
import hashlib
import os
import re
import sys
import time
import uuid
import warnings
from pathlib import Path

from engine.errors import EngineError
from engine.settings import config

_DIGEST = hashlib.sha256().digest_size
_NAME = re.compile(r"([a-z_]+)_[0-9a-f]{20}\.noyau(\.[0-9a-f]{32}\.tmp)?")
_DAY = 86_400  # secondes
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


# ---- lire, écrire ------------------------------------------------------------------------


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
    if hashlib.sha256(content).digest() != data[:_DIGEST]:
        return None
    with contextlib.suppress(OSError):  # la date dit le dernier usage
        os.utime(path)
    return content


def write(name, key, content):
    """Range un code machine : d’abord à côté, puis sous son nom, en une fois."""
    path = _path(name, key)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _warn_once(error, path.parent)


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


# ---- voir, vider -------------------------------------------------------------------------


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


def table():
    """Le tableau du cache : par famille de noyaux, nombre, taille, usages extrêmes."""
    found = kernels()
    lines = [f"dossier : {directory()}"]
    if not found:
        return "\n".join([*lines, "aucun noyau"])
    lines.append(f"{'famille':14}{'noyaux':>7}{'Mo':>8}  {'plus ancien usage':18}dernier usage")
    for family in [*sorted({row[0] for row in found}), "total"]:
        rows = [row for row in found if family in (row[0], "total")]
        size, dates = sum(row[1] for row in rows) / 1e6, [row[2] for row in rows]
        lines.append(
            f"{family:14}{len(rows):>7}{size:>8.2f}  {_day(min(dates)):18}{_day(max(dates))}"
        )
    return "\n".join(lines)


def _day(seconds):
    return time.strftime("%d/%m/%Y", time.localtime(seconds))


def clear(days=0):
    """Efface les noyaux dont personne n’a eu besoin depuis `days` jours.

    Renvoie
        Les tailles, en octets, des noyaux effacés, et la liste des erreurs.
    """
    sizes, errors = [], []
    for _, size, date, path in kernels():
        if time.time() - date >= days * _DAY:
            try:
                path.unlink(missing_ok=True)
                sizes.append(size)
            except OSError as error:
                errors.append(error)
    return sizes, errors


def main(arguments=None):
    """La commande : montre le cache, ou le vide ; rend 1 si quelque chose n’a pu être effacé."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.cache", description="Montre les noyaux compilés, ou les efface."
    )
    parser.add_argument("--vider", action="store_true", help="efface les noyaux")
    parser.add_argument(
        "--plus-vieux-que", type=float, metavar="JOURS", help="avec --vider : les seuls délaissés"
    )
    options = parser.parse_args(arguments)
    if options.plus_vieux_que is not None and not options.vider:
        parser.error("--plus-vieux-que s’emploie avec --vider")
    try:
        if not options.vider:
            print(table())
            return 0
        sizes, errors = clear(options.plus_vieux_que or 0)
    except PermissionError as error:
        print(f"dossier illisible : {error.filename} ({error.strerror})", file=sys.stderr)
        return 1
    print(f"{len(sizes)} noyaux effacés, {sum(sizes) / 1e6:.2f} Mo : {directory()}")
    if errors:
        print(f"{len(errors)} noyaux n’ont pu l’être : {errors[0].strerror}", file=sys.stderr)
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
