"""Plusieurs fils, plusieurs tâches, un fork, Ctrl-C : chacun a ses traces et ses réglages, et une
fonction compilée reste juste.
"""

import asyncio
import contextvars
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import config, function, scan, shared
from engine.core.graph import watch_building
from engine.core.sharedvalue import Storage
from engine.core.trace import scope
from engine.core.turns import unite
from tests.core.threads import THREADS, WORKS, wrong

CALLS = {"grands tableaux": 2, "GPU simulé": 2, "produits, DebugMode": 5}


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.filterwarnings("ignore:aucun GPU")
def test_called_from_four_threads(name):
    make, _ = WORKS[name]
    assert wrong(make(), CALLS.get(name, 60)) == 0


def run_together(*functions):
    """Appelle ces fonctions en même temps, les fils changeant souvent ; rend ce qu’elles rendent,
    ou lève la première exception.
    """
    results, errors = [None] * len(functions), []
    start = threading.Barrier(len(functions))

    def run(k, call):
        try:
            start.wait()
            results[k] = call()
        except Exception as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=run, args=row) for row in enumerate(functions)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads), "un fil attend sans fin"
    if errors:
        raise errors[0]
    return results


def test_functions_compiled_in_several_threads():
    def build(k):
        def call():
            found = []
            for _ in range(4):
                x = T.dvector("x")
                h, _ = scan(lambda v, h: T.tanh(v * (k + 1) + h), x, outputs_info=T.constant(0.0))
                f = function([x], engine.grad(h.sum() + T.log(1 + T.exp(x)).sum(), x))
                found.append(f(np.linspace(-1, 1, 5)))
            return found

        return call

    alone = [build(k)() for k in range(THREADS)]
    for expected, found in zip(
        alone, run_together(*(build(k) for k in range(THREADS))), strict=True
    ):
        np.testing.assert_allclose(found, expected)


def test_two_threads_unite_the_turns_of_the_same_variables():
    """Deux compilations donnent en même temps un tour aux mêmes variables."""
    for _ in range(20):
        a, b, c = (shared(0.0, name=name) for name in "abc")

        def many(*pair):
            def call():
                f = function([], updates=[(v, v + 1) for v in pair])
                for _ in range(50):
                    f()

            return call

        run_together(many(a, b), many(b, c), many(c, a), many(b))
        assert [float(v.get_value()) for v in (a, b, c)] == [100.0, 150.0, 100.0]


def test_uniting_turns_never_waits_crosswise():
    """Qui attend un tour n’en tient aucun : sinon deux compilations s’attendraient à jamais."""
    for attempt in range(150):
        cells = [Storage(np.zeros(())) for _ in range(6)]

        def unite_pairs(seed, cells=cells):
            draw = random.Random(seed)
            return lambda: [unite(draw.sample(cells, 2)) for _ in range(6)]

        run_together(*(unite_pairs(4 * attempt + k) for k in range(4)))
        assert all(cell.turn.free for cell in cells)


def test_a_trace_and_a_scope_are_a_thread_s_own():
    stop = threading.Event()

    def compiling():
        with scope("couche du voisin"):
            for _ in range(15):
                a = T.dvector("a")
                function([a], engine.grad(T.log(1 + T.exp(a)).sum(), a))
        stop.set()

    def building():
        wrong, n = 0, 0
        while not stop.is_set():
            n += 1
            trace = (T.dvector("b") * 3).owner.trace
            wrong += "def building" not in trace.frames[0].function and (
                trace.frames[0].function != "building" or trace.scope != ""
            )
        return wrong, n

    _, (wrong_traces, n) = run_together(compiling, building)
    assert n > 0 and wrong_traces == 0


def test_a_block_of_settings_is_a_thread_s_own():
    inside, seen = threading.Event(), threading.Event()

    def changing():
        with config.change_flags(floatX="float32"):
            inside.set()
            assert seen.wait(10)
            config.trace_depth = 7  # posé dans le bloc : il reste au bloc
            return T.scalar().dtype, config.trace_depth

    def looking():
        assert inside.wait(10)
        dtype = T.scalar().dtype
        seen.set()
        return dtype

    depth = config.trace_depth
    assert run_together(changing, looking) == [("float32", 7), "float64"]
    assert config.trace_depth == depth


def test_what_the_program_sets_is_for_all_its_threads():
    def set_and_look():
        before = config.trace_depth
        try:
            config.trace_depth = before + 2
            return run_together(lambda: config.trace_depth) == [before + 2]
        finally:
            config.trace_depth = before

    assert contextvars.Context().run(set_and_look)  # hors du bloc que les tests ouvrent


def test_tasks_have_their_own_settings_and_scopes():
    async def build(name, dtype):
        with config.change_flags(floatX=dtype), scope(name):
            await asyncio.sleep(0.01)
            x = T.vector()
            await asyncio.sleep(0.01)
            return x.dtype, (x * 2).owner.trace.scope

    async def both():
        return await asyncio.gather(build("une", "float32"), build("deux", "float64"))

    # dans un fil : celui des tests peut avoir déjà une boucle d’événements (un navigateur)
    (found,) = run_together(lambda: asyncio.run(both()))
    assert found == [("float32", "une"), ("float64", "deux")]


