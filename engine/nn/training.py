"""La boucle d’apprentissage : progression, arrêt anticipé, meilleur modèle gardé, reprise.

Un entraînement s’interrompt quand on veut (bouton « stop », Ctrl-C, coupure de courant) et se
reprend en relançant la même cellule : son état est écrit sur le disque à chaque validation, à côté
puis renommé, si bien qu’il n’est jamais abîmé.

Ordre de lecture : `EarlyStopping`, `Training`.

Source : la boucle des « Deep Learning Tutorials » (deeplearning.net, LISA, 2010), d’où viennent la
patience et ses réglages.
"""

import contextlib
import json
import math
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

from engine.errors import DataError, EngineError
from engine.files import write_whole
from engine.typography import typeset

try:
    from IPython.display import display
except ImportError:  # hors d’un notebook, la barre s’écrit dans le terminal
    display = None


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
        batches : nombre de minilots par époque, ou flux (`engine.data.Batches`...), dont l’état
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
        self.step = step
        self.stream = None if isinstance(batches, int) else batches
        self.n_batches = batches if self.stream is None else len(batches)
        self.validate = validate
        self.parameters = {parameter.name: parameter for parameter in parameters}
        if None in self.parameters or len(self.parameters) < len(parameters):
            raise EngineError(
                "chaque paramètre doit avoir un nom à lui",
                received=", ".join(str(parameter.name) for parameter in parameters),
                hint="donnez-le à la création : shared(valeur, name='W')",
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
        self._best = {name: parameter.get_value() for name, parameter in self.parameters.items()}
        if self.checkpoint is not None and self.checkpoint.exists():
            self._restore()

    @property
    def epoch(self):
        """Nombre d’époques entamées."""
        return -(-self.iteration // self.n_batches)

    def run(self, max_epochs, on_validation=None, progress=True):
        """Entraîne jusqu’à `max_epochs`, ou jusqu’à la règle d’arrêt ; reprend là où on en était.

        Paramètres
            on_validation : fonction appelée avec chaque `Record` (pour dessiner une courbe).
            progress : montrer la barre de progression.

        Renvoie
            L’historique, liste de `Record`.
        """
        last = max_epochs * self.n_batches
        bar = _open_bar(last, self.iteration, progress)
        arguments = contextlib.closing(self._arguments())
        with _deferred_interrupt() as interrupted, contextlib.closing(bar), arguments as following:
            while self.iteration < last and not self.stopped and not interrupted():
                self._costs.append(float(self.step(*next(following))))
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
        return self.history

    def _arguments(self):
        """Ce que reçoit `step`, d’un pas à l’autre, époque après époque."""
        while True:
            if self.stream is None:
                yield (self.iteration % self.n_batches,)
            else:
                yield from self.stream

    def _validation(self):
        error = float(self.validate())
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
        values = {f"best/{name}": value for name, value in self._best.items()}
        values |= {f"now/{name}": p.get_value() for name, p in self.parameters.items()}
        arrays = {name: np.asarray(value, order="C") for name, value in values.items()}
        state = {
            "iteration": self.iteration,
            "stopped": self.stopped,
            "stopping": asdict(self.stopping),
            "costs": self._costs,
            "history": self.history,
            "stream": None if self.stream is None else self.stream.state(),
        }
        write_whole(self.checkpoint, save(arrays, metadata={"training": json.dumps(state)}))

    def _restore(self):
        try:
            with safe_open(self.checkpoint, framework="numpy") as file:
                state = json.loads(file.metadata()["training"])
                arrays = {key: file.get_tensor(key) for key in file.keys()}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable(str(error)) from error
        expected = {f"{part}/{name}" for part in ("best", "now") for name in self.parameters}
        if set(arrays) != expected:
            raise self._unreadable(f"paramètres trouvés : {', '.join(sorted(arrays))}")
        if (state.get("stream") is None) != (self.stream is None):
            raise self._unreadable("un état avec flux, l'entraînement sans, ou l'inverse")
        if self.stream is not None:
            self.stream.restore(state["stream"])
        for name, parameter in self.parameters.items():
            parameter.set_value(arrays[f"now/{name}"])
            self._best[name] = arrays[f"best/{name}"]
        self.iteration = state["iteration"]
        self.stopped = state["stopped"]
        self.stopping = EarlyStopping(**state["stopping"])
        self._costs = state["costs"]
        self.history = [Record(*row) for row in state["history"]]

    def _unreadable(self, found):
        return DataError(
            f"l'état de l'entraînement est illisible : {self.checkpoint.name}",
            expected=f"un fichier écrit par Training pour {', '.join(self.parameters)}",
            received=found,
            hint=f"supprimez {self.checkpoint.name} pour recommencer du début",
        )


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
