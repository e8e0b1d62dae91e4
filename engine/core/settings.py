"""Les réglages du moteur : `config`.

Une valeur vient, du plus faible au plus fort, de la table `FLAGS` ci-dessous, du fichier
`~/.engine.toml`, de la variable d’environnement `ENGINE_FLAGS`
(`"floatX=float32,mode=FAST_COMPILE"`), puis du programme lui-même (`config.floatX = "float32"`).

Ce que le programme pose vaut pour tous ses fils. Un bloc `change_flags` ne vaut que pour le fil (ou
la tâche) qui y entre, ce qu’on y pose aussi : un fil lancé dedans a les réglages du dehors.

Ordre de lecture : `FLAGS`, `Config`.
"""

import contextlib
import os
import tomllib
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import ConfigError


@dataclass(frozen=True)
class Flag:
    """Un réglage : sa valeur par défaut, les valeurs permises (`None` : toutes), ce qu’il fait."""

    default: object
    choices: tuple | None
    doc: str


FLAGS = {
    "floatX": Flag(
        "float64", ("float16", "float32", "float64"), "type des flottants créés sans précision"
    ),
    "device": Flag("cpu", ("cpu", "cuda", *(f"cuda{rank}" for rank in range(16))), "où calculer"),
    "gpu_tier": Flag("auto", ("auto", "library", "readable"), "noyaux du GPU à essayer d'abord"),
    "allow_tf32": Flag(
        False, (False, True), "multiplier des float32 arrondis à dix bits, plus vite, sur le GPU"
    ),
    "gpu_replay": Flag("on", ("on", "off"), "rejouer d'un bloc ce qu'un appel lance sur le GPU"),
    "mode": Flag("FAST_RUN", None, "mode de compilation par défaut"),
    "on_unused_input": Flag("raise", ("raise", "warn", "ignore"), "que faire d'une entrée inutile"),
    "cache_dir": Flag("", None, "dossier des noyaux compilés (vide : celui de l'utilisateur)"),
    "compute_test_value": Flag(
        "off", ("off", "ignore", "warn", "raise"), "calculer v.tag.test_value dès la construction"
    ),
    "trace_depth": Flag(3, None, "nombre de lignes d'appel gardées pour dire où un nœud est né"),
}


_SWITCHES = {"true": True, "1": True, "false": False, "0": False}


class Config:
    """Les réglages courants, lus et écrits comme des attributs.

    Lève
        ConfigError : nom inconnu ou valeur refusée.

    Exemple
        >>> with config.change_flags(floatX="float32"):
        ...     config.floatX
        'float32'
    """

    def __init__(self, path=None, environ=None):
        environ = os.environ if environ is None else environ
        path = Path.home() / ".engine.toml" if path is None else Path(path)
        object.__setattr__(self, "_values", {name: flag.default for name, flag in FLAGS.items()})
        # ceux du bloc `change_flags` en cours dans ce fil ; None hors de tout bloc
        object.__setattr__(self, "_block", ContextVar("réglages d’un bloc", default=None))
        for name, value in _read_file(path).items():
            self._set(name, value, f"le fichier {path.name}")
        for item in filter(None, environ.get("ENGINE_FLAGS", "").split(",")):
            name, _, value = item.partition("=")
            self._set(name.strip(), value.strip(), "ENGINE_FLAGS")

    def __getattr__(self, name):
        try:
            return (self._block.get() or self._values)[name]
        except KeyError:
            raise _unknown(name, "config", UnknownSettingError) from None

    def __setattr__(self, name, value):
        self._set(name, value, "le programme")

    def __dir__(self):
        return sorted(FLAGS)

    def __repr__(self):
        return "\n".join(
            f"{name} = {getattr(self, name)!r}  # {flag.doc}" for name, flag in FLAGS.items()
        )

    def _set(self, name, value, source):
        if name not in FLAGS:
            raise _unknown(name, source)
        given, value = value, _read(FLAGS[name], value)
        if value is None:
            raise ConfigError(
                f"réglage {name} : valeur refusée",
                expected=", ".join(map(str, FLAGS[name].choices or ("un entier",))),
                received=repr(given),
                where=source,
                hint=f"config.{name} vaut {FLAGS[name].default!r} par défaut",
            )
        block = self._block.get()
        if block is None:
            self._values[name] = value
        else:
            self._block.set({**block, name: value})

    @contextlib.contextmanager
    def change_flags(self, **changes):
        """Change des réglages le temps d’un bloc `with`, et dans ce seul fil, puis les remet."""
        token = self._block.set(dict(self._block.get() or self._values))
        try:
            for name, value in changes.items():
                self._set(name, value, "change_flags")
            yield self
        finally:
            self._block.reset(token)


def _read(flag, value):
    """La valeur d’un réglage, lue dans son texte au besoin ; None si elle ne convient pas."""
    if isinstance(flag.default, bool):
        return _SWITCHES.get(str(value).lower())
    if isinstance(flag.default, int):
        if isinstance(value, str) and value.removeprefix("-").isdecimal():
            value = int(value)
        return value if isinstance(value, int) else None
    if flag.choices is None:
        return value
    return str(value) if str(value) in flag.choices else None


class UnknownSettingError(ConfigError, AttributeError):
    """Un réglage que l’on lit sans qu’il existe : `hasattr(config, nom)` répond faux."""


def _unknown(name, source, error=ConfigError):
    return error(
        f"réglage inconnu : {name}",
        expected=", ".join(sorted(FLAGS)),
        received=name,
        where=source,
        hint="print(config) les montre tous ; floatX prend un grand X",
    )


def _read_file(path):
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"fichier de réglages illisible : {path.name}",
            expected='des lignes TOML, par exemple floatX = "float32"',
            received=str(error),
            hint="corrigez le fichier ou supprimez-le : les valeurs par défaut suffisent",
        ) from error


config = Config()
