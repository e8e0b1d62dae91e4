"""Le simulateur : ce que compte une trace, les fautes nommées, les nombres d’un GPU."""

import _thread
import math
import signal
import threading

import numpy as np
import pytest

from engine.gpu.kernels import simulator
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.simulator import KernelError, Simulator, trace
from engine.gpu.kernels.traces import ATOMIC, READ, WRITE

cuda = simulator.cuda


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


def two_barriers(out, x):
    if cuda.threadIdx.x < 2:
        cuda.syncthreads()
    else:
        cuda.syncthreads()


def meet():
    cuda.syncthreads()


def barrier_elsewhere(out, x):
    meet()
    out[0] = x[0]


def everyone_adds(out, x):
    out[0] += x[cuda.grid(1)]


def everyone_adds_at_once(out, x):
    cuda.atomic.add(out, 0, x[cuda.grid(1)])


def adds_elsewhere(out, x):
    cuda.atomic.add(out, 4, x[0])


def shared_too_short(out, x):
    shared = cuda.shared.array(2, np.float32)
    shared[cuda.threadIdx.x] = x[0]


def local_too_short(out, x):
    own = cuda.local.array(2, np.float32)
    out[0] = own[2 - 3]


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


def launched(kernel, out, x):
    cuda.jit(kernel)[2, 4](out, x)


def traced(kernel, out, x):
    trace(kernel, 2, 4, out, x)


def in_step(kernel, out, x):
    trace(kernel, 2, 4, out, x, lockstep=True)


FAULTS = {
    without_guard: r"hors des bornes : (x|out)\[4\]",
    negative: r"hors des bornes : x\[-1\]",
    adds_elsewhere: r"hors des bornes : out\[4\]",
    shared_too_short: r"hors des bornes : partagée 1\[2\]",
    local_too_short: r"hors des bornes : locale\[-1\]",
    barrier_for_some: "(?s)tous les fils.*à la ligne .*a déjà fini",
    two_barriers: "(?s)tous les fils.*ligne .*, le fil 2 du bloc 0 attend à la ligne",
    barrier_elsewhere: "dans le noyau lui-même",
    endless: "le noyau finit-il",
    unknown: "laneid",
}


@pytest.mark.parametrize("run", [launched, traced, in_step])
@pytest.mark.parametrize("kernel", FAULTS)
def test_faults_are_named(kernel, run, monkeypatch):
    monkeypatch.setattr(simulator, "MOST_TURNS", 1000)
    monkeypatch.setattr(simulator, "MOST_ACCESSES", 1000)
    with pytest.raises(KernelError, match=FAULTS[kernel].replace(" : ", "\u00a0: ")):
        run(kernel, *vectors())


def test_a_fault_says_which_thread_and_what_to_do():
    with pytest.raises(KernelError) as caught:
        launched(without_guard, *vectors())
    said = str(caught.value).replace("\u00a0", " ")
    assert "le fil 0 du bloc 1" in said and "la forme (4,)" in said and "une garde" in said


def test_what_a_kernel_raises_passes_and_the_next_one_runs():
    def divides(out, x):
        out[0] = 1 // cuda.threadIdx.x

    with pytest.raises(ZeroDivisionError):
        launched(divides, *vectors())
    out, x = vectors()
    cuda.jit(neighbour)[1, 4](out, x)
    assert out.tolist() == [3, 2, 1, 0]


def test_a_kernel_launches_no_other():
    def launches(out, x):
        cuda.jit(without_guard)[1, 1](out, x)

    for _ in range(2):
        with pytest.raises(KernelError, match="n’en lance pas un autre"):
            launched(launches, *vectors())


