"""La machine `Device` contre un faux pilote : l’ordre des appels, la mémoire, les erreurs.

Le faux pilote se compile ici ; chaque programme tourne dans son processus, où il passe pour vrai.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("cuda") is None
        or importlib.util.find_spec("cuda.bindings") is None,
        reason="pilote du GPU : cuda-bindings n’est pas installé (python3 demarrer.py gpu)",
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="le faux pilote est une bibliothèque Linux"),
]
HEAD = """
import numpy as np
from engine.gpu.kernels import blas
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.machines import machine
blas.candidates = lambda names, folders: ()  # une vraie cuBLAS n’y survit pas
"""


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory, require_program):
    """Le dossier qui contient le faux libcuda."""
    folder = tmp_path_factory.mktemp("pilote")
    source, library = ROOT / "tests/device/libcuda.c", folder / "libcuda.so.1"
    command = [require_program("cc"), "-shared", "-fPIC", "-w", str(source), "-o", str(library)]
    subprocess.run([*command, "-ldl"], check=True)
    return folder


@pytest.fixture
def run(fake_driver, tmp_path):
    """Lance un programme sur le faux pilote : (sa sortie, ou son erreur ; les appels faits)."""

    def launch(program, **settings):
        calls = tmp_path / "appels"
        calls.write_text("")
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(fake_driver),
            "PYTHONPATH": str(ROOT),
            "CHAINAGE_CALLS": str(calls),
            **{f"CHAINAGE_{name}": str(value) for name, value in settings.items()},
        }
        done = subprocess.run(
            [sys.executable, "-c", HEAD + program],
            capture_output=True, text=True, env=environment, cwd=ROOT, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr, calls.read_text().splitlines()

    return launch


def test_a_round_trip_waits_once_at_the_end(run):
    said, calls = run("print(upload(np.arange(6, dtype='f').reshape(2, 3)).to_host())")
    assert said == "[[0. 1. 2.]\n [3. 4. 5.]]\n"
    start = calls.index("cuStreamCreate")
    assert calls[start + 1 :] == [
        "cuMemAlloc 512", "cuMemAllocHost", "cuMemcpyHtoDAsync 24",
        "cuMemcpyDtoHAsync 24", "cuStreamSynchronize",
    ]  # fmt: skip


def test_views_come_back_in_their_own_order(run):
    said, _ = run(
        "x = upload(np.arange(12).reshape(3, 4))\n"
        "print(x.transpose(1, 0)[::-1, 1].to_host(), x[2, 1:3].to_host(), x[:0].to_host().shape)"
    )
    assert said == "[7 6 5 4] [ 9 10] (0, 4)\n"


def test_a_zone_given_back_serves_again(run):
    _, calls = run("for _ in range(5):\n    x = empty((100,), 'float32')\n    del x\n")
    assert [call for call in calls if call.startswith("cuMem")] == ["cuMemAlloc 512"]


def test_a_full_device_gives_its_reserve_back_before_it_complains(run):
    program = (
        "x = empty((700,), 'uint8')\ndel x\ny = empty((4000,), 'uint8')\n"
        "try:\n    empty((4000,), 'uint8')\nexcept MemoryError as error:\n    print(error)\n"
    )
    said, calls = run(program, LIMIT=4500)
    assert "plus assez de mémoire" in said and "Reçu" in said
    memory = [call for call in calls if call.startswith("cuMem")]
    assert memory[:4] == ["cuMemAlloc 1024", "cuMemAlloc 4096", "cuMemFree", "cuMemAlloc 4096"]


@pytest.mark.parametrize(
    ("program", "settings", "words"),
    [
        ("machine()", {"VERSION": 12020}, ["trop ancien", "CUDA 12.2", "demarrer.py gpu"]),
        ("from engine import config\nconfig.device = 'cuda3'\nmachine()", {}, ["GPU 3"]),
        ("upload(np.ones(3)).to_host()", {"SYNC": 700}, ["ILLEGAL_ADDRESS", "simulateur"]),
    ],
    ids=["pilote", "rang", "adresse"],
)
def test_errors_say_what_to_do(run, program, settings, words):
    said, _ = run(program, **settings)
    assert all(word in said for word in words), said


def test_two_cards_have_their_contexts_and_their_memory(run):
    program = """
