"""Abîmer des fichiers : `python -m tests.io.bit_flips [nombre] [graine]`.

Chaque format du cours est écrit, puis abîmé de toutes les façons : un bit retourné, le fichier
coupé, prolongé, mis à zéro par endroits, remplacé par un autre. Relu, il est le même, ou refusé
avec un mot ; jamais autre chose en silence.

Ordre de lecture : `Format`, `FORMATS`, `damages`, `outcome`, `campaign`.
"""

import contextlib
import gzip
import io
import os
import random
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

import engine
from course import zoo
from course.data.shipped import DATASETS, SUMS, read_shipped
from course.grading import progress
from engine.backends import cache
from engine.core.errors import EngineError
from engine.nn import Training

ARCHIVE = io.BytesIO()
with zipfile.ZipFile(ARCHIVE, "w") as archive:
    archive.writestr("w", "1")
FOREIGN = {
    "vide": b"",
    "texte": b"un carnet de notes",
    "JSON": b'{"a": [1, 2]}',
    "puits": b"[" * 100_000,
    "image": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "archive": ARCHIVE.getvalue(),
    "gzip": gzip.compress(b"1"),
    "un": b"\x01" * 4096,
}


class Format(NamedTuple):
    """Un format : `write(dossier)` rend le fichier à abîmer, `read(dossier)` ce qu’il contient
    (None, avec un mot sur la sortie d’erreur : refusé) ; `twin(dossier)` écrit un autre fichier du
    même format, qui n’est pas à sa place sous ce nom.
    """

    write: object
    read: object
    twin: object = None


def parameters(seed, size=3):
    rng = np.random.default_rng(seed)
    shapes = {"W": (4, size), "b": (size,)}
    return [engine.shared(rng.normal(size=n).astype("float32"), name=k) for k, n in shapes.items()]


def values(variables):
    return tuple(variable.get_value().tobytes() for variable in variables)


# ---- les formats -------------------------------------------------------------------------


def training(folder, seed=None, size=3):
    kept = parameters(seed or 0, size)
    path = folder / "état.safetensors"
    return Training(lambda k: 0.25, 4, lambda: 0.5, kept, checkpoint=path), kept


def write_state(folder, size=3):
    training(folder, 1, size)[0].run(2, progress=False)
    return folder / "état.safetensors"


def read_state(folder):
    run, kept = training(folder)
    return values(kept), run.iteration, run.history


def write_model(folder, name="chiffres", seed=1):
    zoo.save(name, parameters(seed), {"erreur": 0.5}, folder)
    return folder / f"{name}.safetensors"


def read_model(folder):
    kept = parameters(0)
    return zoo.load("chiffres", kept, folder).about["erreur"], values(kept)


def copied(source):
    def write(folder):
        for name in (source.name, SUMS):
            (folder / name).write_bytes((source.parent / name).read_bytes())
        return folder / source.name

    return write


SHIPPED = min((DATASETS / "modeles").glob("*.safetensors"), key=lambda path: path.stat().st_size)
LABELS = DATASETS / "mnist" / "t10k-labels-idx1-ubyte.gz"


def read_shipped_model(folder):
    weights = zoo.weights(SHIPPED.stem, folder)
    return {name: array.tobytes() for name, array in weights.items()}


def write_progress(folder):
    report = SimpleNamespace(question="q1", outcomes=[SimpleNamespace(earned=2, hidden=False)])
    with where(folder):
        progress.record("01_regle_de_chainage", report)
    return folder / "progression.json"


def read_progress(folder):
    with where(folder):
        return progress.load() or None


@contextlib.contextmanager
def where(folder):
    before = os.environ.get(progress.VARIABLE, progress.NONE)
    os.environ[progress.VARIABLE] = str(folder / "progression.json")
    try:
        yield
    finally:
        os.environ[progress.VARIABLE] = before


def write_kernel(folder, name="boucle", content=b"code machine" * 20):
    with engine.config.change_flags(cache_dir=str(folder)):
        cache.write(name, "0" * 20, content)
    return folder / f"{name}_{'0' * 20}.noyau"


def read_kernel(folder):
    with engine.config.change_flags(cache_dir=str(folder)):
        return cache.read("boucle", "0" * 20) or None


FORMATS = {
    "état d’un entraînement": Format(write_state, read_state, lambda f: write_state(f, size=5)),
    "modèle du zoo": Format(write_model, read_model, lambda f: write_model(f, "lettres", 2)),
    "modèle livré": Format(copied(SHIPPED), read_shipped_model),
    "jeu de données livré": Format(copied(LABELS), lambda f: read_shipped(f / LABELS.name)),
    "empreintes livrées": Format(
        lambda f: copied(LABELS)(f).with_name(SUMS), lambda f: read_shipped(f / LABELS.name)
    ),
    "progression": Format(write_progress, read_progress),
    "noyau compilé": Format(write_kernel, read_kernel, lambda f: write_kernel(f, "autre", b"ici")),
}


# ---- les dommages ------------------------------------------------------------------------


def flipped(data, rng):
    place = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def damages(data, twin, n_flips, seed):
    """Couples (nature du dommage, octets)."""
    rng = random.Random(seed)
    for _ in range(n_flips):
        yield "bit", flipped(data, rng)
    size = len(data)
    for length in {0, 1, 2, 7, 8, 9, 31, 32, 33, size // 4, size // 2, size - 8, size - 1}:
        if 0 <= length < size:
            yield "coupé", data[:length]
    for start in (0, 8, size // 3, max(0, size - 64)):
        hole = bytearray(data)
        hole[start : start + 64] = bytes(len(hole[start : start + 64]))
        yield "zéros", bytes(hole)
    yield "prolongé", data + data[-16:]
    yield "doublé", data + data
    for content in FOREIGN.values():
        yield "étranger", content
    if twin is not None:
        yield "jumeau", twin


def outcome(read, folder, truth):
    """« same », « refused » (avec un mot ; un noyau se recompile sans rien dire) ou « wrong »."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = read(folder)
    except EngineError as error:
        return "refused" if error.expected and error.received else "wrong"
    except Exception:
        return "wrong"
    if found is None:
        return "refused"
    return "same" if found == truth else "wrong"


def campaign(form, n_flips=200, seed=0):
    """Compte, par nature de dommage, ce qu’il advient de la lecture."""
    counts = Counter()
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as other:
        folder = Path(place)
        path = form.write(folder)
        data, truth = path.read_bytes(), form.read(folder)
        assert form.read(folder) == truth
        twin = form.twin(Path(other)).read_bytes() if form.twin else None
        for kind, content in damages(data, twin, n_flips, seed):
            path.write_bytes(content)
            if content != data:
                counts[kind, outcome(form.read, folder, truth)] += 1
    return counts


def main(n_flips=200, seed=0):
    """Le tableau : une ligne par format et par dommage."""
    total = Counter()
    print(f"{'format':26}{'dommage':10}{'même':>7}{'refusé':>8}{'faux':>6}")
    for name, form in FORMATS.items():
        counts = campaign(form, n_flips, seed)
        for kind in dict.fromkeys(kind for kind, _ in counts):
            row = [counts[kind, result] for result in ("same", "refused", "wrong")]
            total.update(dict(zip(("same", "refused", "wrong"), row, strict=True)))
            print(f"{name:26}{kind:10}{row[0]:7}{row[1]:8}{row[2]:6}")
    print(f"{'en tout':36}{total['same']:7}{total['refused']:8}{total['wrong']:6}")
    return total["wrong"]


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
