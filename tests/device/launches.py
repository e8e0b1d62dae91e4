"""Les lancements d’un pas d’apprentissage, comptés sans GPU : `python -m tests.device.launches`.

Les programmes ont leur taille de GPU ; une machine qui ne calcule rien tient leur journal. cuBLAS y
compte pour un appel par produit.
"""

import collections
import warnings
from unittest import mock

from engine.core.settings import config
from engine.gpu.kernels import products
from engine.gpu.kernels.machines import machine
from tests.bench.works import make_problem
from tests.device.programs import ROWS, learner
from tests.device.requests import Recorder, using


class Blas:
    """Une bibliothèque qui ne calcule rien."""

    def multiply(self, out, a, b, tf32=False):
        machine().call(lambda *_: None, out, a, b)
        return out


def counts(folder, sizes):
    """(appels à cuBLAS, noyaux, copies) d’un pas rejoué."""
    problem = make_problem(folder, sizes)
    with (
        using(Recorder()),
        mock.patch.object(products, "find", lambda device: (Blas(), "compté")),
        config.change_flags(device="cuda", gpu_tier="library"),
    ):
        step, _, _ = learner(folder, problem)
        step(*problem.batch(0))
    (plan,) = step._written.replayer.plans.values()
    return collections.Counter(event.method for event in plan.events)


def main():
    warnings.simplefilter("ignore")
    for name, (folder, sizes, _, _) in ROWS.items():
        found = counts(folder, sizes)
        kernels = found["launch"] + found["loop"]
        said = f"{found['call']} produits, {kernels} noyaux, {found['copy']} copies"
        print(f"{name} : {sum(found.values())} lancements ({said})", flush=True)


if __name__ == "__main__":
    main()
