"""`theano.config` : ce que vaut ici chacun de ses réglages (`SETTINGS`)."""

import contextlib
import warnings

from engine.compat.table import ON_CPU
from engine.core.errors import ConfigError
from engine.core.settings import config

SAME = "même nom"  # le réglage existe ici, avec ce nom et ces valeurs
NO_EFFECT = "accepté, sans effet"
_OPTIMIZER = {"fast_run": "FAST_RUN", "fast_compile": "FAST_COMPILE", "None": "FAST_COMPILE"}
_MODES = {"Mode": "FAST_RUN", "DEBUG_MODE": "DebugMode"}


class OnlyValues:
    """Un réglage dont seules quelques valeurs ont un sens ici ; les autres sont refusées."""

    def __init__(self, *values, why):
        self.values = values
        self.why = why


SETTINGS = {
    "floatX": SAME,
    "compute_test_value": SAME,
    "on_unused_input": SAME,
    "cast_policy": OnlyValues("custom", why="int32 avec float32 donne toujours float64"),
    "int_division": OnlyValues("int", "floatX", why="int / int donne floatX"),
    "profile": OnlyValues(False, "False", why="écrivez theano.function(..., profile=True)"),
    "warn_float64": OnlyValues("ignore", why="l'erreur de mise à jour nomme déjà le fautif"),
    **dict.fromkeys(
        """
        allow_gc assert_no_cpu_op base_compiledir blas compiledir compute_test_value_opt conv
        cuda cxx cycle_detection DebugMode deterministic dnn exception_verbosity experimental
        force_device gcc gpuarray gpuelemwise init_gpu_device lib linker magma nocleanup numpy
        nvcc on_opt_error on_shape_error openmp openmp_elemwise_minsize optimizer_excluding
        optimizer_including optimizer_requiring optimizer_verbose pickle_test_value
        print_active_device print_global_stats print_test_value profile_memory profile_optimizer
        profiling reoptimize_unpickled_function scan tensor traceback unittests unpickle_function
        vm warn NanGuardMode
        """.split(),
        NO_EFFECT,
    ),
}


class OldConfig:
    """`theano.config` : nos réglages sous leurs anciens noms.

    Un réglage qui a un équivalent le change ; un autre, de la table `SETTINGS`, est accepté sans
    effet ou refusé avec la raison.

    Exemple
        >>> with config.change_flags():
        ...     CONFIG.floatX = "float32"
        ...     CONFIG.exception_verbosity = "high"
        ...     CONFIG.warn.subtensor_merge_bug = False
        ...     config.floatX
        'float32'
    """

    def __setattr__(self, name, value):
        rule = SETTINGS.get(name)
        if name == "device":
            if not str(value).startswith("cpu"):
                warnings.warn(f"device={value} : {ON_CPU}", stacklevel=2)
        elif name == "optimizer":
            config.mode = _translate(name, value, _OPTIMIZER)
        elif name == "mode":
            config.mode = _MODES.get(value, value)
        elif rule is SAME:
            setattr(config, name, value)
        elif isinstance(rule, OnlyValues) and value not in rule.values:
            raise ConfigError(
                f"theano.config.{name} : valeur refusée",
                expected=" ou ".join(map(repr, rule.values)),
                received=repr(value),
                hint=rule.why,
            )
        elif rule is None:
            raise _unknown_setting(name)

    def __getattr__(self, name):
        rule = SETTINGS.get(name)
        if name in ("device", "mode") or rule is SAME:
            return getattr(config, name)
        if name == "optimizer":
            return "fast_compile" if config.mode == "FAST_COMPILE" else "fast_run"
        if isinstance(rule, OnlyValues):
            return rule.values[0]
        if rule is NO_EFFECT:
            return _Section()
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(str(_unknown_setting(name)))

    def change_flags(self, **changes):
        """Change des réglages le temps d’un bloc `with`, ou d’une fonction décorée."""
        return change_flags(**changes)


@contextlib.contextmanager
def change_flags(**changes):
    """Comme `theano.configparser.change_flags`."""
    with config.change_flags():
        for name, value in changes.items():
            setattr(CONFIG, name, value)
        yield CONFIG


class _Section:
    """`theano.config.warn`, `theano.config.scan`... : ses réglages sont acceptés, sans effet."""

    def __bool__(self):
        return False


CONFIG = OldConfig()


def _translate(name, value, table):
    if str(value) not in table:
        raise ConfigError(
            f"theano.config.{name} : valeur refusée",
            expected=", ".join(table),
            received=repr(value),
        )
    return table[str(value)]


def _unknown_setting(name):
    return ConfigError(
        f"réglage inconnu : theano.config.{name}",
        expected="un réglage de Theano : " + ", ".join(sorted(SETTINGS)),
        received=name,
    )


def read_flags(text):
    """Applique le texte de `THEANO_FLAGS` (`"floatX=float32,device=cpu"`)."""
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        section, _, rest = name.partition(".")
        setattr(CONFIG, section, value) if not rest else getattr(CONFIG, section)
