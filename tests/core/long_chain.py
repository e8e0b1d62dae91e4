"""Une chaîne de 100 000 nœuds : la construire, la dériver, la compiler, l’appeler.

`python -m tests.core.long_chain [nœuds] [mode]` affiche la durée de chaque étape et la mémoire.
"""

import sys
import time

import numpy as np
import psutil

from engine import function, grad
from engine import tensor as T

RATE = 1.0001


def by_hand(n_nodes, x):
    """La valeur et la dérivée de la même chaîne, en NumPy."""
    value, slope = x, 1.0
    for _ in range(n_nodes // 2):
        slope *= np.cos(value) * RATE
        value = np.sin(value) * RATE
    return value, slope


def run(n_nodes, mode="FAST_COMPILE"):
    """Rend (valeur, dérivée, {étape: secondes}, nombre de nœuds du graphe compilé)."""
    times, clock = {}, time.perf_counter

    def measure(name, action):
        start = clock()
        result = action()
        times[name] = clock() - start
        return result

    x = T.dscalar("x")

    def build():
        y = x
        for _ in range(n_nodes // 2):
            y = T.sin(y) * RATE
        return y

    y = measure("construire", build)
    slope = measure("dériver", lambda: grad(y, x))
    f = measure("compiler", lambda: function([x], [y, slope], mode=mode))
    value, derivative = measure("appeler", lambda: f(0.5))
    return float(value), float(derivative), times, len(f.fgraph.nodes)


def main():
    n_nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    mode = sys.argv[2] if len(sys.argv) > 2 else "FAST_COMPILE"
    value, derivative, times, n_compiled = run(n_nodes, mode)
    print(f"{n_nodes} nœuds, {mode} : {n_compiled} nœuds compilés, gradient compris")
    for name, seconds in times.items():
        print(f"{name:11} {seconds:8.2f} s")
    print(f"mémoire     {psutil.Process().memory_info().rss / 2**20:8.0f} Mio")
    print(f"valeur {value:.12g}, dérivée {derivative:.12g} ; à la main {by_hand(n_nodes, 0.5)}")


if __name__ == "__main__":
    main()
