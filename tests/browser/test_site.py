"""Le site du cours, ouvert d’un fichier, sans réseau : toutes ses pages, dans les deux thèmes."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import demarrer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ("file:", "data:", "blob:")
IMAGES = "images => images.map(i => [i.alt.trim().length > 10, i.complete && i.naturalWidth > 0])"
MATHS_ARE_DRAWN = """() => [...document.querySelectorAll('article .math')]
    .every(m => m.querySelector('mjx-container svg') && !m.querySelector('[data-mjx-error]'))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Le dossier du site, écrit par la commande du README, sans un avertissement."""
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site") / "site"
    command = demarrer.site_command(sys.executable, folder)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


class Reader:
    """Une fenêtre du navigateur, réseau coupé, qui note ce que chaque page demande."""

    def __init__(self, context, folder):
        self.folder, self.page = folder, context.new_page()
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, name):
        self.page.goto((self.folder / name).as_uri())
        self.page.wait_for_function(MATHS_ARE_DRAWN)
        return self.page

    def outside(self):
        return [url for url in self.requests if not url.startswith(INSIDE)]


@pytest.fixture
def read(browser, site):
    """read(thème) : un `Reader`, dans un navigateur qui n’a rien en mémoire."""
    with contextlib.ExitStack() as stack:

        def reader(theme):
            context = browser.new_context(
                viewport={"width": 1300, "height": 1000}, locale="fr-FR", offline=True
            )
            stack.callback(context.close)
            context.add_init_script(
                f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
            )
            return Reader(context, site)

        yield reader


def pages_of(site):
    names = (path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return sorted(name for name in names if not name.startswith("_"))


def stems(folder):
    return [path.stem for path in sorted((ROOT / folder).glob("[0-9]*.ipynb"))]


def test_every_page_is_whole_offline_and_accessible(read, site, violations_in, captures):
    reader = read("light")
    pages = [name for name in pages_of(site) if name != "index.html"]
    assert len(pages) >= len(stems("notebooks")) + len(stems("exercises"))
    looked_at = ["README", *stems("notebooks"), stems("exercises")[-1]]
    for name in pages:
        page = reader.open(name)
        images = page.locator("article img").evaluate_all(IMAGES)
        assert all(described and drawn for described, drawn in images), name
        assert reader.errors == [], name
        for theme in ("light", "dark"):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            if page.locator("article").count():
                assert violations_in(page, "article") == [], (name, theme)
            if Path(name).stem in looked_at:
                page.screenshot(path=captures / f"site-{Path(name).stem}-{theme}.png")
    assert reader.outside() == []


def test_links_between_pages_lead_somewhere(site):
    for name in pages_of(site):
        text = (site / name).read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"#?:]+)[^":]*"', text):
            assert (site / name).parent.joinpath(link).exists(), f"{name} : {link}"


def test_navigation_follows_the_lessons(read):
    page = read("dark").open("index.html")
    page.wait_for_url("**/README.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"  # retenu
    names = page.locator(".bd-docs-nav a").evaluate_all("all => all.map(a => a.href)")
    expected = [f"notebooks/{stem}.html" for stem in stems("notebooks")]
    expected += [f"exercises/{stem}.html" for stem in stems("exercises")]
    shown = ["/".join(name.split("/")[-2:]) for name in names]
    assert [name for name in shown if name in expected] == expected
    page.locator(".bd-docs-nav a").nth(1).click()
    page.locator("a.right-next").click()
    assert page.url.endswith(expected[1])


def test_search_speaks_french(read, captures):
    page = read("light").open("search.html")
    for asked, lesson in (("rétropropagation", "Leçon 02"), ("jacobienne", "Leçon 02")):
        page.locator(".bd-article-container input[type=search]").fill(asked)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#search-results a:has-text('{lesson}')")
        # la phrase vient après le dernier résultat
        page.wait_for_selector("#search-results:has-text('pages trouvées')")
    page.screenshot(path=captures / "site-recherche-light.png")


def test_theme_is_chosen_by_a_button(read):
    page = read("light").open("README.html")
    for label, theme in (("Sombre", "dark"), ("Clair", "light")):
        page.get_by_role("button", name="Thème").click()
        page.get_by_role("button", name=label).click()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
