"""Une fonction compilée appelée de quatre fils à la fois : `python -m tests.core.threads`.

Chaque travail est une fonction, ce qu’on lui donne au fil `k`, et ce qu’elle doit rendre, calculé
par NumPy. Les fils changent de main toutes les dix microsecondes. Le tableau dit combien d’appels,
combien de faux ; puis ce que coûte un appel, seul.
"""

import argparse
import sys
import threading
import time
import timeit
from typing import NamedTuple

import numpy as np

import engine
import engine.tensor as T
from engine import In, Mode, config, function, scan, shared
from engine.core.errors import EngineError
from engine.loops.branches import ifelse

THREADS = 4
SWITCH = 1e-5  # secondes


class Work(NamedTuple):
    """Un travail : `call(k)` au fil k, ce qu’il doit rendre (None : seul `after` juge), et ce qui
    doit valoir à la fin, d’après le nombre d’appels.
    """

    call: object
    wanted: object = None
    after: object = None


def dense(mode=None):
    """Produits, somme : chaque noyau garde sa mémoire."""
    x = T.dmatrix("x")
    y = T.dot(x, x.T)
    f = function([x], (T.dot(y, y) * 2).sum(axis=0), mode=mode)
    given = [np.full((12, 12), k + 1.0) for k in range(THREADS)]
    gram = [a @ a.T for a in given]
    return Work(lambda k: f(given[k]), [(g @ g * 2).sum(axis=0) for g in gram])


def network():
    """Une couche à convolution, une réduction, une softmax, des indices : un noyau de chaque."""
    x, labels = T.dtensor4("x"), T.lvector("labels")
    rng = np.random.default_rng(0)
    W, V = rng.normal(size=(2, 1, 3, 3)), rng.normal(size=(8, 3))
    h = T.tanh(T.nnet.conv2d(x, shared(W))).max(axis=3).flatten(2)
    p = T.nnet.softmax(T.dot(h, shared(V)))
    f = function([x, labels], [p, -T.log(p)[T.arange(labels.shape[0]), labels].mean()])
    given = [(rng.normal(size=(3, 1, 6, 6)), np.array([0, 2, 1])) for _ in range(THREADS)]

    def wanted(image, labels):
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(2, 3))
        h = np.tanh(np.einsum("bcijuv,ocuv->boij", windows, W[:, :, ::-1, ::-1]))
        scores = h.max(axis=3).reshape(len(image), -1) @ V
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return [p, -np.log(p[np.arange(3), labels]).mean()]

    return Work(lambda k: f(*given[k]), [wanted(*one) for one in given])


def views():
    """Vues, écritures dans une copie, sorties qui regardent une entrée."""
    x = T.dmatrix("x")
    written = T.inc_subtensor(x.T[1], 10.0)
    f = function([x], [written.exp(), x.T, x[::-1] * 2, T.concatenate([x, x * x])])
    given = [np.arange(6.0).reshape(2, 3) / (k + 1) for k in range(THREADS)]

    def wanted(a):
        b = a.T.copy()
        b[1] += 10
        return [np.exp(b), a.T, a[::-1] * 2, np.concatenate([a, a * a])]

    return Work(lambda k: f(given[k]), [wanted(a) for a in given])


def loop(mode=None):
    """Une récurrence et son gradient."""
    x, W = T.dmatrix("x"), shared(np.eye(3) / 2)
    states, _ = scan(lambda v, h: T.tanh(v + T.dot(h, W)), x, outputs_info=T.zeros(3))
    f = function([x], [states, engine.grad(states.sum(), x)], mode=mode)
    given = [np.linspace(-k, 1, 15).reshape(5, 3) for k in range(THREADS)]

    def wanted(rows):
        states, h = [], np.zeros(3)
        for row in rows:
            h = np.tanh(row + h / 2)
            states.append(h)
        grads, g = [], np.zeros(3)
        for h in reversed(states):
            g = (1 + g / 2) * (1 - h * h)
            grads.append(g)
        return [np.array(states), np.array(grads[::-1])]

    return Work(lambda k: f(given[k]), [wanted(rows) for rows in given])


