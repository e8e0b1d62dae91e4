"""Le cache des noyaux compilés : le second démarrage ne compile rien.

Le texte d’un noyau est un vrai fichier, nommé par l’empreinte de son contenu ; Numba range à côté
le code machine. Deux programmes qui ont besoin du même noyau partagent le même fichier, jamais
réécrit. Si le dossier n’est pas accessible en écriture (disque plein, installation en lecture
seule), un avertissement le dit une fois et le noyau est compilé en mémoire.

Le dossier : le réglage `cache_dir`, sinon celui que le système réserve aux caches.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
import types
import warnings
from pathlib import Path

from engine.errors import EngineError
from engine.settings import config

_modules = {}
_warned = []


class CacheWarning(EngineError, UserWarning):
    """Le cache des noyaux ne peut pas être écrit : on compile en mémoire."""


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


def load(source, name):
    """Rend le module dont `source` est le texte, et s’il vit sur le disque (sinon, en mémoire)."""
    key = hashlib.sha256(source.encode()).hexdigest()[:20]
    folder = directory()
    known = _modules.get((folder, key))
    if known is not None:
        return known
    path = folder / f"{name}_{key}.py"
    try:
        if not path.exists():
            _write_beside(path, source)
        spec = importlib.util.spec_from_file_location(f"chainage_{name}_{key}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # Numba y retrouve le noyau chargé du disque
        spec.loader.exec_module(module)
        on_disk = True
    except OSError as error:
        warn_once(error, folder)
        module, on_disk = types.ModuleType(f"chainage_{name}_{key}"), False
        exec(
            compile(source.replace("cache=True", "cache=False"), f"<{name}>", "exec"),
            module.__dict__,
        )
    _modules[folder, key] = module, on_disk
    return module, on_disk


def forget_machine_code(module):
    """Ôte du disque le code machine d’un noyau ; son texte reste, on le compilera de nouveau."""
    path = Path(module.__file__)
    for file in (path.parent / "__pycache__").glob(f"{path.stem}.*.nb?"):
        file.unlink(missing_ok=True)


def _write_beside(path, text):
    """Écrit à côté puis renomme : jamais de fichier à moitié écrit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def warn_once(error, folder):
    """Avertit, une fois par dossier, que le cache ne peut pas être écrit."""
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
