"""Un concurrent, dans son processus : des questions sur l’entrée, des réponses JSON en sortie."""

import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from tests.bench.works import RIVALS, make_problem

try:
    import resource
except ImportError:  # Windows
    resource = None

LONGEST = 1.0  # secondes mesurées d’affilée, au plus : chacun reprend vite la parole


def peak_megabytes():
    """Mémoire au plus haut du processus, en Mo (0 là où le système ne le dit pas)."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux : le plus haut de ce programme, sans celui qui l’a lancé
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    if resource is None:
        return 0.0
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def keep_cores(threads):
    """Ne garde que `threads` cœurs, pour les bibliothèques qui comptent elles-mêmes leurs fils."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def run(contestant, problem):
    """Secondes par pas, une fois chaud."""
    begin = time.perf_counter()
    for index in range(problem.warm_up):
        contestant.step(index)
    contestant.results()
    warm = (time.perf_counter() - begin) / problem.warm_up
    steps = max(1, min(problem.steps, int(LONGEST / warm)))
    begin = time.perf_counter()
    for index in range(steps):
        contestant.step(index)
    contestant.results()
    return (time.perf_counter() - begin) / steps


def serve(folder, sizes, name, threads):
    """Répond aux questions du pilote jusqu’à la fin de l’entrée."""
    keep_cores(threads)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # ce qu’une bibliothèque imprime n’est pas une réponse
    rival = RIVALS[name]
    problem = make_problem(folder, sizes)
    module = importlib.import_module(f"tests.bench.{folder}.{rival.module}")
    contestant = module.make(problem, **rival.options)

    def answer(**values):
        print(json.dumps(values), file=replies, flush=True)

    answer(version=contestant.version, compile_s=contestant.compile_seconds)
    for line in sys.stdin:
        question, *arguments = line.split(maxsplit=1)
        if question == "check":
            contestant.reset()
            for index in range(problem.checked):
                contestant.step(index)
            np.savez(arguments[0].strip(), *contestant.results())
            answer(done=True)
        elif question == "run":
            answer(step_s=run(contestant, problem))
        elif question == "memory":
            answer(peak_mb=peak_megabytes())


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
