"""Les étages du moteur : un dossier n’importe que ceux que sa docstring nomme, et jamais en rond.

Tout se lit dans les dossiers : la ligne « Importe : … » de chaque `__init__.py`, et les imports
eux-mêmes. Le cœur tient seul, en un nombre de lignes compté.
"""

import ast
import graphlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from course import data, grading, viz
from engine import nn, sizes, tensor

ENGINE = Path(engine.__file__).parent
COURSE = ENGINE.parent / "course"
FOLDERS = [folder.name for folder in sizes.folders()]
SOURCES = sorted(ENGINE.rglob("*.py"))
EVERYWHERE = [*SOURCES, *sorted(COURSE.rglob("*.py"))]
NEVER_A_SIBLING = {"ops": "arguments"}  # aucun fichier n’y importe son voisin, sauf celui-là


def name_of(path):
    return str(path.relative_to(ENGINE.parent))


def allowed(folder):
    """Les dossiers que la docstring d’un dossier dit qu’il importe."""
    text = ast.get_docstring(ast.parse((ENGINE / folder / "__init__.py").read_text("utf-8")))
    said = re.search(r"^Importe\s: (.*?)\.(?:\s|$)", text, re.MULTILINE)
    assert said, f"engine/{folder}/__init__.py ne dit pas ce qu’il importe"
    return set(said[1].split(", ")) & set(FOLDERS)


def imports(path):
    """Les modules de `engine` et de `course` qu’un fichier importe, en listes de noms."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".") for name in names if name.split(".")[0] in ("engine", "course"))


def folder_of(parts):
    """Le dossier du moteur où mène un import ; un nom public y est suivi jusqu’au sien."""
    name = parts[1] if len(parts) > 1 else ""
    return engine._PLACES.get(name, name).split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_arrow_climbs(path):
    here = path.relative_to(ENGINE).parts
    if len(here) == 1:  # les visages : `engine/printing.py`, `engine/gradient.py`
        return
    known = allowed(here[0])
    for parts in imports(path):
        assert parts[0] == "engine", f"{name_of(path)} importe le cours : {'.'.join(parts)}"
        there = folder_of(parts)
        if there == here[0]:
            sibling = NEVER_A_SIBLING.get(there)
            fine = sibling is None or path.name == "__init__.py" or parts[2] == sibling
            assert fine, f"{name_of(path)} importe son voisin {parts[2]}"
        else:
            said = ", ".join(sorted(known)) or "rien"
            assert there in known, f"{name_of(path)} importe {there} ; {here[0]} importe {said}"


def test_files_do_not_go_round():
    """Chaque fichier ne dépend que de fichiers qui ne dépendent pas de lui."""
    modules = {
        ".".join(path.relative_to(ENGINE.parent).with_suffix("").parts): path for path in SOURCES
    }
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    arrows = {}
    for name, path in modules.items():
        found = ([".".join(parts), ".".join(parts[:-1])] for parts in imports(path))
        targets = (next((one for one in names if one in modules), None) for names in found)
        arrows[name] = {one for one in targets if one not in (None, name, "engine")}
    graphlib.TopologicalSorter(arrows).prepare()  # un rond lève CycleError, et le dit


def test_folders_do_not_go_round():
    graphlib.TopologicalSorter({folder: allowed(folder) for folder in FOLDERS}).prepare()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_uses_all_it_says_it_imports(folder):
    used = {folder_of(parts) for path in (ENGINE / folder).rglob("*.py") for parts in imports(path)}
    assert allowed(folder) <= used


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_name_is_assigned_into_another_module(path):
    """Un fichier ne pose pas de nom dans un module d’en dessous : il s’y déclare."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    for node in tree.body:  # au premier niveau : à l’import
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in [t for item in targets for t in getattr(item, "elts", [item])]:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                assert target.value.id not in modules, (
                    f"ligne {node.lineno} : {ast.unparse(target)}"
                )


