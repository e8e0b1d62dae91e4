"""Faire tourner un programme ou un notebook écrit pour Theano : `run`, `main`."""

import contextlib
import importlib
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np

from engine.compat.old_modules import FINDER, install, uninstall
from engine.core.errors import EngineError
from engine.core.settings import config

USAGE = "python -m engine.compat programme.py [arguments], ou un notebook .ipynb"
NUMPY_NAMES = {  # ce que NumPy appelait encore ainsi quand ces programmes ont été écrits
    "float": float, "int": int, "object": object, "str": str, "float_": np.float64,
    "product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all, "sometrue": np.any,
    "asscalar": lambda array: array.item(), "Inf": np.inf, "NaN": np.nan,
}  # fmt: skip


@contextlib.contextmanager
def _old_world(path, arguments):
    """Les arguments, le dossier du programme, les réglages, les anciens noms de NumPy ; tout est
    remis ensuite.
    """
    folder = str(Path(path).resolve().parent)
    before = sys.argv, list(sys.path), set(sys.modules)
    added = [name for name in NUMPY_NAMES if name not in vars(np)]
    installed = FINDER in sys.meta_path
    sys.argv, sys.path[:0] = [str(path), *arguments], [folder]
    for name in added:
        setattr(np, name, NUMPY_NAMES[name])
    install()
    try:
        with config.change_flags():
            yield
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
        for name in added:
            delattr(np, name)
        for name in set(sys.modules) - before[2]:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder + os.sep):
                del sys.modules[name]
        if not installed:
            uninstall()


def run(path, arguments=()):
    """Fait tourner un programme ou un notebook écrit pour Theano.

    Paramètres
        path : fichier `.py` ou `.ipynb`.
        arguments : ce que le programme lira dans `sys.argv[1:]`.

    Renvoie
        Le dictionnaire des noms que le programme laisse.

    Lève
        EngineError : le programme est en Python 2, ou un notebook est demandé sans IPython.
        Sinon, ce que lève le programme.
    """
    with _old_world(path, arguments):
        if Path(path).suffix == ".ipynb":
            return _run_notebook(path)
        try:
            return runpy.run_path(str(path), run_name="__main__")
        except SyntaxError as error:
            if "print" not in str(error) and "except" not in str(error):
                raise
            raise EngineError(
                f"{Path(path).name} est écrit en Python 2",
                expected="un programme en Python 3",
                received=f"ligne {error.lineno} : {(error.text or '').strip()}",
                hint="convertissez-le d'abord, avec 2to3 par exemple",
            ) from error


def _run_notebook(path):
    """Exécute les cellules de code dans un interpréteur IPython, jusqu’à la première erreur."""
    try:
        shells = importlib.import_module("IPython.terminal.interactiveshell")
        settings = importlib.import_module("traitlets.config").Config()
    except ImportError as error:
        raise EngineError("IPython manque, pour exécuter un notebook") from error
    settings.HistoryManager.enabled = False
    shell = shells.TerminalInteractiveShell.instance(config=settings)
    try:
        for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                shell.run_cell("".join(cell["source"]), store_history=True).raise_error()
        return dict(shell.user_ns)
    finally:
        shells.TerminalInteractiveShell.clear_instance()


def main(arguments):
    """La commande : `python -m engine.compat programme.py [arguments]`."""
    if not arguments:
        print(USAGE)
        return
    run(arguments[0], arguments[1:])
