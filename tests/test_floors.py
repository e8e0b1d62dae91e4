"""Les étages du moteur : un fichier n’importe que des étages inférieurs (ou à sa gauche, au sien).

L’ordre est lu dans les imports eux-mêmes. Une flèche qui monte est une faute d’architecture, même
si le programme marche.
"""

import ast
import inspect
from pathlib import Path

import pytest

import engine
from course import data, grading, viz
from engine import nn, sizes, tensor

ENGINE = Path(__file__).resolve().parents[1] / "engine"

# De bas en haut ; sur un étage, de gauche à droite. Un dossier compte pour un nom.
FLOORS = (
    (
        *("files", "turns", "typography", "errors", "named_arrays", "contract", "dtypes"),
        *("settings", "trace"),
    ),
    ("graph", "types", "sharedvalue", "updates", "fgraph", "polynomials", "scalars", "printing"),
    ("ops",),
    ("tensor",),
    ("dead_gradients", "gradient", "exact_types"),
    ("control",),
    ("rewriting",),
    ("backends",),
    ("modes", "profiling", "sections", "emission", "compiler", "debug"),
    ("testing",),
    (
        *("nn", "data", "book", "drawing", "viz", "d3viz", "grading", "zoo", "compat", "io"),
        *("cache", "sizes"),
    ),
)
RANK = {name: (floor, rank) for floor, row in enumerate(FLOORS) for rank, name in enumerate(row)}
NEVER_A_SIBLING = {"ops"}  # dans ces dossiers, aucun fichier n’importe son voisin
APART = {("rewriting", "backends"), ("backends", "rewriting")}  # ne se connaissent pas
SOURCES = sorted(ENGINE.rglob("*.py"))
ids = [str(path.relative_to(ENGINE)) for path in SOURCES]


def imports(tree):
    """Les modules de `engine` qu’un fichier importe, sous la forme (nom, reste)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "engine":
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine."):
            _, name, *rest = node.module.split(".")
            yield name, ".".join(rest)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "engine" or alias.name.startswith("engine."):
                    _, *rest = alias.name.split(".")
                    yield (rest[0] if rest else "tout le moteur"), ".".join(rest[1:])


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_no_arrow_climbs(path):
    here = path.relative_to(ENGINE)
    name = here.parts[0].removesuffix(".py")
    if name == "__init__":
        return
    assert name in RANK, f"{name} n'a pas d'étage : donnez-lui-en un dans FLOORS"
    is_top = RANK[name][0] == len(FLOORS) - 1
    for target, rest in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if target not in RANK:  # un nom public : `from engine import function`
            assert is_top, f"{here} importe {target} du sommet du moteur"
            continue
        assert (name, target) not in APART, f"{here} importe {target}"
        if target != name:
            assert RANK[target] < RANK[name], f"{here} importe {target}, plus haut que lui"
        elif name in NEVER_A_SIBLING and here.name != "__init__.py":
            raise AssertionError(f"{here} importe son voisin {rest}")


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_no_import_inside_a_function(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                assert not isinstance(node, ast.Import | ast.ImportFrom), (
                    f"{path.name}, ligne {node.lineno} : import dans une fonction"
                )


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=str)
def test_init_files_only_hand_names_on(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert isinstance(node, ast.Import | ast.ImportFrom) or is_text or is_all, (
            f"{path.relative_to(ENGINE)}, ligne {node.lineno} : une définition"
        )


@pytest.mark.parametrize("face", [engine, data, grading, nn, tensor, viz], ids=lambda f: f.__name__)
def test_no_module_bears_the_name_of_a_public_function(face):
    folder = Path(face.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir()}
    public = {name for name in vars(face) if inspect.isroutine(getattr(face, name))}
    assert not modules & public


def test_sizes_count_every_file():
    counted = {name for names in sizes.FLOORS.values() for name in names}
    assert counted == {name for row in FLOORS for name in row}
