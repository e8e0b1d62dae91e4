"""Le glossaire, et le vocabulaire des carnets qu’il règle.

Ne sont lus ni le code, ni les formules, ni ce qui est en italique ou entre guillemets (l’anglais y
a sa place), ni la liste des sources.
"""

import re
import unicodedata

import nbformat
import pytest

from course import book
from course.typography.files import typeset_markdown

GLOSSARY = book.ROOT / "notebooks" / "glossaire.md"
ITALIC = re.compile(r"(?<!\*)\*(?!\*)[^*\n]+\*(?!\*)")
NOT_PROSE = re.compile(
    r"^```.*?^```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|<code>.*?</code>|<[^>]+>|\]\([^)]*\)|«[^»]*»",
    re.DOTALL | re.MULTILINE,
)

# Un mot de trop -> celui que le cours emploie.
FORBIDDEN = {
    r"mini-?batch(?:es)?|mini-lots?": "minilot",
    r"batch(?:es)?": "lot, minilot",
    r"règle de la chaîne": "règle de chaînage",
    r"kernels?": "filtre (convolution) ou noyau (carte graphique)",
    r"noyaux? de convolution": "filtre",
    r"learning[- ]rate": "taux d’apprentissage",
    r"loss(?:es)?": "perte, coût",
    r"epochs?": "époque",
    r"overfitting|sur-apprentissage|surajustement": "surapprentissage",
    r"early[- ]stopping|arrêt précoce": "arrêt anticipé",
    r"back-?prop(?:agation)?|rétro-propagation": "rétropropagation",
    r"(?:forward|backward)(?: pass)?": "passe avant, passe arrière",
    r"propagation (?:avant|arrière)": "passe avant, passe arrière",
    r"gradient descent": "descente de gradient",
    r"différenciation automatique|dérivation automatique": "différentiation automatique",
    r"feature maps?": "carte de caractéristiques",
    r"pooling": "sous-échantillonnage",
    r"padding": "remplissage",
    r"strides?": "pas",
    r"broadcast(?:ing)?": "diffusion",
    r"embeddings?": "plongement",
    r"labels?": "étiquette",
    r"layers?": "couche",
    r"hidden": "caché",
    r"weight decay": "décroissance des poids",
    r"momentum": "inertie",
    r"threads?": "fil d’exécution",
    r"dropout": "*dropout*, en italique",
    r"datasets?": "jeu de données",
    r"librairies?": "bibliothèque",
    r"tokens?": "symbole",
}


def terms():
    """Les lignes du glossaire : (français, anglais, définition, leçon)."""
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    return [tuple(cell.strip() for cell in row.strip("|").split(" | ")) for row in rows]


def markdown(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.split(r"^(?:## |\*\*)Sources?\b", text, flags=re.MULTILINE)[0]


def prose(path):
    return ITALIC.sub(" ", NOT_PROSE.sub(" ", markdown(path)))


def folded(text):
    """Le texte sans accents ni capitales : l’ordre du dictionnaire."""
    text = unicodedata.normalize("NFD", text.lower().replace("œ", "oe").replace("’", "'"))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def test_every_term_has_four_cells_in_alphabetical_order():
    rows = terms()
    assert all(len(row) == 4 and all(row) for row in rows)
    names = [folded(row[0]) for row in rows]
    assert names == sorted(set(names)), "un mot, une ligne, par ordre alphabétique"
    for name, _, definition, number in rows:
        assert int(number) < len(book.LESSONS), name
        assert not definition.endswith("."), f"{name} : une phrase, sans point"
    text = GLOSSARY.read_text(encoding="utf-8")
    assert text == typeset_markdown(text), "python -m course.typography notebooks/glossaire.md"


def test_glossary_says_what_the_forbidden_words_should_be():
    english = " ".join(row[1].strip("*") for row in terms())
    for expected in ("minibatch", "learning rate", "chain rule", "kernel", "overfitting"):
        assert expected in english


@pytest.mark.parametrize("row", [row for row in terms() if row[1].startswith("*")], ids=str)
def test_english_word_is_given_where_the_term_is_first_met(row):
    name, english, _, number = row
    lesson = book.lesson(int(number))
    path = book.ROOT / "notebooks" / lesson.file
    if not path.exists():
        pytest.skip(f"leçon {number} à venir")
    word = english[1:].partition("*")[0]
    pattern = re.compile(rf"(?<!\*)\*{re.escape(word)}(?:s|es)?\*")
    assert pattern.search(markdown(path)), f"leçon {number} : « {name} ({english}) » attendu"


def test_words_of_the_course(notebook_path):
    text = prose(notebook_path)
    found = [
        f"« {match.group()} » : dites {better} (…{text[max(0, match.start() - 30) : match.end()]})"
        for pattern, better in FORBIDDEN.items()
        for match in re.finditer(rf"(?<![\w/-])(?:{pattern})(?![\w-])", text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_the_first_page_links_the_glossary():
    assert "](glossaire.md)" in markdown(book.ROOT / "notebooks" / book.lesson(0).file)


@pytest.mark.parametrize("word", ["un mini-batch", "le learning rate", "des kernels", "la loss"])
def test_a_forbidden_word_is_seen(word, tmp_path):
    path = tmp_path / "01_essai.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(word)]), path)
    with pytest.raises(AssertionError, match="dites"):
        test_words_of_the_course(path)


@pytest.mark.parametrize("word", ["le taux (*learning rate*)", "`kernel`", "« loss »", "$loss$"])
def test_a_word_in_its_place_is_not(word, tmp_path):
    path = tmp_path / "01_essai.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(word)]), path)
    test_words_of_the_course(path)