def new_shapes(profile=None):
    """Des formes que la fonction suppose égales, et qui ne le sont qu’une fois sur deux."""
    x, y = T.dmatrices("xy")
    f = function([x, y], T.grad((x**2 * T.sin(y)).sum(), [x, y]), profile=profile)
    assert "formes_vérifiées" in f.source
    given = [
        (np.full((k + 2, 3), 0.1 * k), np.ones((1 if k % 2 else k + 2, 3))) for k in range(THREADS)
    ]

    def wanted(a, b):
        g = a**2 * np.cos(b)
        return [2 * a * np.sin(b), g.sum(axis=0, keepdims=True) if len(b) == 1 else g]

    def after(calls):  # un profil ne perd pas d’appel, ceux de la recompilation non plus
        rows = f.profile.by_node()
        return f.profile.calls == calls and max(row.calls for row in rows) == calls // 2

    return Work(lambda k: f(*given[k]), [wanted(a, b) for a, b in given], profile and after)


def branches():
    """Une branche sur deux."""
    x = T.dvector("x")
    f = function([x], ifelse(x.sum() > 2, (x * 2).sum(), T.exp(x).sum()))
    given = [np.full(3, float(k)) for k in range(THREADS)]
    return Work(
        lambda k: f(given[k]), [2 * a.sum() if a.sum() > 2 else np.exp(a).sum() for a in given]
    )


def large():
    """De grands tableaux, que les noyaux partagent entre les fils de la machine."""
    x = T.fmatrix("x")
    f = function([x], T.nnet.softmax(T.tanh(x) * 2).sum(axis=0))
    given = [np.full((1100, 1000), 0.1 * k, "float32") for k in range(THREADS)]
    return Work(lambda k: f(given[k]), [np.full(1000, 1.1) for _ in given])


def failing():
    """Un appel sur deux échoue ; les autres n’en savent rien."""
    x, i = T.dvector("x"), T.lscalar("i")
    f = function([x, i], [(x * 2 + 1)[i], (x * x).sum()])
    given = [(np.arange(4.0) + k, 2 if k % 2 else 9) for k in range(THREADS)]

    def call(k):
        try:
            return f(*given[k])
        except EngineError:
            return "refus"

    return Work(call, [[2 * a[i] + 1, (a * a).sum()] if i < 4 else "refus" for a, i in given])


def calls_itself():
    """Un nœud rappelle la fonction pendant qu’elle tourne."""
    x, cell = T.dvector("x"), []

    @engine.as_op([T.dvector], [T.dvector])
    def half(v):
        return cell[0](v / 2) if v[0] > 1 else v

    cell.append(function([x], half(x * 1.0) + (x * 3)))
    given = [np.array([2.0 + k, 1.0]) for k in range(THREADS)]

    def wanted(v):
        return (wanted(v / 2) if v[0] > 1 else v) + 3 * v

    return Work(lambda k: cell[0](given[k]), [wanted(v) for v in given])


def counter():
    """Aucun pas perdu : la fonction, sa copie et une autre ajoutent au même compteur."""
    total, x = shared(0.0, name="total"), T.dscalar("x")
    f = function([], total, updates=[(total, total + 1)])
    others = [f, f.copy(), function([x], [], updates=[(total, total + x)]), f]

    def call(k):
        others[k](1.0) if k == 2 else others[k]()

    return Work(call, None, lambda calls: total.get_value() == calls)


def together():
    """Deux variables mises à jour ensemble, dans un ordre et dans l’autre ; qui les lit les voit
    toujours d’accord.
    """
    a, b = shared(np.zeros(3), name="a"), shared(np.zeros(3), name="b")
    step = [
        function([], updates=[(a, a + 1), (b, b - 1)]),
        function([], updates=[(b, b - 1), (a, a + 1)]),
    ]
    read = function([], a + b)

    def call(k):
        return step[k]() and None if k < 2 else read()

    return Work(
        call, [None, None, np.zeros(3), np.zeros(3)], lambda calls: a.get_value()[0] == calls // 2
    )


def draws():
    """Des tirages : à plusieurs fils, les mêmes qu’à un seul, dans un autre ordre."""

    def make():
        return function([], T.shared_randomstreams.RandomStreams(3).uniform((2,)))

    f, found, alone = make(), [], make()

    def after(calls):
        return sorted(map(tuple, found)) == sorted(tuple(alone()) for _ in range(calls))

    return Work(lambda k: found.append(f()), None, after)


def state():
    """Une entrée qui garde son état."""
    x = T.dscalar("x")
    f = function([In(x, value=0.0, update=x + 1)], x)
    return Work(lambda k: f() and None, None, lambda calls: f() == calls)