@pytest.fixture
def interruptible():
    """Ctrl-C interrompt, même dans un processus lancé en tâche de fond, qui l’ignore."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def test_an_interruption_ends_a_spinning_thread(interruptible, monkeypatch):
    monkeypatch.setattr(simulator, "MOST_TURNS", math.inf)
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        trace(spinning, 1, 2, *vectors())


# -- les ordres, les courses -----------------------------------------------------------------------


def test_a_missing_barrier_is_a_race():
    out, x = vectors()
    seen = trace(neighbour_without_barrier, 1, 4, out, x)
    assert np.isnan(out[0])  # le fil 0 lit ce que le fil 3 n’a pas encore écrit
    assert len(seen.races()) == 4
    assert "partagée 1[0]" in str(seen.races()[0])
    assert trace(neighbour, 1, 4, out, x).races() == []
    assert out.tolist() == [3, 2, 1, 0]


def test_backward_the_last_thread_goes_first():
    out, x = vectors()
    seen = trace(neighbour_without_barrier, 1, 4, out, x, backward=True)
    assert np.isnan(out[3]) and not np.isnan(out[0]) and len(seen.races()) == 4
    seen = trace(without_guard, 2, 2, out, x, backward=True)
    assert [(a.block, a.thread) for a in seen.of(WRITE)] == [(1, 1), (1, 0), (0, 1), (0, 0)]


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


def test_an_atomic_and_a_plain_write_are_a_race():
    def mixed(out, x):
        if cuda.grid(1):
            cuda.atomic.max(out, 0, x[1])
        else:
            out[0] = x[0]

    assert len(trace(mixed, 1, 2, *vectors()).races()) == 1


def test_a_barrier_parts_the_threads_of_a_block_only():
    def swaps(out, x):
        if cuda.blockIdx.x == 0:
            out[0] = x[0]
        cuda.syncthreads()
        if cuda.blockIdx.x == 1:
            out[0] = x[1]

    assert len(trace(swaps, 2, 1, *vectors()).races()) == 1


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
    out[...] = 0
    cuda.jit(by_rows)[(3, 1), (1, 2)](out, x)
    assert out.tolist() == (x + 2).tolist()


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


# -- d’un texte à un noyau -------------------------------------------------------------------------


def test_a_row_is_no_element():
    def rows(out, x):
        out[0] = x[0]

    def sliced(out, x):
        out[0, 0] = x[0:1]

    def halfway(out, x):
        out[0, 0] = x[0, 0.5]

    for run in (launched, traced):
        for kernel, said in ((rows, "un élément à la fois"), (sliced, "par des entiers"),
                             (halfway, "par des entiers")):  # fmt: skip
            with pytest.raises(KernelError, match=said):
                run(kernel, np.zeros((2, 2)), np.zeros((2, 2)))


def test_a_decorated_kernel_runs_and_still_reads():
    kernel = cuda.jit(neighbour)
    out, x = vectors()
    assert kernel[1, 4](out, x) is None
    assert out.tolist() == [3, 2, 1, 0] and kernel.__name__ == "neighbour"
    assert kernel.py_func is neighbour


def test_names_around_the_kernel_are_known():
    twice = cuda.jit(device=True)(lambda x: 2 * x)

    def doubled(out, x):
        i = cuda.grid(1)
        out[i] = twice(x[i])

    out, x = vectors()
    for run in (trace, lambda kernel, *rest: cuda.jit(kernel)[rest[:2]](*rest[2:])):
        run(doubled, 1, 4, out, x)
        assert out.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_kernel_may_hold_a_function_and_a_list(lockstep):
    def sums(out, x):
        def at(i):
            return x[i]

        t = cuda.threadIdx.x
        cuda.syncthreads()
        out[t] = sum([x[k] for k in range(t)]) + at(t)

    out, x = vectors()
    trace(sums, 1, 4, out, x, lockstep=lockstep)
    assert out.tolist() == [0, 1, 3, 6]


def test_a_kernel_without_text_runs_thread_after_thread():
    space = {"cuda": cuda, "np": np}
    exec("def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = x[i]\n", space)
    out, x = vectors()
    assert trace(space["kernel"], 1, 4, out, x).total(WRITE) == 4
    with pytest.raises(KernelError, match="introuvable"):
        trace(space["kernel"], 1, 4, out, x, lockstep=True)
    exec("def kernel(out, x):\n    cuda.syncthreads()\n", space)
    with pytest.raises(KernelError, match="introuvable"):
        trace(space["kernel"], 1, 4, out, x)


def test_two_shared_arrays_on_one_line_are_two_and_a_loop_has_one():
    def two(out, x):
        a, b = cuda.shared.array(1, np.float32), cuda.shared.array(1, np.float32)
        a[0], b[0] = x[1], x[2]
        out[0] = a[0]
        for k in range(2):
            c = cuda.shared.array(2, np.float32)
            c[k] = x[3]
        out[1] = c[0]

    out, x = vectors()
    seen = trace(two, 1, 1, out, x)
    assert out.tolist() == [1, 3, 0, 0]
    assert list(seen.shapes) == ["out", "x", "partagée 1", "partagée 2", "partagée 3"]


def test_a_shared_array_has_one_name_whichever_block_comes_first():
    def odd_and_even(out, x):
        if cuda.blockIdx.x:
            a = cuda.shared.array(1, np.float32)
            a[0] = x[0]
        b = cuda.shared.array(2, np.float32)
        b[0] = x[0]

    seen = trace(odd_and_even, 2, 1, *vectors())
    assert {(a.block, a.array) for a in seen.of(WRITE)} == {
        (0, "partagée 1"), (1, "partagée 2"), (1, "partagée 1"),
    }  # fmt: skip
    assert seen.shapes["partagée 1"] == (2,)


def generated(body, *words, block=4):
    return make_kernel("essai", "essai", body, words, block)


simulated = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c’est lui que l’on essaie"
)


@simulated
@pytest.mark.parametrize(
    "given",
    [
        lambda x: (x, upload(np.zeros(4, "float64"))),
        lambda x: (x, upload(np.zeros((2, 2), "float32"))),
        lambda x: (x, upload(np.zeros(8, "float32"))[::2]),
    ],
    ids=["dtype", "axes", "pas"],
)
def test_an_array_is_what_its_word_says(given):
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = x[i]\n"
    kernel = generated(body, "float32[::1]", "float32[::1]")
    with pytest.raises(KernelError, match="qu’attend le noyau"):
        kernel(4, *given(empty((4,), "float32")))


@simulated
def test_a_watched_machine_refuses_a_race(monkeypatch):
    body = "def kernel(out):\n    out[{}] = cuda.grid(1)\n"
    races, fine = (generated(body.format(place), "int64[::1]") for place in ("0", "cuda.grid(1)"))
    out = upload(np.zeros(4, "int64"))
    races(4, out)
    monkeypatch.setattr(machine(), "watched", True)
    fine(4, out)
    with pytest.raises(KernelError, match=r"out\[0\].*sans barrière"):
        races(4, out)


@simulated
def test_views_are_walked_as_they_are():
    body = "def kernel(out, x):\n    j, i = cuda.grid(2)\n    out[i, j] = x[i, j]\n"
    kernel = generated(body, "float32[:,:]", "float32[:,:]", block=6)
    x = upload(np.arange(6, dtype="float32").reshape(2, 3))
    out = empty((3, 2), "float32")
    kernel.launch_by((1, 1), (2, 3), (out, x.transpose(1, 0)[::-1]))
    assert out.to_host().tolist() == [[2, 5], [1, 4], [0, 3]]


@simulated
def test_borrowed_memory_that_only_reads_is_not_written():
    lent = np.zeros(4, "float32")
    lent.flags.writeable = False
    x = empty((4,), "float32")
    x.buffer = lent
    with pytest.raises(KernelError, match="lecture seule"):
        generated("def kernel(out):\n    out[cuda.grid(1)] = 1\n", "float32[::1]")(4, x)


@simulated
def test_two_threads_of_the_host_take_turns():
    body = (
        "def kernel(out, n):\n    i = cuda.grid(1)\n    for k in range(n):\n        out[i] += i\n"
    )
    kernel, outs = generated(body, "int64[::1]", "int64"), []

    def work():
        out = upload(np.zeros(64, "int64"))
        for _ in range(5):
            kernel(64, out, np.int64(20))
        outs.append(out.to_host())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(out, 100 * np.arange(64)) for out in outs) and len(outs) == 4


# -- les nombres -----------------------------------------------------------------------------------


@simulated
@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [
        ("uint32", "uint32(x[0] + uint32(4294967295))", 4),
        ("uint32", "uint32(x[0] - uint32(6))", 2**32 - 1),
        ("int32", "x[0] + 2147483647", -(2**31) + 4),  # c’est le rangement qui replie
        ("int8", "int8(x[0] * 50)", -6),
        ("int64", "x[0] // -2", -3),
        ("int64", "-x[0] % 3", 1),
        ("uint8", "uint8(float32(300.7))", 255),
        ("int32", "int32(float32(-2.7))", -2),
        ("int32", "int32(float32(np.nan))", 0),
        ("float32", "x[0] * float32(0.1)", np.float32(5) * np.float32(0.1)),
        ("float32", "max(float32(np.nan), x[0])", 5),
        ("float32", "min(x[0], float32(np.nan))", 5),
        ("int32", "max(1, x[0], 7) - min(x[0], 9, 2)", 5),
        ("float32", "math.exp(x[0])", np.float32(math.exp(5))),
        ("float32", "math.exp(x[0] * float32(100))", np.inf),
        ("float32", "math.log(x[0] - x[0])", -np.inf),
        ("float32", "math.sqrt(-x[0])", np.nan),
        ("float64", "math.lgamma(x[0] - 5)", np.inf),
        ("float64", "math.floor(x[0] / 2)", 2),
        ("bool", "x[0]", True),
    ],
)
def test_numbers_are_those_of_a_gpu(dtype, text, expected):
    kernel = generated(f"def kernel(out, x):\n    out[0] = {text}\n", *[f"{dtype}[::1]"] * 2)
    out = empty((1,), dtype)
    kernel.launch_by(1, 1, (out, upload(np.array([5], dtype))))
    np.testing.assert_array_equal(out.to_host()[0], np.dtype(dtype).type(expected))


def test_single_precision_stays_single():
    kinds = []

    def kernel(out, x):
        y = x[0] * x[0] + 1
        kinds.extend(map(type, (x[0], y, math.exp(y), math.floor(y), max(y, x[0]))))

    trace(kernel, 1, 1, *vectors())
    assert kinds == [np.float32] * 5


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, "float64"])
@pytest.mark.parametrize("kind", ["shared", "local"])
def test_new_memory_is_poisoned(kind, dtype):
    def reads(out, x):
        out[0] = getattr(cuda, kind).array(3, dtype)[1]

    found = np.zeros(1)
    trace(reads, 1, 1, found, found)
    dtype = np.dtype(dtype)
    np.testing.assert_equal(found[0], np.nan if dtype.kind == "f" else np.iinfo(dtype).max)
