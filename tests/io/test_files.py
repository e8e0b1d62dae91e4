"""Aucun fichier abîmé ne se lit de travers, aucun bon fichier ne se perd.

Les dommages sont ceux de `tests.io.bit_flips` ; s’y ajoutent les programmes tués au milieu d’une
écriture, et ceux qui écrivent à plusieurs.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import engine
from course import zoo
from course.grading import progress
from engine.core.errors import DataError
from engine.io import files, named_arrays
from engine.io.files import locked, write_whole
from engine.nn import Training
from tests.io.bit_flips import FORMATS, SHIPPED, campaign, parameters, training, values

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signaux de POSIX")


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_never_read_as_something_else(name):
    counts = campaign(FORMATS[name], n_flips=40, seed=1)
    assert not {key: n for key, n in counts.items() if key[1] == "wrong"}
    assert sum(n for key, n in counts.items() if key[1] == "refused") > 15


def test_the_campaign_sees_a_reader_that_checks_nothing(monkeypatch):
    monkeypatch.setattr(named_arrays, "_digest", lambda data: named_arrays.BLANK)
    counts = campaign(FORMATS["état d’un entraînement"], n_flips=40, seed=1)
    assert counts["bit", "wrong"] > 2


def test_models_of_earlier_versions_still_load():
    weights = zoo.weights(SHIPPED.stem)
    assert b"sha256" not in SHIPPED.read_bytes()[:2000] and weights


def test_a_state_of_an_earlier_version_still_loads(tmp_path):
    first, kept = training(tmp_path, 1)
    first.run(2, progress=False)
    content = named_arrays.unpack(first.checkpoint.read_bytes(), "essai")
    plain = named_arrays.save(content.arrays, metadata=content.texts)  # sans empreinte
    first.checkpoint.write_bytes(plain)
    second, again = training(tmp_path)
    assert second.iteration == first.iteration and values(again) == values(kept)
    second.run(3, progress=False)
    assert named_arrays.unpack(second.checkpoint.read_bytes(), "essai").sealed


@pytest.mark.parametrize("dtype", named_arrays.DTYPES.values())
def test_every_dtype_comes_back(dtype):
    pytest.importorskip("ml_dtypes")
    for shape in ((), (0, 3), (2, 3)):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        fortran = np.array(array, order="F")
        arrays = named_arrays.unpack(named_arrays.pack({"a": fortran}, {}), "essai").arrays
        assert arrays["a"].dtype == dtype and arrays["a"].shape == shape
        assert (arrays["a"] == array).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"W": (4, 5), "b": (5,)}, r"W n’y a pas la même taille[\s\S]*\(4, 5\)[\s\S]*\(4, 3\)"),
        ({"W": (4, 3), "b": (3, 1)}, r"b n’y a pas"),
        ({"W": (4, 3), "c": (3,)}, r"W, c[\s\S]*W, b"),
        ({"W": (4, 3)}, r"Reçu[\s\S]*W, b"),
        ({"W": (4, 3), "b": (3,), "c": ()}, r"W, b, c[\s\S]*Reçu"),
    ],
)
def test_the_state_of_another_model_is_refused_and_named(tmp_path, change, said):
    training(tmp_path, 1)[0].run(1, progress=False)
    others = [engine.shared(np.zeros(n, "float32"), name=name) for name, n in change.items()]
    with pytest.raises(DataError, match=said):
        Training(None, 4, None, others, checkpoint=tmp_path / "état.safetensors")
    assert not any(other.get_value().any() for other in others)


def test_another_dtype_is_refused(tmp_path):
    training(tmp_path, 1)[0].run(1, progress=False)
    others = [engine.shared(v.get_value().astype("float64"), name=v.name) for v in parameters(0)]
    with pytest.raises(DataError, match=r"float64[\s\S]*float32"):
        Training(None, 4, None, others, checkpoint=tmp_path / "état.safetensors")


def test_two_trainings_on_one_file_do_not_erase_each_other(tmp_path):
    (first, _), (second, _) = training(tmp_path, 1), training(tmp_path, 2)
    first.run(1, progress=False)
    kept = first.checkpoint.read_bytes()
    with pytest.raises(DataError, match="un autre entraînement"):
        second.run(1, progress=False)
    assert first.checkpoint.read_bytes() == kept
    second.checkpoint = str(tmp_path / "autre.safetensors")  # ce que dit l’erreur
    second.run(2, progress=False)
    first.run(2, progress=False)
    assert training(tmp_path)[0].iteration == first.iteration == second.iteration


def test_a_state_that_was_deleted_is_written_again(tmp_path):
    run, _ = training(tmp_path, 1)
    run.run(1, progress=False)
    run.checkpoint.unlink()
    run.run(2, progress=False)
    assert training(tmp_path)[0].iteration == run.iteration


def test_a_full_disk_is_told_and_loses_nothing(tmp_path, monkeypatch):
    run, _ = training(tmp_path, 1)
    run.run(1, progress=False)
    kept = run.checkpoint.read_bytes()

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match="pas pu être écrit"):
            run.run(3, progress=False)
    assert run.checkpoint.read_bytes() == kept
    run.run(3, progress=False)
    assert training(tmp_path)[0].iteration == 12


# ---- tué au milieu -----------------------------------------------------------------------

ENDLESS = {
    "un entraînement": """