@pytest.mark.parametrize("path", EVERYWHERE, ids=name_of)
def test_no_import_inside_a_function(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                assert not isinstance(node, ast.Import | ast.ImportFrom), (
                    f"{path.name}, ligne {node.lineno} : import dans une fonction"
                )


LAZY = {"engine/__init__.py", "engine/tensor/__init__.py", "engine/rewriting/__init__.py"}


@pytest.mark.parametrize("path", [p for p in EVERYWHERE if p.name == "__init__.py"], ids=name_of)
def test_init_files_only_hand_names_on(path):
    """Des imports, un texte ; trois visages font venir leurs noms au premier usage."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        hands_on = isinstance(node, ast.Import | ast.ImportFrom) or is_text or is_all
        names_all = ast.unparse(node) == "globals().update(ELEMENTWISE)"
        assert hands_on or names_all or name_of(path) in LAZY, f"ligne {node.lineno}"


@pytest.mark.parametrize("face", [engine, data, grading, nn, tensor, viz], ids=lambda f: f.__name__)
def test_no_module_bears_the_name_of_a_public_function(face):
    folder = Path(face.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir()}
    public = {name for name in vars(face) if inspect.isroutine(getattr(face, name))}
    assert not modules & public


# ---- le cœur ------------------------------------------------------------------------------


def test_the_core_is_read_in_a_weekend(tmp_path):
    _, code, _ = sizes.folder_size(ENGINE / "core")
    assert code <= sizes.CORE_BUDGET, f"{code} lignes : une idée du cœur peut vivre à côté"
    grown = shutil.copytree(ENGINE / "core", tmp_path / "core")
    with open(grown / "graph.py", "a", encoding="utf-8") as file:
        file.writelines(f"x{k} = {k}\n" for k in range(200))
    assert sizes.folder_size(grown)[1] == code + 200 > sizes.CORE_BUDGET


ALONE = """
import sys

HIDDEN = ("numba", "llvmlite", "scipy", "matplotlib", "IPython")


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Hide())
entered = set()


def watch(frame, event, argument):
    if "engine" in frame.f_code.co_filename and not frame.f_code.co_name.startswith("<module"):
        entered.add(frame.f_code.co_filename)


from engine import core

x = core.TensorType("float64")("x")
sys.setprofile(watch)
f = core.function([x], core.grad(core.exp(core.sin(x**2)), x))
value = float(f(0.5))
sys.setprofile(None)
print(value)
print(len([name for name in entered if "core" in name]))
print(*sorted(name for name in sys.modules if name.split(".")[0] == "engine"))
"""


def test_the_core_stands_alone(tmp_path):
    """Copié seul, sans Numba ni SciPy : exp(sin x²) se construit, se dérive, se compile."""
    shutil.copytree(ENGINE / "core", tmp_path / "engine" / "core")
    shutil.copy(ENGINE / "__init__.py", tmp_path / "engine")
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    value, files, modules = done.stdout.splitlines()
    assert abs(float(value) - 1.2408826091672372) < 1e-12  # exp(sin x²) cos(x²) 2x, par NumPy
    assert int(files) <= 20
    assert all(name == "engine" or name.startswith("engine.core") for name in modules.split())


def test_importing_the_engine_costs_little():
    code = "import sys, engine; print(*(n for n in sys.modules if n.startswith('engine')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["engine"]


def test_the_core_is_read_in_the_order_it_says():
    """Chaque fichier du cœur n’a besoin que de ceux que la docstring nomme avant lui."""
    text = ast.get_docstring(ast.parse((ENGINE / "core" / "__init__.py").read_text("utf-8")))
    steps = "".join(re.findall(r"^\d\. .*\n(?:   .*\n)*", text, re.MULTILINE))
    order = re.findall(r"`(\w+)`", steps)
    files = {path.stem for path in (ENGINE / "core").glob("*.py")} - {"__init__"}
    assert set(order) == files and len(order) == len(files)
    for position, name in enumerate(order):
        needed = {parts[2] for parts in imports(ENGINE / "core" / f"{name}.py")}
        later = needed - set(order[:position])
        assert not later, f"{name} a besoin de {', '.join(later)}, qui vient après"
