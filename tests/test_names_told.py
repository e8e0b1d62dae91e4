"""Ce que les textes nomment existe : fichiers, modules, commandes, nombres de lignes.

Un texte : le README, les crédits, le glossaire, les carnets, les docstrings du moteur et du cours.
"""

import ast
import importlib
import json
import re
from importlib.util import find_spec

import pytest

from course import ROOT
from engine import sizes

NOTEBOOKS = sorted(
    path
    for folder in ("notebooks", "solutions", "exercises")
    for path in (ROOT / folder).glob("*.ipynb")
)
PAGES = sorted(
    path for glob in ("*.md", "notebooks/*.md", "datasets/*/*.md") for path in ROOT.glob(glob)
)
PROGRAMS = sorted(path for house in ("engine", "course") for path in (ROOT / house).rglob("*.py"))
TOPS = "engine|course|tests|notebooks|solutions|exercises|datasets|docs|verrous"
NOT_FILES = ("NN", "NOM", "*", "<", "{")  # NN_nom.ipynb : à remplacer par celui que l’on écrit


def text_of(path):
    """Ce qu’un lecteur lit : la page, les cellules et leurs sorties, les docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        outputs = ["".join(out.get("text", "")) for c in cells for out in c.get("outputs", ())]
        return "\n\n".join(["".join(cell["source"]) for cell in cells] + outputs)
    if path.suffix == ".py":
        holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, holders)]
        return "\n\n".join(ast.get_docstring(node) or "" for node in nodes)
    return text


def code_of(path):
    """L’arbre d’un programme, ou des cellules d’un carnet, ses commandes magiques ôtées."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        lines = [line for cell in cells for line in "".join(cell).splitlines()]
        text = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    return ast.parse(text)


def name_of(path):
    return str(path.relative_to(ROOT))


def exists(dotted):
    """Vrai si `dotted` est un module, ou un nom que l’on atteint depuis un module."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS, *PROGRAMS], ids=name_of)
def test_what_a_text_names_exists(path):
    text = text_of(path)
    files = re.findall(rf"`((?:{TOPS})/[^`\s]*)`", text)
    files = [name for name in files if not any(mark in name for mark in NOT_FILES)]
    assert not [name for name in files if not (ROOT / name).exists()]
    commands = re.findall(r"python -m ((?:engine|course|tests)[\w.]*\w)", text)
    assert not [name for name in commands if find_spec(name) is None]
    dotted = re.findall(r"`((?:engine|course)(?:\.\w+)+)", text)
    assert not [name for name in dotted if not exists(name)]


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=name_of)
def test_what_is_said_to_be_in_a_file_is_there(path):
    said = re.findall(r"`(\w+)` ?\(`((?:engine|course)/[^`]+\.py)`\)", text_of(path))
    assert not [(n, file) for n, file in said if n not in (ROOT / file).read_text("utf-8")]


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *sorted((ROOT / "course").rglob("*.py"))], ids=name_of
)
def test_the_course_uses_public_names_of_the_engine(path):
    used = []
    for node in ast.walk(code_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "engine":
            used += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            used.append(ast.unparse(node))
    used = [name for name in used if name.startswith("engine.")]
    assert not [name for name in used if any(part.startswith("_") for part in name.split("."))]


def test_the_map_of_the_readme_has_every_folder():
    readme = text_of(ROOT / "README.md")
    rows = "\n".join(line for line in readme.splitlines() if line.startswith("| `"))
    tops = {entry.parent.name for entry in ROOT.glob("*/*") if entry.parent.name in TOPS.split("|")}
    named = {folder.name for folder in sizes.folders()} | tops - {"docs"}
    assert not [name for name in named if f"`{name}/`" not in rows]


@pytest.mark.parametrize("page", ["README.md", "notebooks/00_bienvenue.ipynb"])
def test_the_core_is_as_short_as_is_told(page):
    (told,) = re.findall(r"[Cc]œur, moins de ([\d\u202f]+) lignes de code", text_of(ROOT / page))
    assert int(told.replace("\u202f", "")) == sizes.CORE_BUDGET


def test_the_engine_is_as_long_as_is_told():
    (told,) = re.findall(r"moteur entier, environ ([\d\u202f]+),", text_of(ROOT / "README.md"))
    _, code, _ = sizes.folder_size(sizes.ROOT)
    assert round(code, -3) - 1000 <= int(told.replace("\u202f", "")) <= round(code, -3) + 1000
