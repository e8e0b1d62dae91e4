"""Les épreuves des autres : la suite de Lasagne, ou celle de Keras 1.2, sur ce moteur.

    python -m tests.programs.foreign lasagne DOSSIER [options de pytest]
    python -m tests.programs.foreign keras DOSSIER [options de pytest]

DOSSIER est une copie de leur dépôt (Lasagne, branche master ; Keras, étiquette 1.2.2). Elle est
recopiée, corrigée de ce que Python, NumPy et pytest ont changé depuis (`PATCHES`), puis sa suite
est lancée, `import theano` trouvant ce moteur et rien de plus. La commande imprime combien passent
et échouent, range chaque échec d’après `KNOWN` et sort avec 1 s’il en reste. Il faut `mock` pour
l’une, `h5py`, `PyYAML` et `six` pour l’autre, dans le dossier que nomme `FOREIGN_PACKAGES`.

TensorFlow n’est pas là : les épreuves de Keras qui comparent deux dos de calcul comparent celui-ci
à lui-même ; ses convolutions, où TensorFlow ne retourne pas les filtres, reçoivent des filtres
retournés.

`foreign_plugin` prépare pytest.
"""

import collections
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "lasagne": ["lasagne/tests", "-o", "python_files=test*py"],
    "keras": [
        "tests",
        *("--ignore=tests/keras/datasets", "--ignore=tests/keras/test_multiprocessing.py"),
    ],
}
PATCHES = {  # suite : (fichier, ce qui y est écrit, ce qui y est mis) ; d’autres âges
    "lasagne": [
        ("lasagne/conftest.py", "(path, config)", "(collection_path, config)"),
        ("lasagne/conftest.py", "path.fnmatch(ignore)", "collection_path.match(ignore)"),
        ("lasagne/layers/special.py", "-1, 1, grid_size)", "-1, 1, int(grid_size))"),
        ("lasagne/tests/layers/test_conv.py", "output[slices]", "output[tuple(slices)]"),
        ("lasagne/tests/layers/test_conv.py",
         "output[[slice(None, None, factor) for factor in factors]]",
         "output[tuple(slice(None, None, factor) for factor in factors)]"),
    ],
    "keras": [("keras/utils/np_utils.py", "kernel[slices]", "kernel[tuple(slices)]")],
}  # fmt: skip
SPARSE = "les matrices creuses ne sont pas du cours"
TENSORFLOW = "l’épreuve est celle de TensorFlow"
PYTHON = "Python, NumPy, h5py ou scikit-learn d’un autre âge"
KNOWN = {  # suite : épreuve -> pourquoi elle n’est pas la nôtre, ou le choix fait ici
    "lasagne": {
        "*test_multiclass_hinge_loss*": "relu d’un tableau NumPy y rend un tableau, par accident",
        "*test_get_or_compute_grads*": "dériver un coût entier est refusé ici, et l’erreur le dit",
    },
    "keras": {
        "*test_batch_dot_shape*": TENSORFLOW,
        "*test_ctc": f"sa première moitié : {TENSORFLOW}",
        "*test_ctc_decode*": TENSORFLOW,
        "*sparse*": SPARSE,
        "*test_regularizers*": "MNIST y est téléchargé",
        "*test_tokenizer*": PYTHON,
        "*test_elu": "la tolérance, 1e-7, est de 0,8 ulp ; expm1 est ici à 1,2 ulp",
    },
}


def main(suite, folder, *options):
    """Lance une suite ; rend le nombre d’échecs que `KNOWN` n’explique pas."""
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / suite
        shutil.copytree(folder, copy)
        for name, before, after in PATCHES[suite]:
            text = (copy / name).read_text(encoding="utf-8")
            (copy / name).write_text(text.replace(before, after), encoding="utf-8")
        found = _run(suite, copy, options)
    counts = collections.Counter(state for _, state in found)
    print(f"{suite} : " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    ours = 0
    for name, state in found:
        if state == "échouées":
            known = KNOWN[suite].items()
            reason = next((why for pattern, why in known if fnmatch.fnmatch(name, pattern)), None)
            ours += reason is None
            print(f"  {name} : {reason or 'À NOUS'}")
    return ours


def _run(suite, copy, options):
    """Lance pytest dans un autre processus ; rend les (épreuve, état)."""
    report = copy / "report.xml"
    places = [str(ROOT), str(copy), os.environ.get("FOREIGN_PACKAGES", "")]
    environment = os.environ | {
        "FOREIGN": suite,
        "HOME": str(copy),  # Keras y écrit ses réglages
        "KERAS_BACKEND": "theano",
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.programs.foreign_plugin", "-p"]
    command += ["no:cacheprovider", "-o", "addopts=", f"--junitxml={report}"]
    command += ["--continue-on-collection-errors", *TESTS[suite], *options]
    subprocess.run(command, cwd=copy, env=environment, check=False)
    states = {"failure": "échouées", "error": "échouées", "skipped": "passées outre"}
    return [
        (
            f"{case.get('classname')}.{case.get('name')}",
            next((states[e.tag] for e in case if e.tag in states), "réussies"),
        )
        for case in xml.etree.ElementTree.parse(report).iter("testcase")
    ]


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
