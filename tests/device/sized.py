"""Les noyaux d’un vrai GPU, dans le simulateur : warps de 32 fils, blocs de 256, tuiles de 16.

    python -m tests.device.sized                  toutes les parties
    python -m tests.device.sized rows ops         celles-là (voir `sized_cases.PARTS`)
    python -m tests.device.sized --tier readable  à un autre niveau

Le simulateur ordinaire a des blocs de 8 fils : il est rapide, mais un GPU reçoit d’autres textes,
d’autres partages. Ce sont ceux-là qu’on essaie ici, contre NumPy en float64. Le code de sortie est
le nombre de cas faux.

Ordre de lecture : `sized`, `wrong`, `main`.
"""

import argparse
import contextlib
import sys
import time
import warnings

import numpy as np
from tqdm import tqdm

from engine.core.settings import config
from tests.device.requests import TIERS, Sized, using
from tests.device.sized_cases import PARTS
from tests.device.verify import ROUNDED, TOLERANCE, check


@contextlib.contextmanager
def sized(tier="fast"):
    """Le temps d’un bloc Python, les noyaux tournent sur un `Sized`, à ce niveau."""
    with using(Sized()) as machine, config.change_flags(gpu_tier=tier):
        yield machine


def wrong(case):
    """Ce qui ne va pas, en une ligne ; une chaîne vide si tout va, None s’il se fait sur l’hôte."""
    limit = (ROUNDED if case.rounded else {**TOLERANCE, "float16": 3e-3})[case.kind]
    try:
        with case.settings():
            error = check(case.op, case.values, case.kind, case.place)
    except Exception as problem:
        return f"{type(problem).__name__} : {problem}"[:400]
    if error is None:
        return None
    return "" if error <= limit else f"écart {error:.1e}"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.device.sized")
    parser.add_argument("parts", nargs="*", metavar="partie", help=", ".join(PARTS))
    parser.add_argument("--tier", default="fast", choices=TIERS)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = 0
    for part in chosen.parts or PARTS:
        counts, start = {"justes": 0, "faux": 0, "sur l’hôte": 0}, time.perf_counter()
        with sized(chosen.tier):
            for case in tqdm(list(PARTS[part]()), desc=part, file=sys.stderr, mininterval=5):
                found = wrong(case)
                if found:
                    tqdm.write(f"FAUX {case} : {found}", file=sys.stdout)
                    sys.stdout.flush()
                key = "sur l’hôte" if found is None else "faux" if found else "justes"
                counts[key] += 1
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"{part}, {chosen.tier} : {said}, {time.perf_counter() - start:.0f} s", flush=True)
        failed += counts["faux"]
    return failed


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        sys.exit(main())
