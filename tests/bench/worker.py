"""Un concurrent, dans son processus : des questions sur l’entrée, des réponses JSON en sortie."""

import importlib
import json
import sys
import time

try:
    import resource
except ImportError:  # Windows
    resource = None


def peak_megabytes():
    """Mémoire au plus haut du processus, en Mo (0 là où le système ne le dit pas)."""
    if resource is None:
        return 0.0
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def serve(work_name, name, threads):
    """Répond aux questions du pilote jusqu’à la fin de l’entrée."""
    work = importlib.import_module(f"tests.bench.{work_name}.work")
    module, options = work.CONTENDERS[name]
    make = importlib.import_module(f"tests.bench.{work_name}.{module}").make
    contestant = make(threads, **options)

    def answer(**values):
        print(json.dumps(values), flush=True)

    answer(version=contestant.version, compile_s=contestant.compile_seconds)
    for line in sys.stdin:
        question, *arguments = line.split()
        if question == "parameters":
            contestant.reset()
            for index in range(int(arguments[0])):
                contestant.step(index)
            answer(parameters=[value.tolist() for value in contestant.parameters()])
        elif question == "run":
            for index in range(work.WARM_UP):
                contestant.step(index)
            contestant.parameters()
            begin = time.perf_counter()
            for index in range(work.STEPS):
                contestant.step(index)
            contestant.parameters()
            answer(step_s=(time.perf_counter() - begin) / work.STEPS)
        elif question == "memory":
            answer(peak_mb=peak_megabytes())


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
