"""La boucle d’apprentissage : progression, arrêt anticipé, meilleur modèle gardé, reprise.

Un entraînement s’interrompt quand on veut (bouton « stop », Ctrl-C, coupure de courant) et se
reprend en relançant la même cellule : son état est écrit sur le disque à chaque validation, à côté
puis renommé, si bien qu’il n’est jamais abîmé.

Ordre de lecture : `EarlyStopping`, `Training`.

Source : la boucle des « Deep Learning Tutorials » (deeplearning.net, LISA, 2010), d’où viennent la
patience et ses réglages.
"""

import contextlib
import hashlib
import json
import math
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

from engine import SharedVariable
from engine.core.errors import DataError, DomainError, EngineError
from engine.core.typeset import typeset
from engine.io.files import locked, write_whole
from engine.io.named_arrays import pack, unpack

try:
    from IPython.display import display
except ImportError:  # hors d’un notebook, la barre s’écrit dans le terminal
    display = None

STATE = "training"  # le texte du fichier d’état qui n’est pas un tableau


@dataclass
class EarlyStopping:
    """L’arrêt anticipé par patience.

    On s’arrête quand l’itération dépasse `patience`. Une amélioration nette de l’erreur de
    validation (sous `threshold` fois la meilleure) repousse la patience à `increase` fois
    l’itération courante.

    Paramètres
        patience : nombre d’itérations (minilots) accordées d’emblée.
        increase : facteur dont une amélioration nette allonge l’attente.
        threshold : fraction de la meilleure erreur sous laquelle l’amélioration compte.

    Exemple
        >>> stopping = EarlyStopping(patience=10, increase=2, threshold=0.995)
        >>> stopping.update(8, 0.5), stopping.patience, stopping.should_stop(15)
        (True, 16, False)
    """

    patience: float = 5000
    increase: float = 2
    threshold: float = 0.995
    best: float = math.inf

    def __post_init__(self):
        for name in ("patience", "increase", "threshold"):
            value = getattr(self, name)
            if not (isinstance(value, int | float | np.number) and value > 0):
                raise DomainError(
                    f"EarlyStopping : {name} ne convient pas",
                    expected="un nombre positif",
                    received=repr(value),
                    hint="patience=5000 accorde 5000 minilots",
                )

    def update(self, iteration, error):
        """Prend note d’une erreur de validation ; rend vrai si c’est la meilleure."""
        if error < self.best * self.threshold:
            self.patience = max(self.patience, iteration * self.increase)
        improved = error < self.best
        self.best = min(self.best, error)
        return improved

    def should_stop(self, iteration):
        """Vrai quand la patience est épuisée."""
        return self.patience <= iteration


class Record(NamedTuple):
    """Une validation : époque (à partir de 1), itération, coût moyen d’entraînement, erreurs
    (fractions).
    """

    epoch: int
    iteration: int
    cost: float
    valid_error: float
    best: bool


