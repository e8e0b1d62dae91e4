"""La machine pas à pas : ce qu’elle compte, et les fautes de noyau qu’elle nomme."""

import _thread
import signal
import threading

import numpy as np
import pytest

from engine.gpu.kernels.traces import ATOMIC, READ, WRITE
from engine.gpu.kernels.tracing import KernelError, PythonCuda, trace

cuda = "remplacé le temps d’une trace"


def without_guard(out, x):
    i = cuda.grid(1)
    out[i] = x[i]


def negative(out, x):
    out[cuda.grid(1)] = x[cuda.grid(1) - 1]


def neighbour_without_barrier(out, x):
    t = cuda.threadIdx.x
    shared = cuda.shared.array(4, np.float32)
    shared[t] = x[t]
    out[t] = shared[3 - t]


def neighbour(out, x):
    t = cuda.threadIdx.x
    shared = cuda.shared.array(4, np.float32)
    shared[t] = x[t]
    cuda.syncthreads()
    out[t] = shared[3 - t]


def barrier_for_some(out, x):
    t = cuda.threadIdx.x
    if t < 2:
        cuda.syncthreads()
    out[t] = x[t]


def everyone_adds(out, x):
    out[0] += x[cuda.grid(1)]


def everyone_adds_at_once(out, x):
    cuda.atomic.add(out, 0, x[cuda.grid(1)])


def endless(out, x):
    while x[0] == 0:
        out[0] = 0


def spinning(out, x):
    while True:
        pass


def unknown(out, x):
    out[0] = cuda.laneid


def vectors(n=4):
    return np.zeros(n, "float32"), np.arange(n, dtype="float32")


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (without_guard, r"out\[4\]|x\[4\]"),
        (negative, r"x\[-1\]"),
        (barrier_for_some, "tous les fils"),
        (endless, "le noyau finit-il"),
        (unknown, "laneid"),
    ],
)
def test_faults_are_named_and_leave_no_thread(kernel, said, lockstep):
    before = threading.active_count()
    with pytest.raises(KernelError, match=said):
        trace(kernel, 2, 4, *vectors(), lockstep=lockstep and kernel is not endless)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.daemon:
            thread.join(5)
    assert threading.active_count() <= before
    assert isinstance(cuda, str)


@pytest.fixture
def interruptible():
    """Ctrl-C interrompt, même dans un processus lancé en tâche de fond, qui l’ignore."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def test_an_interruption_ends_a_spinning_thread(interruptible):
    before = threading.active_count()
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        trace(spinning, 1, 2, *vectors())
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)
    assert threading.active_count() <= before


def test_a_missing_barrier_is_a_race():
    out, x = vectors()
    seen = trace(neighbour_without_barrier, 1, 4, out, x)
    assert np.isnan(out[0])  # le fil 0 lit ce que le fil 3 n’a pas encore écrit
    assert len(seen.races()) == 4
    assert "partagée 1[0]" in str(seen.races()[0])
    assert trace(neighbour, 1, 4, out, x).races() == []
    assert out.tolist() == [3, 2, 1, 0]


def test_lost_updates_depend_on_the_order():
    totals = []
    for lockstep in (False, True):
        out, x = vectors()
        seen = trace(everyone_adds, 1, 4, out, x, lockstep=lockstep)
        totals.append(out[0])
        assert len(seen.races()) == 1
    assert totals == [6, 3]  # au pas à pas, tous lisent 0, et le dernier a raison


def test_two_blocks_never_wait_for_each_other():
    assert len(trace(everyone_adds, 4, 1, *vectors()).races()) == 1


@pytest.mark.parametrize("lockstep", [False, True])
def test_atomic_additions_agree(lockstep):
    out, x = vectors()
    seen = trace(everyone_adds_at_once, 2, 2, out, x, lockstep=lockstep)
    assert out[0] == 6 and seen.races() == [] and seen.total(ATOMIC) == 4


def by_rows(out, x):
    j, i = cuda.grid(2)
    out[i][j] = x[i, j] + len(x)


def test_two_axes_x_first():
    out, x = np.zeros((2, 3)), np.arange(6.0).reshape(2, 3)
    seen = trace(by_rows, (3, 1), (1, 2), out, x)
    assert out.tolist() == (x + 2).tolist()
    assert [(a.block, a.thread, a.index) for a in seen.of(WRITE)][:3] == [
        (0, 0, 0),
        (0, 1, 3),
        (1, 0, 1),
    ]
    assert seen.of(READ, "x", block=2, thread=1)[0].index == 5


def copy_rows(out, x):
    j, i = cuda.grid(2)
    out[i, j] = x[i, j]


def copy_columns(out, x):
    i, j = cuda.grid(2)
    out[i, j] = x[i, j]


def test_neighbours_share_their_packets():
    x = np.zeros((16, 16), "float32")
    for kernel, expected in ((copy_rows, 32), (copy_columns, 128)):
        seen = trace(kernel, (1, 2), (16, 8), x.copy(), x)
        assert seen.packets(READ, "x") == seen.packets(WRITE, "out") == expected


def test_a_row_is_no_element():
    def rows(out, x):
        out[0] = x[0]

    with pytest.raises(KernelError, match="un élément à la fois"):
        trace(rows, 1, 1, np.zeros((2, 2)), np.zeros((2, 2)))

    def sliced(out, x):
        out[0, 0] = x[0:1]

    with pytest.raises(KernelError, match="par des entiers"):
        trace(sliced, 1, 1, np.zeros((2, 2)), np.zeros((2, 2)))


def test_a_kernel_decorated_without_numba_runs():
    kernel = PythonCuda.jit(neighbour)
    out, x = vectors()
    assert kernel[1, 4](out, x) is None
    assert out.tolist() == [3, 2, 1, 0] and kernel.__name__ == "neighbour"
