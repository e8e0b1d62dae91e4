"""La typographie française, dans les carnets, les textes et les docstrings."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.typography import typeset
from course.typography.__main__ import main
from course.typography.files import (
    typeset_file,
    typeset_markdown,
    typeset_notebook,
    typeset_python,
)

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("*.md", "notebooks/*.md", "datasets/**/*.md", "docs/**/*.md")
PROGRAMS = ("engine/**/*.py", "course/**/*.py", "docs/**/*.py")
PROSE = sorted(path for glob in (*DOCUMENTS, *PROGRAMS) for path in ROOT.glob(glob))


def assert_typeset(path):
    before, after = path.read_text(encoding="utf-8"), typeset_file(path)
    if before != after:
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        advice = f"python -m course.typography {path.relative_to(ROOT)}"
        pytest.fail("\n".join([advice, *list(lines)[:12]]), pytrace=False)


def test_notebook_is_typeset(notebook_path):
    assert_typeset(notebook_path)


@pytest.mark.parametrize("path", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_prose_is_typeset(path):
    assert_typeset(path)


def shown(text):
    return text.replace("\u00a0", "_").replace("\u202f", "~")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Quoi ? Ah ! « Oui » ; non : si", "Quoi~? Ah~! «_Oui_»~; non_: si"),
        ("Quoi? Ah!", "Quoi~? Ah~!"),
        ("Exemple: ceci", "Exemple_: ceci"),
        ("l'axe, d'« x », l'`op`, l'*op*, l'$x$", "l’axe, d’«_x_», l’`op`, l’*op*, l’$x$"),
        ("`a ? b : c`?", "`a ? b : c`~?"),
        ("```python\nx = {1 : 2} # l'eau ?\n```", "```python\nx = {1 : 2} # l'eau ?\n```"),
        ("soit $f'a : x ; y$ et $$a ; b$$", "soit $f'a : x ; y$ et $$a ; b$$"),
        ("[lien](a'b ; c) https://x.fr/l'a?b :", "[lien](a'b ; c) https://x.fr/l'a?b_:"),
        ("voici ![l'image](x.png) &nbsp; <img alt='l a ;'>", None),
        ("| a | b |\n| :--- | ---: |", None),
        ("9:30, 3:4", None),
    ],
)
def test_markdown_cases(before, after):
    expected = after or before.replace("l'image", "l’image")
    assert shown(typeset_markdown(before)) == expected


def test_python_touches_docstrings_and_comments_only():
    source = (
        '"""L\'idée : simple ?\n\n>>> f("l\'eau ?")\n\'l\\\'eau ?\'\n"""\n'
        "x = \"l'eau ?\"  # l'eau ?\ny = 1  # noqa: E501\n"
    )
    expected = source.replace("L'idée : simple ?", "L’idée_: simple~?")
    assert shown(typeset_python(source)) == expected.replace("# l'eau ?", "# l’eau~?")


TEXT = st.text(alphabet="ab'«»:;?! \n\u00a0\u202f`$*()")


@given(TEXT)
def test_typesetting_twice_changes_nothing_more(text):
    for function in (typeset, typeset_markdown):
        assert function(function(text)) == function(text)


def test_fixer_rewrites_in_place(tmp_path, capsys):
    path = tmp_path / "LISEZMOI.md"
    path.write_text("Prêt ?\n", encoding="utf-8")
    main([path])
    main([path])
    assert path.read_text(encoding="utf-8") == "Prêt\u202f?\n"
    assert capsys.readouterr().out == f"{path}\n"


def test_notebook_fixer_keeps_the_bytes_of_a_right_notebook(notebook_path):
    text = notebook_path.read_text(encoding="utf-8")
    assert typeset_notebook(typeset_notebook(text)) == typeset_notebook(text)
