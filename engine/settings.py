"""Les réglages du moteur : `config`.

Une valeur vient, du plus faible au plus fort, de la table `FLAGS` ci-dessous, du fichier
`~/.engine.toml`, de la variable d’environnement `ENGINE_FLAGS`
(`"floatX=float32,mode=FAST_COMPILE"`), puis du programme lui-même (`config.floatX = "float32"`).

Ordre de lecture : `FLAGS`, `Config`.
"""

import contextlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError


@dataclass(frozen=True)
class Flag:
    """Un réglage : sa valeur par défaut, les valeurs permises (`None` : toutes), ce qu’il fait."""

    default: object
    choices: tuple | None
    doc: str


FLAGS = {
    "floatX": Flag("float64", ("float32", "float64"), "type des flottants créés sans précision"),
    "device": Flag("cpu", ("cpu", "cuda", *(f"cuda{rank}" for rank in range(16))), "où calculer"),
    "gpu_tier": Flag(
        "auto", ("auto", "library", "fast", "readable"), "noyaux du GPU à essayer d'abord"
    ),
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
        for name, value in _read_file(path).items():
            self._set(name, value, f"le fichier {path.name}")
        for item in filter(None, environ.get("ENGINE_FLAGS", "").split(",")):
            name, _, value = item.partition("=")
            self._set(name.strip(), value.strip(), "ENGINE_FLAGS")

    def __getattr__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(str(_unknown(name, "config"))) from None

    def __setattr__(self, name, value):
        self._set(name, value, "le programme")

    def __dir__(self):
        return sorted(FLAGS)

    def __repr__(self):
        return "\n".join(
            f"{name} = {value!r}  # {FLAGS[name].doc}" for name, value in self._values.items()
        )

    def _set(self, name, value, source):
        if name not in FLAGS:
            raise _unknown(name, source)
        flag = FLAGS[name]
        if isinstance(flag.default, int) and isinstance(value, str) and value.lstrip("-").isdigit():
            value = int(value)
        wrong_choice = flag.choices is not None and value not in flag.choices
        if wrong_choice or (isinstance(flag.default, int) and not isinstance(value, int)):
            raise ConfigError(
                f"réglage {name} : valeur refusée",
                expected=", ".join(map(str, flag.choices)) if flag.choices else "un entier",
                received=repr(value),
                where=source,
            )
        self._values[name] = value

    @contextlib.contextmanager
    def change_flags(self, **changes):
        """Change des réglages le temps d’un bloc `with`, puis les remet."""
        before = dict(self._values)
        try:
            for name, value in changes.items():
                self._set(name, value, "change_flags")
            yield self
        finally:
            self._values.update(before)


def _unknown(name, source):
    return ConfigError(
        f"réglage inconnu : {name}",
        expected=", ".join(sorted(FLAGS)),
        received=name,
        where=source,
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