def on_the_simulator():
    """Sur le GPU simulé : une carte sert un fil à la fois."""
    x, w = T.fvector("x"), None
    with config.change_flags(device="cuda"):
        w = shared(np.zeros(3, "float32"), name="w")
        f = function([x], (x * 2).sum(), updates=[(w, w + 1)])
    given = [np.full(3, k, "float32") for k in range(THREADS)]
    return Work(
        lambda k: f(given[k]),
        [6.0 * k for k in range(THREADS)],
        lambda calls: w.get_value()[0] == calls,
    )


# nom -> (ce qui le prépare, sa part des appels)
WORKS = {
    "produits": (dense, 20),
    "produits, FAST_COMPILE": (lambda: dense("FAST_COMPILE"), 4),
    "produits, NumPy sans réécriture": (lambda: dense(Mode("numpy", None)), 4),
    "produits, DebugMode": (lambda: dense("DebugMode"), 0.5),
    "produits, NanGuardMode": (lambda: dense(engine.NanGuardMode()), 4),
    "réseau": (network, 8),
    "vues": (views, 8),
    "boucle": (loop, 8),
    "boucle, FAST_COMPILE": (lambda: loop("FAST_COMPILE"), 1),
    "formes nouvelles": (new_shapes, 8),
    "branches": (branches, 8),
    "grands tableaux": (large, 0.1),
    "échecs": (failing, 4),
    "se rappelle": (calls_itself, 2),
    "compteur": (counter, 100),
    "mises à jour ensemble": (together, 10),
    "tirages": (draws, 4),
    "entrée à état": (state, 10),
    "formes nouvelles, profil": (lambda: new_shapes(True), 4),
    "GPU simulé": (on_the_simulator, 0.1),
}


def same(found, wanted):
    """Les mêmes nombres, à l’arrondi près."""
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if wanted is None or isinstance(wanted, str):
        return wanted is None or (isinstance(found, str) and found == wanted)
    return np.allclose(found, wanted, rtol=1e-5)


def wrong(work, calls):
    """Combien d’appels faux, sur `calls` par fil ; les erreurs imprévues en sont."""
    bad, start = [0] * THREADS, threading.Barrier(THREADS)

    def run(k):
        start.wait()
        for _ in range(calls):
            try:
                found = work.call(k)
                bad[k] += work.wanted is not None and not same(found, work.wanted[k])
            except Exception as error:
                bad[k] += 1
                print(f"fil {k} : {type(error).__name__} : {error}", file=sys.stderr)

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    threads = [threading.Thread(target=run, args=(k,)) for k in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    return sum(bad) + (work.after is not None and not work.after(THREADS * calls))


def costs(repeat=15, number=20_000):
    """Ce que coûte un appel, en microsecondes : le meilleur de `repeat` essais."""
    x, total, w = T.dscalar("x"), shared(0.0), shared(0.0)
    twice = function([x], x * 2 + 1)
    one = function([], total, updates=[(total, total + 1)])
    two = function([], [], updates=[(total, total + 1), (w, w + 1)])
    value = np.array(1.0)
    rows = {
        "f(1.0)": lambda: twice(1.0),
        "f(tableau)": lambda: twice(value),
        "une mise à jour": one,
        "deux mises à jour": two,
    }
    return {
        name: min(timeit.repeat(call, number=number, repeat=repeat)) / number
        for name, call in rows.items()
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.core.threads", description=__doc__)
    parser.add_argument("--appels", type=int, default=100_000, help="en tout")
    parser.add_argument("--seul", default="", help="les travaux dont le nom contient ceci")
    options = parser.parse_args()
    chosen = {name: row for name, row in WORKS.items() if options.seul in name}
    shares, total = sum(share for _, share in chosen.values()), [0, 0]
    for name, (make, share) in chosen.items():
        calls = max(2, round(options.appels * share / shares / THREADS))
        start, work = time.perf_counter(), make()
        bad = wrong(work, calls)
        seconds = time.perf_counter() - start
        total = [total[0] + THREADS * calls, total[1] + bad]
        print(f"{name:34}{THREADS * calls:>8} appels{bad:>6} faux  {seconds:6.1f} s")
    print(f"{'en tout':34}{total[0]:>8} appels{total[1]:>6} faux")
    for name, seconds in costs().items():
        print(f"{name:34}{seconds * 1e6:8.3f} µs")
    return int(total[1] > 0)


if __name__ == "__main__":
    sys.exit(main())
