"""Le site du cours : les carnets tels qu’ils sont rangés, lisibles sans réseau.

    python3 demarrer.py site        l’écrit dans build/site ; on ouvre build/site/index.html

Rien n’est exécuté : une page montre les sorties du carnet. Rien n’est demandé au réseau : MathJax,
polices et programmes sont dans build/site/_static.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

project = "Chaînage"
author = "les auteurs de Chaînage"
copyright = "les auteurs de Chaînage, licence BSD-3"
language = "fr"

# -- ce qui est lu : le sommaire, puis les dossiers du cours, dans l’ordre de leurs noms -----------

root_doc = "README"
include_patterns = ["README.md", "CREDITS.md", "notebooks/*", "exercises/*"]
exclude_patterns = [".venv", "build", "roues", "**/.ipynb_checkpoints"]
extensions = ["myst_nb", "sphinx.ext.mathjax"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

SECTIONS = {"Les leçons": "notebooks/[0-9]*", "Les exercices": "exercises/[0-9]*"}


def add_navigation(app, name, text):
    """Ajoute au sommaire la liste des pages, qui fait la navigation du site."""
    if name != root_doc:
        return
    groups = {caption: sorted(ROOT.glob(pattern)) for caption, pattern in SECTIONS.items()}
    groups["Aussi"] = [
        p for p in (ROOT / "notebooks/glossaire.md", ROOT / "CREDITS.md") if p.exists()
    ]
    for caption, paths in groups.items():
        names = "\n".join(str(path.relative_to(ROOT).with_suffix("").as_posix()) for path in paths)
        text[0] += f"\n\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{names}\n```\n"


# -- ce qui est écrit ------------------------------------------------------------------------------

html_theme = "sphinx_book_theme"
html_title = "Chaînage"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["chainage.css"]
html_additional_pages = {"index": "entree.html"}
html_show_sphinx = False
html_copy_source = False
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}}  # son menu proposerait d’aller sur le réseau
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "toc_title": "Dans cette page",
    "search_bar_text": "Chercher dans le cours…",
    "footer_content_items": ["copyright.html"],
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
}


def link_pages(app, name, template, context, doctree):
    """Une sortie de cellule mène à un carnet ; sur le site, à la page de ce carnet."""
    pattern = r'(<a [^>]*?href="(?!https?:)[^":#]+)\.ipynb'
    context["body"] = re.sub(pattern, r"\1.html", context.get("body", ""))


def copy_mathjax(app, error):
    """MathJax en un seul fichier, tel que le paquet sphinx-mathjax-offline le porte."""
    if error is None:
        folder = Path(find_spec("sphinx-mathjax-offline").origin).parent
        shutil.copy(folder / "static/mathjax/tex-svg.js", Path(app.outdir, "_static", mathjax_path))


def setup(app):
    app.connect("source-read", add_navigation)
    app.connect("html-page-context", link_pages)
    app.connect("build-finished", copy_mathjax)