import numpy as np
from engine import shared
from engine.nn import EarlyStopping, Training
w = shared(np.zeros(200_000), name="w")
def step(k): w.set_value(w.get_value() + 1)
run = Training(lambda k: step(k) or 0.0, 1, lambda: 0.5, [w], EarlyStopping(1e9), place / "f")
print("ok", flush=True)
run.run(10**9, progress=False)
""",
    "le zoo": """
import numpy as np
from course import zoo
from engine import shared
w = shared(np.zeros(200_000), name="w")
print("ok", flush=True)
for k in range(2, 10**9):
    w.set_value(np.full(200_000, float(k % 1000)))
    zoo.save("m", [w], {"k": k % 1000}, place)
""",
    "la progression": """
from types import SimpleNamespace as N
from course.grading import progress
print("ok", flush=True)
for k in range(1, 10**9):
    progress.record("01_x", N(outcomes=[N(earned=k, hidden=False)], question=f"q{k % 50}"))
""",
}


def launch(text, folder):
    program = f"import pathlib\nplace = pathlib.Path({str(folder)!r})\n{text}"
    variables = {**os.environ, progress.VARIABLE: str(folder / "points.json")}
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", program], env=variables, cwd=root, stdout=subprocess.PIPE
    )


def check_training(folder):
    w = engine.shared(np.zeros(200_000), name="w")
    run = Training(None, 1, None, [w], checkpoint=folder / "f")
    assert (w.get_value() == run.iteration).all()
    return run.iteration


def check_zoo(folder):
    w = engine.shared(np.zeros(200_000), name="w")
    card = zoo.load("m", [w], folder)
    assert (w.get_value() == card.about["k"]).all() and list(zoo.cards(folder)) == ["m"]
    return card.about["k"]


def check_progress(folder):
    return sum(map(sum, (points.values() for points in progress.load().values())))


CHECKS = dict(zip(ENDLESS, (check_training, check_zoo, check_progress), strict=True))


@POSIX
@pytest.mark.parametrize("what", ENDLESS)
def test_a_program_killed_while_it_writes_loses_nothing(what, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "points.json"))
    seen, rng = [], np.random.default_rng(0)
    for _ in range(4):
        program = launch(ENDLESS[what], tmp_path)
        assert program.stdout.readline() == b"ok\n"
        time.sleep(0.15 + 0.1 * rng.random())
        program.send_signal(signal.SIGKILL)
        program.wait()
        program.stdout.close()
        seen.append(CHECKS[what](tmp_path))
    assert seen[0] > 0 and not capsys.readouterr().err
    if what == "un entraînement":
        assert seen == sorted(seen)  # chacun a repris où le précédent était tombé
    with locked(tmp_path / "f"), locked(tmp_path / "SHA256SUMS"), locked(tmp_path / "points.json"):
        pass  # le verrou d’un programme tué est rendu, ses brouillons sont ôtés
    drafts = [path.name for path in tmp_path.iterdir() if path.name.endswith((".tmp", ".verrou"))]
    assert all(name.startswith("m.safetensors") for name in drafts)


@POSIX
def test_a_killed_holder_gives_the_lock_back(tmp_path):
    text = "import time\nfrom engine.io.files import locked\nwith locked(place / 'f'):\n"
    text += "    print('ok', flush=True)\n    time.sleep(60)"
    program = launch(text, tmp_path)
    assert program.stdout.readline() == b"ok\n"
    program.kill()
    program.wait()
    program.stdout.close()
    before = time.perf_counter()
    with locked(tmp_path / "f"):
        assert time.perf_counter() - before < 2


# ---- à plusieurs -------------------------------------------------------------------------


def test_a_lock_lets_one_in(tmp_path):
    text = """
from engine.io.files import locked, write_whole
for _ in range(50):
    with locked(place / "n"):
        n = int((place / "n").read_text()) if (place / "n").exists() else 0
        write_whole(place / "n", str(n + 1).encode())
"""
    programs = [launch(text, tmp_path) for _ in range(3)]
    for program in programs:
        program.communicate()
    assert (tmp_path / "n").read_text() == "150"
    assert [path.name for path in tmp_path.iterdir()] == ["n"]


def test_a_disk_without_locks_still_writes(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(descriptor, operation):
        raise OSError(files.NO_LOCKS[0], "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path / "f"):
        write_whole(tmp_path / "f", b"1")
    assert (tmp_path / "f").read_bytes() == b"1"


def test_windows_waits_for_a_reader_to_finish(monkeypatch):
    monkeypatch.setattr(files, "PAUSE", 0)
    monkeypatch.setattr(files.sys, "platform", "win32")

    class Draft:
        refusals = 3

        def replace(self, path):
            if self.refusals:
                self.refusals -= 1
                raise PermissionError(5, "Access is denied")
            self.renamed = path

    draft = Draft()
    files._rename(draft, "f")
    assert draft.renamed == "f"
