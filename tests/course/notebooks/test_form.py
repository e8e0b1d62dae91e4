"""La forme des carnets : cellules courtes, titres, navigation, images décrites."""

import itertools
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from course.grading.execute import normalise, text_of

LONGEST = 25  # lignes : ce qui tient dans un écran
FEWEST_WORDS = 5  # un texte alternatif est une phrase, pas un nom de fichier
MARKDOWN_CODE = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)


@pytest.fixture
def notebook(notebook_path):
    return nbformat.read(notebook_path, as_version=4)


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def html_outputs(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                yield cell.id, output.data["text/html"]


class Images(HTMLParser):
    """Les textes alternatifs des images d’une page, et s’il s’y trouve un dessin en ligne."""

    def __init__(self, page):
        super().__init__()
        self.alternatives, self.inline = [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.alternatives.append((dict(attrs).get("alt") or "").strip())
        self.inline = self.inline or tag == "svg"


def test_cells_are_short(notebook, record_property):
    lengths = [source.count("\n") + 1 for source in sources(notebook, "code") if source]
    record_property("lignes", f"médiane {statistics.median(lengths)}, plus longue {max(lengths)}")
    long = [s.splitlines()[0] for s in sources(notebook, "code") if s.count("\n") >= LONGEST]
    assert not long, f"cellules de plus de {LONGEST} lignes : {long}"


def test_headings_make_an_outline(notebook):
    text = MARKDOWN_CODE.sub("", "\n\n".join(sources(notebook, "markdown")))
    levels = [len(marks) for marks in re.findall(r"^(#+) \S", text, re.MULTILINE)]
    assert levels.count(1) == 1 and levels[0] == 1, "un titre, et un seul, en tête"
    assert levels.count(2) >= 2, "au moins deux parties"
    jumps = [(a, b) for a, b in itertools.pairwise(levels) if b > a + 1]
    assert not jumps, f"niveaux de titre sautés : {jumps}"


def test_navigation_leads_somewhere(notebook, notebook_path):
    text = "\n\n".join(sources(notebook, "markdown"))
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if ":" not in link]
    assert any(link.endswith(".ipynb") for link in links), "aucun lien vers un autre carnet"
    absent = [x for x in links if not (notebook_path.parent / unquote(x)).exists()]
    assert not absent, f"liens vers rien : {absent}"


def test_images_have_an_alternative_text(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            bare = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            assert not bare, (
                f"cellule {cell.id} : {bare} sans texte alternatif ; passez par <img alt>"
            )
    for name, page in html_outputs(notebook):
        found = Images(page)
        assert all(found.alternatives), f"cellule {name} : une image sans texte alternatif"
        assert not found.inline, (
            f"cellule {name} : un <svg> en ligne disparaît d’un carnet non fiable"
        )
    for source in sources(notebook, "markdown"):
        assert "![](" not in source and all(Images(source).alternatives)


def test_alternative_texts_say_what_is_seen(notebook):
    found = [text for _, page in html_outputs(notebook) for text in Images(page).alternatives]
    for source in sources(notebook, "markdown"):
        found += Images(source).alternatives + re.findall(r"!\[([^\]]*)\]\(", source)
    short = [text for text in found if len(text.split()) < FEWEST_WORDS]
    assert not short, f"textes alternatifs trop courts : {short}"
    assert not [text for text in found if re.search(r"\.(png|svg|jpe?g|gif)\b", text)]
    twice = [text for text in set(found) if found.count(text) > 1]
    assert not twice, f"le même texte pour deux images : {twice}"


def test_saved_as_the_command_saves_it(notebook, notebook_path):
    assert text_of(normalise(notebook)) == notebook_path.read_text(encoding="utf-8")
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "à exécuter d’une traite, de haut en bas"
    outputs = [o.output_type for c in notebook.cells for o in c.get("outputs", ())]
    assert "error" not in outputs
    assert "widgets" not in notebook.metadata


def test_same_stems_everywhere():
    root = Path(__file__).resolve().parents[3]
    stems = {f: {p.stem for p in (root / f).glob("*.ipynb")} for f in ("solutions", "exercises")}
    assert stems["solutions"] == stems["exercises"]
    for stem in set().union(*stems.values()):
        assert re.fullmatch(r"\d\d_[a-z0-9_]+", stem)