class Training:
    """Un entraînement par minilots, que l’on peut interrompre et reprendre.

    Paramètres
        step : fonction numéro de minilot -> coût ; elle met à jour les paramètres. Avec un flux,
            elle reçoit le minilot lui-même, `step(*batch)`.
        batches : nombre de minilots par époque, ou flux (`course.data.Batches`...), dont l’état
            est gardé aussi : la reprise continue l’époque au minilot suivant.
        validate : fonction sans argument -> erreur de validation (une fraction).
        parameters : variables partagées à garder ; leurs noms, distincts, les désignent dans le
            fichier. Pour reprendre au bit près, joignez les `states` du modèle.
        stopping : règle d’arrêt (par défaut `EarlyStopping()`).
        checkpoint : fichier `.safetensors` de l’état ; None, ne rien écrire.
        validate_every : nombre d’itérations entre deux validations ; par défaut une époque, au plus
            la moitié de la patience.

    Attributs
        history : liste de `Record`.
        stopped : vrai si la règle d’arrêt a mis fin à l’entraînement.

    Lève
        DataError : le fichier d’état est illisible ou ne correspond pas aux paramètres.
    """

    def __init__(
        self,
        step,
        batches,
        validate,
        parameters,
        stopping=None,
        checkpoint=None,
        validate_every=None,
        unit=None,
    ):
        if batches is None or (isinstance(batches, int) and batches < 1):
            raise EngineError(
                "Training : pas de minilot",
                expected="un nombre d'au moins 1, ou un flux",
                received=repr(batches),
                hint="len(données) // taille du lot ; vérifiez que les données sont là",
            )
        self.step = step
        self.stream = None if isinstance(batches, int) else batches
        self.n_batches = batches if self.stream is None else len(batches)
        self.validate = validate
        wrong = [p for p in parameters if not isinstance(p, SharedVariable)]
        if wrong:
            raise EngineError(
                "Training garde des variables partagées",
                expected="une liste de paramètres créés par shared",
                received=", ".join(f"{p} : {type(p).__name__}" for p in wrong),
                hint="donnez les paramètres du modèle : model.parameters",
            )
        self.parameters = {parameter.name: parameter for parameter in parameters}
        if None in self.parameters or len(self.parameters) < len(parameters):
            raise EngineError(
                "chaque paramètre doit avoir un nom à lui",
                received=", ".join(str(parameter.name) for parameter in parameters),
                hint="donnez-le à la création : shared(valeur, name='W')",
                expected="des noms distincts",
            )
        self.stopping = EarlyStopping() if stopping is None else stopping
        half = self.stopping.patience // 2
        self.validate_every = validate_every or max(1, int(min(self.n_batches, half)))
        self.unit = unit
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.iteration = 0
        self.history = []
        self.stopped = False
        self._costs = []
        self._known = None  # l’empreinte du fichier d’état, tel que lu ou écrit ici
        self._best = {name: parameter.get_value() for name, parameter in self.parameters.items()}
        if self.checkpoint is not None and self.checkpoint.exists():
            self._restore()

    @property
    def epoch(self):
        """Nombre d’époques entamées."""
        return -(-self.iteration // self.n_batches)

    def run(self, max_epochs, on_validation=None, progress=True):
        """Entraîne jusqu’à `max_epochs`, ou jusqu’à la règle d’arrêt ; reprend là où on en était.

        Ce que chaque validation a trouvé s’ajoute à `history`.

        Paramètres
            on_validation : fonction appelée avec chaque `Record` (pour dessiner une courbe).
            progress : montrer la barre de progression.
        """
        for name in ("step", "validate"):
            if not callable(getattr(self, name)):
                raise EngineError(
                    f"Training : {name} n'est pas une fonction",
                    expected="une fonction Python, ou compilée par function",
                    received=repr(getattr(self, name)),
                    hint=f"{name}=f, sans l'appeler : f et non f(...)",
                )
        last = max_epochs * self.n_batches
        bar = _open_bar(last, self.iteration, progress)
        arguments = contextlib.closing(self._arguments())
        with _deferred_interrupt() as interrupted, contextlib.closing(bar), arguments as following:
            while self.iteration < last and not self.stopped and not interrupted():
                cost = self.step(*next(following))
                self._costs.append(_number(cost, "step", "le coût du minilot"))
                self.iteration += 1
                bar.update()
                if self.iteration % self.validate_every == 0:
                    record = self._validation()
                    bar.set_postfix_str(self._told(record.valid_error))
                    if on_validation is not None:
                        on_validation(record)
                self.stopped = self.stopping.should_stop(self.iteration - 1)
            self._save()
            if interrupted():
                print(typeset(f"Interrompu à l'époque {self.epoch} ; relancez pour reprendre."))

    def _arguments(self):
        """Ce que reçoit `step`, d’un pas à l’autre, époque après époque."""
        while True:
            if self.stream is None:
                yield (self.iteration % self.n_batches,)
            else:
                yield from self.stream

    def _validation(self):
        error = _number(self.validate(), "validate", "l'erreur de validation")
        improved = self.stopping.update(self.iteration - 1, error)
        record = Record(self.epoch, self.iteration, float(np.mean(self._costs)), error, improved)
        self._costs.clear()
        if improved:
            self._best = {
                name: parameter.get_value() for name, parameter in self.parameters.items()
            }
        self.history.append(record)
        self._save()
        return record

    def _told(self, error):
        """Ce que la barre dit d’une validation."""
        if self.unit is None:
            return f"erreur de validation {_percent(error)}"
        return typeset(f"validation : {error:.3f} {self.unit}".replace(".", ","))

    def restore_best(self):
        """Remet dans les paramètres les valeurs du meilleur modèle."""
        for name, parameter in self.parameters.items():
            parameter.set_value(self._best[name])

    # ---- état sur le disque ----

    def _save(self):
        if self.checkpoint is None:
            return
        self.checkpoint = Path(self.checkpoint)  # on a pu lui donner un autre nom en route
        values = {f"best/{name}": value for name, value in self._best.items()}
        values |= {f"now/{name}": p.get_value() for name, p in self.parameters.items()}
        state = {
            "iteration": self.iteration,
            "stopped": self.stopped,
            "stopping": asdict(self.stopping),
            "costs": self._costs,
            "history": self.history,
            "stream": None if self.stream is None else self.stream.state(),
        }
        data = pack(values, {STATE: json.dumps(state)})
        try:
            with locked(self.checkpoint):
                self._refuse_another_writer()
                write_whole(self.checkpoint, data)
        except DataError:
            raise
        except OSError as error:
            raise DataError(
                f"l'état de l'entraînement n'a pas pu être écrit : {self.checkpoint.name}",
                expected="un dossier où écrire, et de la place",
                received=error.strerror or str(error),
                hint="libérez de la place, ou changez training.checkpoint, puis relancez run : "
                "rien n'est perdu tant que ce programme tourne",
            ) from error
        self._known = hashlib.sha256(data).digest()

    def _refuse_another_writer(self):
        """Deux entraînements qui écrivent le même fichier s’effaceraient l’un l’autre."""
        with contextlib.suppress(FileNotFoundError):
            if hashlib.sha256(self.checkpoint.read_bytes()).digest() != self._known:
                raise DataError(
                    f"un autre entraînement écrit son état dans {self.checkpoint.name}",
                    expected="un fichier par entraînement",
                    received="un fichier changé depuis que celui-ci l'a lu ou écrit",
                    hint="donnez un autre nom : training.checkpoint = 'autre.safetensors', puis "
                    "relancez run ; ou arrêtez l'un des deux",
                )

    def _restore(self):
        try:
            data = self.checkpoint.read_bytes()
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        content = unpack(data, f"état de l'entraînement {self.checkpoint.name}", self._restart)
        if not content.sealed and set(content.texts) != {STATE}:
            raise self._unreadable("ni empreinte, ni état d'entraînement")
        try:
            state = json.loads(content.texts[STATE])
            stopping = EarlyStopping(**state["stopping"])
            history = [Record(*row) for row in state["history"]]
            iteration, stopped, costs = state["iteration"], state["stopped"], state["costs"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable(str(error)) from error
        self._check_arrays(content.arrays)
        if (state.get("stream") is None) != (self.stream is None):
            raise self._unreadable("un état avec flux, l'entraînement sans, ou l'inverse")
        if self.stream is not None:
            self.stream.restore(state["stream"])
        for name, parameter in self.parameters.items():
            parameter.set_value(content.arrays[f"now/{name}"])
            self._best[name] = content.arrays[f"best/{name}"]
        self.iteration, self.stopped, self._costs = iteration, stopped, costs
        self.stopping, self.history = stopping, history
        self._known = hashlib.sha256(data).digest()

    def _check_arrays(self, arrays):
        """Refuse l’état d’un autre modèle : d’autres noms, formes ou dtypes de paramètres."""
        found = {name.partition("/")[2] for name in arrays}
        if set(arrays) != {
            f"{part}/{name}" for part in ("best", "now") for name in self.parameters
        }:
            raise self._unreadable(f"les paramètres {', '.join(sorted(found))}")
        for name, parameter in self.parameters.items():
            value = parameter.get_value(borrow=True)
            for kept in (arrays[f"now/{name}"], arrays[f"best/{name}"]):
                if (kept.shape, kept.dtype) != (value.shape, value.dtype):
                    raise DataError(
                        f"l'état rangé dans {self.checkpoint.name} est celui d'un autre modèle : "
                        f"{name} n'y a pas la même taille, ou pas le même dtype",
                        expected=f"{name} : {value.dtype} {value.shape}",
                        received=f"{name} : {kept.dtype} {kept.shape}",
                        hint=f"reprenez les tailles de ce modèle-là, ou {self._restart}",
                    )

    @property
    def _restart(self):
        return f"supprimez {self.checkpoint.name} pour recommencer du début"

    def _unreadable(self, found):
        return DataError(
            f"l'état de l'entraînement est illisible : {self.checkpoint.name}",
            expected=f"un fichier écrit par Training pour {', '.join(self.parameters)}",
            received=found,
            hint=self._restart,
        )


def _number(value, name, meaning):
    """Le nombre qu’a rendu une fonction donnée à `Training`."""
    if np.size(value) != 1 or not isinstance(value, int | float | np.number | np.ndarray):
        raise EngineError(
            f"Training : {name} n'a pas rendu un nombre",
            expected=f"{meaning}, un nombre",
            received=repr(value),
            hint=f"vérifiez le return de {name} ; function rend une liste si outputs en est une",
        )
    return float(np.asarray(value).item())


@contextlib.contextmanager
def _deferred_interrupt():
    """Retient Ctrl-C (ou « stop ») jusqu’à la fin du pas ; au second, arrête tout de suite.

    Renvoie
        Une fonction qui dit si l’interruption a été demandée.
    """
    requests = []

    def note(signum, frame):
        requests.append(signum)
        if len(requests) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # seul le fil principal reçoit les interruptions
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(requests)
    finally:
        signal.signal(signal.SIGINT, previous)


def _open_bar(total, done, shown):
    """La barre de progression ; d’un notebook enregistré, il ne reste d’elle qu’une phrase."""
    options = dict(
        total=total, initial=done, desc="minilots", unit="", leave=False, mininterval=0.5
    )
    if not (shown and issubclass(tqdm, tqdm_notebook)):
        return tqdm(**options, disable=not shown, file=sys.stdout)
    bar = tqdm(**options, display=False)
    sentence = "Une barre de progression avance ici pendant l’entraînement."
    texts = {"text/plain": sentence, "text/html": f"<p>{sentence}</p>"}
    display({**bar.container._repr_mimebundle_(), **texts}, raw=True)
    return bar


def _percent(share):
    return f"{share:.2%}".replace(".", ",").replace("%", "\N{NO-BREAK SPACE}%")
