"""Le cache des noyaux : le second démarrage ne compile rien, et rien n’y est jamais abîmé."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import Mode
from engine.backends import cache
from engine.backends.__main__ import main

pytest.importorskip("numba")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import warnings
import numpy as np
import engine, engine.tensor as T
from engine.backends.cache import Counters
x = T.fmatrix("x")
W = engine.shared(np.ones((4, 3), "float32"), name="W")
cost = T.log(T.nnet.softmax(T.dot(x, W)))[:, 0].mean()
f = engine.function([x], cost, updates=[(W, W - np.float32(0.1) * engine.grad(cost, W))])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    g = engine.function([x], T.tanh(x).sum())
    assert abs(float(f(np.ones((2, 4), "float32"))) + np.log(3)) < 1e-6
    assert abs(float(g(np.ones((2, 4), "float32"))) - 8 * np.tanh(1)) < 1e-5
print(Counters.hits, Counters.misses)
"""
ONE_KERNEL = """
import numpy as np
import engine, engine.tensor as T
from engine.backends.cache import Counters
x = T.fvector("x")
assert (engine.function([x], T.sqrt(x) * 2)(np.float32([1, 4])) == [2, 4]).all()
print(Counters.hits, Counters.misses)
"""
ANOTHER_KERNEL = ONE_KERNEL.replace("T.sqrt", "T.sqr").replace("[2, 4]", "[2, 32]")
# Root écrit et lit partout : le programme charge tout, puis devient un autre utilisateur.
AS_NOBODY = """
import os, numba, engine, engine.backends.__main__
engine.Mode()
numba.njit(lambda x: x)(1)
os.setgid(65534)
os.setuid(65534)
"""
AS_A_USER = AS_NOBODY if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
needs_posix = pytest.mark.skipif(os.name == "nt", reason="droits et limites se disent autrement")
needs_root = pytest.mark.skipif(not AS_A_USER, reason="seul root peut devenir un autre")


