"""L’exemple à convolutions de la conférence, et le nôtre : aussi court, et il apprend.

`lecture/lasagne.txt` est l’exemple de la conférence (G. Marceau Caron, « En pratique :
bibliothèques », École d’été francophone en apprentissage profond, 2017), qui suppose les données
lues ; `lecture/lenet.py`, qui les lit, est écrit avec `engine.nn`. Le compte des lignes :
`python -m tests.nn.test_lenet`.
"""

import runpy
from pathlib import Path

import numpy as np

import course.data
from course.data import MNIST, Split, mnist

FOLDER = Path(__file__).with_name("lecture")
THEIRS, OURS = FOLDER / "lasagne.txt", FOLDER / "lenet.py"


def code_lines(path):
    """Les lignes d’un programme, sans les vides, les commentaires ni la phrase de titre."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", '"""'))]


def report():
    """Une phrase : combien de lignes chacun."""
    theirs, ours = (len(code_lines(path)) for path in (THEIRS, OURS))
    return f"lignes de code : {theirs} pour l’exemple de la conférence, {ours} pour le nôtre"


def test_ours_is_no_longer(capsys):
    with capsys.disabled():
        print("\n" + report())
    assert len(code_lines(OURS)) <= len(code_lines(THEIRS))
    assert max(map(len, OURS.read_text(encoding="utf-8").splitlines())) <= 100


def test_the_program_learns(monkeypatch, capsys):
    """Trois époques sur 4 000 images de MNIST : la perte tombe, et l’erreur de test aussi."""
    train, valid, test = mnist()
    few = MNIST(Split(train.x[:4000], train.y[:4000]), valid, Split(test.x[:1000], test.y[:1000]))
    monkeypatch.setattr(course.data, "mnist", lambda: few)
    program = runpy.run_path(str(OURS))
    printed = capsys.readouterr().out.splitlines()
    first, *_, last = (float(line.split()[-1]) for line in printed[:3])
    errors = np.mean(program["predict_fn"](few.test.x) != few.test.y)
    with capsys.disabled():
        print(f"\npertes : {first:.3f} puis {last:.3f} ; erreur de test : {errors:.1%}")
    assert last < first / 2
    assert errors < 0.12
    again = program["predict_fn"](few.test.x)
    np.testing.assert_array_equal(again, program["predict_fn"](few.test.x))


if __name__ == "__main__":
    print(report())
