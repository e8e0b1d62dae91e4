"""Un concurrent, dans son processus : lit des questions sur l’entrée, répond en JSON sur la sortie."""

import importlib
import json
import sys
import time


def peak_megabytes():
    """Mémoire au plus haut du processus, en Mo (0 là où le système ne le dit pas)."""
    try:
        import resource
    except ImportError:
        return 0.0
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def serve(work_name, contender, threads):
    work = importlib.import_module(f"tests.bench.{work_name}")
    make = work.CONTENDERS[contender]
    step, parameters, reset, version, seconds = make(threads)

    def answer(value):
        print(json.dumps(value), flush=True)

    answer({"version": version, "compile_s": seconds})
    for line in sys.stdin:
        question, *arguments = line.split()
        if question == "parameters":
            reset()
            for index in range(int(arguments[0])):
                step(index)
            answer({"parameters": [value.tolist() for value in parameters()]})
        elif question == "run":
            for index in range(work.WARM_UP):
                step(index)
            begin = time.perf_counter()
            for index in range(work.STEPS):
                step(index)
            parameters()  # attend la fin des calculs différés
            answer({"step_s": (time.perf_counter() - begin) / work.STEPS})
        elif question == "memory":
            answer({"peak_mb": peak_megabytes()})


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