def test_who_watches_building_watches_its_thread():
    inside, built = threading.Event(), threading.Event()

    def watching():
        nodes = []
        with watch_building(nodes.append):
            inside.set()
            assert built.wait(10)
            x = T.dscalar() + 1
        return nodes == [x.owner]

    def building():
        assert inside.wait(10)
        _ = T.dscalar() * 2
        built.set()
        return True

    assert run_together(watching, building) == [True, True]


def test_set_value_waits_for_the_call_that_updates():
    x, w = T.dscalar("x"), shared(0.0, name="w")
    entered, leave = threading.Event(), threading.Event()

    @engine.as_op([T.dscalar], [T.dscalar])
    def slow(v):
        entered.set()
        assert leave.wait(10)
        return v

    f = function([x], updates=[(w, w + slow(x))])
    thread = threading.Thread(target=f, args=(1.0,))
    thread.start()
    assert entered.wait(10)
    setting = threading.Thread(target=w.set_value, args=(100.0,))
    setting.start()
    time.sleep(0.05)
    assert w.get_value() == 0.0  # qui lit n’attend pas
    leave.set()
    thread.join(10)
    setting.join(10)
    assert w.get_value() == 100.0


def test_a_function_called_by_its_own_node_updates_without_waiting_for_itself():
    w, cell = shared(0.0, name="w"), []

    @engine.as_op([T.dscalar], [T.dscalar])
    def again(v):
        if v > 0:
            cell[0](v - 1)
            w.set_value(w.get_value())
        return v

    x = T.dscalar("x")
    cell.append(function([x], again(x * 1.0), updates=[(w, w + 1)]))
    (result,) = run_together(lambda: cell[0](3.0))
    assert result == 3.0


@pytest.mark.parametrize("updates", [False, True])
def test_an_interruption_leaves_the_function_usable(updates):
    """Ctrl-C pendant l’appel, au milieu d’un nœud ; l’appel suivant est juste, la mise à jour
    entière ou absente.
    """
    x, w, v = T.dscalar("x"), shared(0.0, name="w"), shared(0.0, name="v")

    @engine.as_op([T.dscalar], [T.dscalar])
    def interrupted(value):
        if value == 7:
            raise KeyboardInterrupt
        return value

    pairs = [(w, w + interrupted(x)), (v, v + 1)] if updates else []
    f = function([x], interrupted(x * 1.0) + 1, updates=pairs)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            f(7.0)
        assert w.get_value() == 0.0 and v.get_value() == 0.0
    assert f(1.0) == 2.0
    (other,) = run_together(lambda: f(2.0))
    assert other == 3.0
    assert w.get_value() == 3.0 * updates and v.get_value() == 2.0 * updates


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="sans minuterie")
def test_signals_at_any_moment_lose_no_turn():
    """Cinq cents interruptions, n’importe où dans un appel : aucune ne laisse le tour pris."""

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    w, v = shared(0, name="w"), shared(0, name="v")
    f = function([], [w, v], updates=[(w, w + 1), (v, v + 1)])
    before, rung = signal.signal(signal.SIGALRM, ring), 0
    rng = np.random.default_rng(0)
    try:
        while rung < 500:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 4e-4))
                while True:
                    f()
            except Alarm:
                rung += 1
                assert w.get_value() == v.get_value()
            except RuntimeError as error:  # tombée dans un nœud, que la fonction nomme
                assert isinstance(error.__cause__, Alarm)
                rung += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert f.turn.free
            f()  # si l’alarme a emporté un programme, il s’en écrit un autre
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    run_together(f)
    assert w.get_value() == v.get_value()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="sans fork")
@pytest.mark.parametrize("moment", ["compilation", "appel"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_another_thread_works_does_not_hang(moment):
    x, w = T.dvector("x"), shared(0.0, name="w")
    f = function([x], T.exp(x).sum(), updates=[(w, w + 1)])
    stop = threading.Event()

    def working():
        for k in range(10_000):
            if stop.is_set():
                return
            if moment == "appel":
                f(np.ones(300_000))
            else:  # un noyau que personne n’a encore : la constante est neuve
                a = T.dvector("a")
                function([a], T.exp(a * (k + time.time())) + k)

    thread = threading.Thread(target=working)
    thread.start()
    try:
        for k in range(4):
            time.sleep(0.02)
            child = os.fork()
            if child == 0:
                a = T.dvector("a")
                g = function([a], T.tanh(a + time.time() + k))
                ok = g(np.zeros(3)).shape == (3,) and f(np.zeros(2)) == 2.0
                os._exit(0 if ok else 1)
            deadline, status = time.monotonic() + 30, (0, 0)
            while status[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
                status = os.waitpid(child, os.WNOHANG)
            if status[0] == 0:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            assert status == (child, 0), "l’enfant attend un verrou que personne ne rendra"
    finally:
        stop.set()
        thread.join(60)