def start(folder, program=PROGRAM, *, wait=True, **variables):
    """Lance le programme dans un processus neuf, avec ce dossier de cache."""
    flags = {"ENGINE_FLAGS": f"cache_dir={folder}", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **flags, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return counters(process) if wait else process


def counters(process):
    """(chargés, compilés, ce que le processus a écrit sur l’erreur)."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    hits, misses = map(int, out.split())
    return hits, misses, err


@pytest.fixture(scope="module")
def filled():
    """Un dossier rempli par un premier démarrage, que d’autres utilisateurs peuvent traverser."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        hits, misses, _ = start(Path(folder, "cache"))
        assert hits == 0
        assert misses > 3
        yield Path(folder, "cache")


@pytest.fixture
def folder(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache")


def test_the_second_start_compiles_nothing(filled):
    kernels = sorted(filled.iterdir())
    hits, misses, err = start(filled)
    print(f"premier démarrage : {len(kernels)} compilés ; second : {hits} chargés")
    assert (hits, misses) == (len(kernels), 0), err
    assert sorted(filled.iterdir()) == kernels


def test_two_processes_may_start_together(tmp_path):
    pair = [start(tmp_path, wait=False) for _ in range(2)]
    for process in pair:
        counters(process)
    hits, misses, _ = start(tmp_path)
    assert hits > 3
    assert misses == 0
    assert not list(tmp_path.glob("*.tmp"))


def test_threads_compile_a_kernel_once(tmp_path):
    threads = """
import threading
failures = []
def compile_it():
    try:
        assert engine.function([x], T.sqrt(x) * 2)(np.float32([4])) == 4
    except Exception as failure:
        failures.append(failure)
team = [threading.Thread(target=compile_it) for _ in range(4)]
for thread in team:
    thread.start()
for thread in team:
    thread.join()
assert not failures, failures
"""
    compiled, shown = ONE_KERNEL.split("assert")
    program = f"{compiled}{threads}{shown.splitlines()[1]}"
    assert start(tmp_path, program)[:2] == (0, 1)
    assert start(tmp_path, program)[:2] == (1, 0)


# ---- ce dont un noyau dépend -------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "variables"),
    [
        ("import sys; sys.version += ' (autre)'", {}),
        ("import numba; numba.__version__ += '.1'", {}),
        ("import llvmlite; llvmlite.__version__ += '.1'", {}),
        ("", {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}),
    ],
    ids=["Python", "Numba", "llvmlite", "processeur"],
)
def test_versions_and_machines_share_a_folder(tmp_path, before, variables):
    """Chacun compile le sien, et le retrouve après que l’autre est passé."""
    elsewhere = f"{before}\n{ONE_KERNEL}"
    assert start(tmp_path, elsewhere, **variables)[:2] == (0, 1)
    assert start(tmp_path, ONE_KERNEL)[:2] == (0, 1)
    assert start(tmp_path, elsewhere, **variables)[:2] == (1, 0)


def test_a_kernel_depends_on_its_text_only(monkeypatch):
    """Rien du moteur n’est importé par un noyau : ce qui change en lui change son empreinte."""
    texts, key_of = [], cache.key_of

    def spy(text, *rest):
        texts.append(text)
        return key_of(text, *rest)

    monkeypatch.setattr(cache, "key_of", spy)
    x, w = T.tensor4("x", dtype="float32"), T.tensor4("w", dtype="float32")
    engine.function([x, w], T.tanh(T.nnet.conv2d(x, w)).sum(), mode=Mode("numba"))(
        np.ones((8, 1, 6, 6), "float32"), np.ones((2, 1, 3, 3), "float32")
    )
    assert any("def tanh32" in text for text in texts)
    assert any("@intrinsic" in text for text in texts)
    assert not [text for text in texts if re.search(r"^\s*(from|import) engine", text, re.M)]


# ---- pannes ------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    blocked = tmp_path / "fichier"
    blocked.write_text("un fichier là où il faudrait un dossier")
    hits, misses, err = start(blocked / "cache")
    assert hits == 0
    assert misses > 3
    assert err.count("cache des noyaux inaccessible en écriture") == 1


@needs_posix
def test_a_read_only_folder_is_still_read(filled):
    kernels = list(filled.iterdir())
    filled.chmod(0o555)
    try:
        hits, misses, err = start(filled, AS_A_USER + PROGRAM)
        assert (hits, misses) == (len(kernels), 0), err
        _, missing, err = start(filled, AS_A_USER + ONE_KERNEL)
        assert missing == 1
        assert err.count("cache des noyaux inaccessible en écriture") == 1
    finally:
        filled.chmod(0o755)


@needs_posix
@needs_root
def test_users_share_a_folder():
    """Ce que l’un a compilé sert à l’autre, qui ajoute le sien."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        assert start(folder, AS_NOBODY + ONE_KERNEL)[:2] == (0, 1)
        other = AS_NOBODY.replace("65534", "65533")
        assert start(folder, other + ONE_KERNEL) == (1, 0, "")
        assert start(folder, other + ANOTHER_KERNEL) == (0, 1, "")
        assert start(folder, AS_NOBODY + ANOTHER_KERNEL) == (1, 0, "")


@needs_posix
def test_a_full_disk_costs_a_warning_only(tmp_path):
    """Aucun fichier ne peut dépasser 4 Ko : l’écriture s’arrête au milieu, pour de vrai."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    hits, misses, err = start(tmp_path, limit + PROGRAM)
    assert hits == 0
    assert misses > 3
    assert err.count("cache des noyaux inaccessible en écriture") == 1
    assert list(tmp_path.iterdir()) == []


@needs_posix
def test_a_killed_write_leaves_no_kernel(tmp_path, capsys):
    kill = "import os, pathlib; pathlib.Path.replace = lambda *paths: os.kill(os.getpid(), 9)\n"
    process = start(tmp_path, kill + ONE_KERNEL, wait=False)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    assert start(tmp_path, ONE_KERNEL)[:2] == (0, 1)
    assert start(tmp_path, ONE_KERNEL)[:2] == (1, 0)
    with engine.config.change_flags(cache_dir=str(tmp_path)):
        main([])
        assert "inachevés" in capsys.readouterr().out
        main(["--vider"])
    assert list(tmp_path.iterdir()) == []


def _flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_a_damaged_kernel_is_compiled_again(folder):
    """Vide, tronqué, un bit changé, quelconque."""
    damages = [lambda data: b"", lambda data: data[:-1], _flip, lambda data: b"noyau" * 1000]
    kernels = sorted(folder.iterdir())
    for path, damage in zip(kernels, itertools.cycle(damages), strict=False):
        path.write_bytes(damage(path.read_bytes()))
    assert start(folder)[:2] == (0, len(kernels))
    assert start(folder)[:2] == (len(kernels), 0)


def test_a_whole_kernel_that_does_not_load_is_compiled_again(folder):
    """Entier, mais écrit par autre chose que Numba."""
    kernels = sorted(folder.iterdir())
    with engine.config.change_flags(cache_dir=str(folder)):
        for path in kernels:
            cache.write(*path.stem.rsplit("_", 1), b"autre chose")
    assert start(folder)[:2] == (0, len(kernels))
    assert start(folder)[:2] == (len(kernels), 0)


# ---- la commande -------------------------------------------------------------------------


@pytest.fixture
def command(folder, capsys):
    """Lance la commande sur ce dossier ; rend son code et ce qu’elle écrit."""

    def run(*arguments, where=folder):
        with engine.config.change_flags(cache_dir=str(where)):
            code = main(list(arguments))
        return code, capsys.readouterr().out

    return run


def test_the_command_shows_the_cache(folder, command):
    code, text = command()
    rows = {line.split()[0]: line.split() for line in text.splitlines()[2:]}
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert code == 0
    assert str(folder) in text
    assert rows["total"][1:3] == [str(len(sizes)), f"{sum(sizes) / 1e6:.2f}"]
    assert int(rows["elemwise"][1]) == len(list(folder.glob("elemwise_*")))


def test_the_command_clears_its_own_files_only(folder, command):
    count = len(list(folder.iterdir()))
    foreign = [folder / "notes.noyau", folder / f"elemwise_{'0' * 20}.py", folder / "LISEZ_MOI"]
    for path in foreign:
        path.write_text("à moi")
    (folder / f"reduce_{'0' * 20}.noyau").mkdir()
    code, text = command("--vider")
    assert code == 0
    assert text.startswith(f"{count} noyaux effacés")
    assert {path.name for path in folder.iterdir()} == {
        *(path.name for path in foreign),
        f"reduce_{'0' * 20}.noyau",
    }


def test_the_command_clears_what_nobody_uses(folder, command):
    kernels = sorted(folder.iterdir())
    for path in kernels:
        os.utime(path, (0, time.time() - 10 * 86_400))
    used = kernels[0].stem.rsplit("_", 1)
    with engine.config.change_flags(cache_dir=str(folder)):
        assert cache.read(*used)
    assert command("--vider", "--plus-vieux-que", "11")[1].startswith("0 noyaux")
    command("--vider", "--plus-vieux-que", "9")
    assert list(folder.iterdir()) == kernels[:1]
    with pytest.raises(SystemExit):
        command("--plus-vieux-que", "9")


def test_the_command_finds_nothing(tmp_path, command):
    empty, file = tmp_path / "vide", tmp_path / "fichier"
    empty.mkdir()
    file.write_text("")
    for where in (empty, file, tmp_path / "absent"):
        assert command(where=where) == (0, f"dossier : {where}\naucun noyau\n")
        assert command("--vider", where=where)[1].startswith("0 noyaux effacés")


@needs_posix
def test_the_command_says_what_it_cannot_clear(filled):
    kernels = sorted(filled.iterdir())
    filled.chmod(0o555)
    try:
        clear = "\nfrom engine.backends.__main__ import main\nraise SystemExit(main(['--vider']))"
        process = start(filled, AS_A_USER + clear, wait=False)
        out, err = process.communicate()
    finally:
        filled.chmod(0o755)
    assert process.returncode == 1
    assert out.startswith("0 noyaux effacés")
    assert err.startswith(f"{len(kernels)} noyaux n’ont pu l’être")
    assert sorted(filled.iterdir()) == kernels