from engine import config
x = upload(np.arange(3))
y = x.to("cuda1")
with config.change_flags(device="cuda1"):
    z = empty((2,), "float32")
print(x.rank, y.rank, z.rank, x.to_host(), y.to_host())
print(x.__dlpack_device__(), y.__dlpack_device__())
"""
    said, calls = run(program, COUNT=2)
    assert said == "0 1 1 [0 1 2] [0 1 2]\n(2, 0) (2, 1)\n"
    current, places = None, []
    for call in calls:
        name, *rest = call.split()
        current = rest[0] if name == "cuCtxSetCurrent" else current
        places += [(name, current)] if name.startswith(("cuMemAlloc", "cuMemcpy")) else []
    assert places == [
        ("cuMemAlloc", "0"), ("cuMemAllocHost", "0"), ("cuMemcpyHtoDAsync", "0"),
        ("cuMemAlloc", "1"), ("cuMemcpyPeerAsync", "1"), ("cuMemAlloc", "1"),
        ("cuMemcpyDtoHAsync", "0"), ("cuMemcpyDtoHAsync", "1"),
    ]  # fmt: skip


def test_memory_goes_from_one_library_to_another_without_a_copy(run):
    """Le prêteur est un autre tableau du périphérique, dont seuls les protocoles sont vus."""
    program = """
import gc, weakref
from engine.gpu.kernels.exchange import as_device_array

class Other:
    def __init__(self, array, stream=None):
        said = {**array.__cuda_array_interface__, "stream": stream}
        self.array, self.__cuda_array_interface__ = array, said

class Tensor:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None, max_version=None):
        print("flux", stream == machine().stream_handle)
        return self.array.__dlpack__(stream=stream, max_version=max_version)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

x = upload(np.arange(6, dtype="float32").reshape(2, 3))
for lender in (Other(x[::-1, 1:]), Tensor(x[::-1, 1:])):
    y = as_device_array(lender)
    del lender
    gc.collect()
    print(y.to_host().tolist(), machine().address(y) == machine().address(x) + 16)
del y
for lender in (Other(x, machine().stream_handle), Other(x, 1)):
    as_device_array(lender)
for stream in (None, 1, -1, machine().stream_handle):
    x.__dlpack__(stream=stream, max_version=(1, 0))
owners = [Other(x[0, 1:], None) for _ in range(3)]
seen = [weakref.ref(owner) for owner in owners]
y = [as_device_array(owner) for owner in owners]
print("décalé", y[0].offset, y[0].to_host())
del owners, y
gc.collect()
print([one() is None for one in seen])  # nos noyaux les lisent peut-être encore
for _ in range(2):
    as_device_array(Tensor(x))
print([one() is None for one in seen])
try:
    x.__dlpack__(stream=0)
except BufferError as error:
    print(error)
try:
    as_device_array(np.ones(3))
except BufferError as error:
    print(error)
"""
    said, calls = run(program)
    lines = said.splitlines()
    assert lines[:3] == ["[[4.0, 5.0], [1.0, 2.0]] True", "flux True", lines[0]], said
    assert "stream=0" in said and "copy=True" in said
    assert {"décalé 1 [1. 2.]", "[False, False, False]", "[True, True, True]"} <= set(lines)
    assert [call for call in calls if call.startswith("cuMem")] == [
        "cuMemAlloc 512", "cuMemAllocHost", "cuMemcpyHtoDAsync 24",
        "cuMemcpyDtoHAsync 20", "cuMemcpyDtoHAsync 20", "cuMemcpyDtoHAsync 8",
    ]  # fmt: skip
    waits = [call.split()[1] for call in calls if call.startswith("cuStreamWaitEvent")]
    assert waits == [str(0x57), "1", "1"]  # le nôtre attend le prêteur ; puis l’emprunteur, nous


def test_arguments_are_packed_as_numba_receives_them(run):
    """Un tableau : deux poignées nulles, le nombre (le faux pilote le relit), l’octet par élément,
    l’adresse, la forme, les pas ; un nombre : lui-même.
    """
    program = """
