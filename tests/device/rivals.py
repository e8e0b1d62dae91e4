"""Les mêmes travaux par PyTorch : ses produits sont ceux de cuBLAS, sa boucle LSTM celle de cuDNN.

PyTorch calcule ses produits en float32 et, si rien ne l’en empêche, ses convolutions en TF32 :
`EXACT`, `DEFAULT` et `TF32` disent ce qui est permis, et le tableau montre les deux.

Ordre de lecture : `Rival`, `load`, `operation`, `descent`.
"""

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import NamedTuple


class Precision(NamedTuple):
    """Où TF32 est permis."""

    products: bool
    convolutions: bool


EXACT, DEFAULT, TF32 = Precision(False, False), Precision(False, True), Precision(True, True)


class Rival(NamedTuple):
    """Un travail : `make(torch)` rend la fonction sans argument à chronométrer."""

    make: Callable
    precision: Precision = EXACT


@functools.cache
def load():
    """PyTorch s’il est là et voit un GPU, sinon None."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


@contextlib.contextmanager
def allowing(torch, precision):
    """Le temps d’un bloc, TF32 là où `precision` le permet."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32, convolutions.allow_tf32 = precision
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def operation(function, *arrays):
    """`function(torch, *tenseurs)`, sur des tenseurs déjà sur le GPU."""

    def make(torch):
        tensors = [torch.from_numpy(array).cuda() for array in arrays]
        return lambda: function(torch, *tensors)

    return make


def round_trip(function, *arrays):
    """`function(torch, *tenseurs)`, de tableaux NumPy à un tableau NumPy."""

    def make(torch):
        def run():
            tensors = [torch.from_numpy(array).cuda() for array in arrays]
            return function(torch, *tensors).cpu().numpy()

        return run

    return make


def fetch(array):
    """Le retour d’un tableau vers l’hôte."""

    def make(torch):
        return torch.from_numpy(array).cuda().cpu

    return make


def mean_loss(folder):
    """Le coût d’un minilot, tel que l’écrit `tests/bench/<folder>`."""
    return lambda problem: importlib.import_module(f"tests.bench.{folder}.with_torch").loss


def lstm_by_library(problem):
    """La boucle de cuDNN."""
    work = importlib.import_module("tests.bench.lstm.with_torch")
    return work.make_loss(problem, work.library_loop)


def lstm_by_cells(problem):
    """Une cellule par pas, écrite en PyTorch."""
    work = importlib.import_module("tests.bench.lstm.with_torch")
    return work.make_loss(problem, work.by_cells(work.cell))


def descent(problem, make_loss, captured=False):
    """Un pas de descente de gradient : le minilot part de l’hôte, le coût y revient.

    Paramètres
        make_loss : problème -> fonction des paramètres et du minilot.
        captured : le pas est capturé dans un graphe CUDA, puis rejoué ; le minilot est copié dans
            des tenseurs fixes.
    """

    def make(torch):
        with torch.device("cuda"):
            loss = make_loss(problem)
        parameters = [torch.from_numpy(a.copy()).cuda().requires_grad_() for a in problem.initial]

        def step(*batch):
            cost = loss(parameters, *batch)
            grads = torch.autograd.grad(cost, parameters)
            with torch.no_grad():
                for parameter, grad in zip(parameters, grads, strict=True):
                    parameter.add_(grad, alpha=-problem.rate)
            return cost.detach()

        def eager():
            return step(*(torch.from_numpy(a).cuda() for a in problem.batch(0))).item()

        return _captured(torch, step, problem.batch(0)) if captured else eager

    return make


def _captured(torch, step, batch):
    held = [torch.from_numpy(array).cuda() for array in batch]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # hors capture, PyTorch choisit ses algorithmes
        for _ in range(3):
            step(*held)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        cost = step(*held)

    def run():
        for place, array in zip(held, batch, strict=True):
            place.copy_(torch.from_numpy(array))
        graph.replay()
        return cost.item()

    return run


def megabytes(torch):
    """La mémoire que PyTorch a tenue au plus depuis `forget`."""
    return torch.cuda.max_memory_reserved() / 1e6


def forget(torch):
    """Rend ce que PyTorch garde en réserve, et remet son compteur à zéro."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
