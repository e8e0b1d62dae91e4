"""python -m tests.certificates [--step K] [--only règle] : le tableau des règles d’une variable.

Sans option, les 2³² float32 de chacune, une règle par processeur à la fois.
"""

import argparse
import multiprocessing
import sys
import time
from functools import partial

from tests.certificates.walk import header, walk, walkable


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.certificates", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="un nombre sur K")
    parser.add_argument("--only", help="les règles dont le nom contient ce texte")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    names = [name for name in walkable() if (options.only or "") in name]
    print(header(), flush=True)
    start, done = time.perf_counter(), 0
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for row in pool.imap(partial(walk, step=options.step), names):
            done += 1
            print(row, flush=True)
            if sys.stderr.isatty():
                spent = time.perf_counter() - start
                print(f"{done}/{len(names)}, {spent:.0f} s", end="\r", file=sys.stderr)
    print(f"{len(names)} règles, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