import struct
from engine.gpu.kernels import driver
function = driver.Function("essai", None, 0, ("float32[:,:]", "int8", "uint32", "float64"))
x = upload(np.arange(12, dtype="float32").reshape(3, 4)).transpose(1, 0)[1:]
machine().launch(function, (7, 2), (16, 8, 1), (x, np.int8(-1), np.uint32(5), np.float64(0.5)))
words = struct.unpack("9qbId", bytes(function._place))
print(words[:4], words[4] - x.buffer.pointer, words[5:])
"""
    said, calls = run(program)
    assert said == "(0, 0, 9, 4) 4 (3, 3, 4, 16, -1, 5, 0.5)\n"
    assert calls[-1] == "cuLaunchKernel 7 16 n=9"


TRAINING = """
import engine.tensor as T
from engine import config, function, shared
from engine.gpu.kernels.driver import Device, Function
# les noyaux ne tournent pas sur le faux pilote : inutile de les compiler
Device.prepare = lambda self, name, text, signature, block: Function(name, None, 0, signature)
config.device, config.floatX = "cuda", "float32"
x, w = T.matrix("x"), shared(np.ones(4, "float32"), "w")
"""


def test_a_function_is_recorded_then_run_then_captured_then_replayed(run):
    program = TRAINING + (
        "f = function([x], (x * w).sum(), updates=[(w, w + 1)])\n"
        "from engine.gpu.kernels.machines import machine as here\n"
        "for k in range(7):\n    print('appel', k, here().pool.held)\n"
        "    f(np.ones((3, 4), 'float32'))\n"
    )
    said, calls = run(program)
    held = [int(line.split()[-1]) for line in said.splitlines()]
    assert held[3] == held[4] == held[6], said  # rejouer ne prend plus rien
    done = [call for call in calls if "Destroy" not in call]
    assert done[-4:] == [
        "cuMemcpyHtoDAsync 48", "cuGraphLaunch 3", "cuMemcpyDtoHAsync 4", "cuStreamSynchronize",
    ]  # fmt: skip
    assert done.count("cuGraphInstantiate") == 2  # les deux zones de w, à tour de rôle
    assert done.count("cuGraphLaunch 3") == 4  # trois noyaux, capturés au second tour


def test_a_first_plan_that_only_updates_asks_for_some_memory(run):
    said, calls = run(TRAINING + "f = function([], updates=[(w, w + 1)])\nfor k in range(4): f()")
    assert said == "" and "cuMemAlloc 0" not in calls, said


LENT = """
from engine.gpu.kernels.exchange import from_dlpack

class Tensor:
    def __init__(self, array):
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

x = empty((1000,), "uint8")
y = from_dlpack(Tensor(x))
"""


def test_what_is_lent_is_read_before_the_lender_goes_on(run):
    _, calls = run(LENT + "y.copy()\nprint('fin', flush=True)\nx.copy()\n")
    copies = [rank for rank, call in enumerate(calls) if call.startswith("cuMemcpyDtoD")]
    assert calls[copies[0] + 1] == "cuStreamSynchronize"  # son flux n’attend pas le nôtre
    assert "cuStreamSynchronize" not in calls[copies[1] :]


def test_what_was_lent_then_dropped_serves_again_when_memory_runs_out(run):
    said, _ = run(LENT + "del x, y\nprint(empty((4000,), 'uint8').shape)", LIMIT=4500)
    assert said == "(4000,)\n"


def test_an_empty_input_does_not_shift_the_others_at_replay(run):
    program = TRAINING + (
        "e, u = T.vector('e'), shared(np.zeros(0, 'float32'), 'u')\n"
        "f = function([e, x], updates=[(u, e), (w, x[0])])\n"
        "for k in range(4):\n"
        "    f(np.zeros(0, 'float32'), np.full((1, 4), k, 'float32'))\n"
        "    print(w.get_value())\n"
    )
    said, _ = run(program)
    assert said.splitlines() == [f"[{k}. {k}. {k}. {k}.]" for k in range(4)], said


def test_a_plan_does_not_keep_the_old_values_of_a_shared_variable(run):
    """Huit valeurs de longueurs différentes, un plan pour chacune : une seule zone reste prise."""
    program = TRAINING + (
        "f = function([], w.sum())\n"
        "for k in range(8):\n"
        "    w.set_value(np.ones(1_000_000 + 200_000 * k, 'float32'))\n"
        "    f(), f(), f()\n"
        "print(machine().pool.held / 1e6)\n"
    )
    said, _ = run(program)
    assert float(said) < 25, said


def test_a_full_device_does_without_the_zones_of_old_plans(run):
    program = TRAINING + (
        "f = function([], w.sum())\n"
        "for k in range(8):\n"
        "    w.set_value(np.ones(1_000_000 + 200_000 * k, 'float32'))\n"
        "    f(), f(), f()\n"
        "print('fini')\n"
    )
    assert run(program, LIMIT=30_000_000)[0] == "fini\n"


def test_uploads_of_several_threads_do_not_mix(run):
    program = """
import threading
wrong = []

def work(rank):
    for k in range(150):
        value = np.full(50_000, 1000 * rank + k, "float32")
        if not np.array_equal(upload(value).to_host(), value):
            wrong.append(k)

threads = [threading.Thread(target=work, args=(rank,)) for rank in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(wrong))
"""
    assert run(program)[0] == "0\n"


def test_launches_of_several_threads_have_their_own_arguments(run):
    program = """
import threading, time
from engine.gpu.kernels import driver
pack = driver.Function.pack

def slow(self, arguments):  # le temps, pour un autre fil, d’écrire à la même place
    pack(self, arguments)
    time.sleep(1e-3)

driver.Function.pack = slow
function = driver.Function("essai", None, 0, ("float32[::1]", "uint32"))
x = empty((3,), "float32")

def work(n):
    for _ in range(20):
        machine().launch(function, n, 32, (x.view((n,), (0,)), np.uint32(n)))

threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
[t.start() for t in threads]
[t.join() for t in threads]
"""
    said, calls = run(program)
    launched = [call.split()[1:] for call in calls if call.startswith("cuLaunchKernel")]
    assert said == "" and len(launched) == 60
    assert all(blocks == n.removeprefix("n=") for blocks, _, n in launched)


def test_an_upload_of_another_thread_is_not_captured(run):
    """Il attend la fin de la capture : il a lieu, une fois, hors du graphe."""
    program = (
        TRAINING
        + """
import threading
f = function([x], updates=[(w, x[0] * 2)])
values, arrays = np.arange(4, dtype="float32"), []
begin = Device.captured

def captured(self, run):
    def during():
        other = threading.Thread(target=lambda: arrays.append(upload(values)))
        other.start()
        other.join(0.3)
        run()
    return begin(self, during)

Device.captured = captured
for k in range(6):
    f(np.full((1, 4), k, "float32"))
for _ in range(6):  # l’anneau d’où partent les copies fait le tour
    upload(np.full(700_000, 5, "float32"))
for k in range(2):
    f(np.full((1, 4), k, "float32"))
print(len(arrays), all((array.to_host() == [0, 1, 2, 3]).all() for array in arrays))
"""
    )
    said, _ = run(program)
    assert said.endswith("True\n") and int(said.split()[-2]) >= 1, said


def test_the_card_that_another_library_chose_is_left_to_it(run):
    program = """
from cuda.bindings import driver as api
first = upload(np.arange(3))
api.cuCtxSetCurrent(0xC1)
second = upload(np.arange(3))
print(second.to_host(), int(api.cuCtxGetCurrent()[1]) == 0xC1)
"""
    said, calls = run(program, COUNT=2)
    assert said == "[0 1 2] True\n", said
    current = None
    for call in calls:
        name, *rest = call.split()
        current = rest[0] if name == "cuCtxSetCurrent" else current
        assert current == "0" or not name.startswith(("cuMemAlloc", "cuMemcpy"))


def test_a_forked_process_is_told(run):
    program = """
import os
upload(np.ones(3))
if os.fork() == 0:
    try:
        upload(np.ones(3))
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""
    assert "fork" in run(program)[0]


def test_an_old_card_is_refused(run):
    said, calls = run("machine()", CAPABILITY=6)
    assert "sm_60" in said and "trop ancien" in said and "demarrer.py gpu" in said
    assert "cuStreamCreate" not in calls
