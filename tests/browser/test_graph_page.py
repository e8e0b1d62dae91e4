"""La page d’un graphe dans un vrai navigateur, ouverte comme un fichier, sans réseau.

Elle se replie, s’ouvre, se cherche, se rejoue et se parcourt au clavier, dans les deux thèmes ; son
placement et ses plis sont ceux de Python.
"""

import os
import pathlib

import numpy as np
import pytest

import engine
import engine.tensor as T
from course import viz
from course.viz.folding import default_folds, fold
from course.viz.layout import layered_layout
from engine.core.trace import scope
from engine.look.d3viz import d3viz
from engine.printing import graph_data

pytestmark = pytest.mark.browser

STATIC = pathlib.Path(viz.__file__).parent / "static"


@pytest.fixture
def open_page(browser, violations_in, tmp_path):
    """Ouvre la page d’un graphe ; note les erreurs et toute requête autre que le fichier."""
    opened = []

    def open_page(thing, theme="light", **options):
        path = tmp_path / f"graphe{len(opened)}.html"
        d3viz(thing, path, **options)
        context = browser.new_context(
            viewport={"width": 1300, "height": 900}, color_scheme=theme, offline=True
        )
        page = context.new_page()
        page.errors, page.asked = [], []
        page.violations = lambda: violations_in(page, "html")
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        opened.append((context, page, path))
        return page

    yield open_page
    for context, page, path in opened:
        assert page.errors == []
        assert page.asked == [path.as_uri()]
        context.close()


def training_function():
    rng = np.random.default_rng(0)
    x, y = T.dmatrix("x"), T.ivector("y")
    w1 = engine.shared(rng.normal(size=(3, 4)), name="W1")
    w2 = engine.shared(rng.normal(size=(4, 2)), name="W2")
    with scope("couche cachée"):
        hidden = T.tanh(T.dot(x, w1) + 1)
    with scope("couche de sortie"):
        p = T.nnet.softmax(T.dot(hidden, w2))
    cost = T.nnet.categorical_crossentropy(p, y).mean()
    updates = [(w, w - 0.1 * g) for w, g in zip([w1, w2], engine.grad(cost, [w1, w2]), strict=True)]
    f = engine.function([x, y], cost, updates=updates, profile=True, name="apprendre")
    f(rng.normal(size=(5, 3)), np.zeros(5, "int32"))
    return f


def shoot(page, name, theme):
    folder = os.environ.get("CHAINAGE_CAPTURES")
    if folder:
        page.screenshot(path=pathlib.Path(folder) / f"page-{name}-{theme}.png")


def labels(page):
    return page.locator(".noeud > .etiquette").all_text_contents()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_trained_function_is_shown_folded_opened_and_replayed(open_page, theme):
    page = open_page(training_function(), theme)
    assert (
        page.locator("html").get_attribute("data-jp-theme-light") == str(theme == "light").lower()
    )
    assert "W1, mise à jour" in labels(page)
    assert page.locator(".noeud .type", has_text="%").count() > 5  # le profil
    shoot(page, "profil", theme)
    assert page.violations() == []
    unfolded = len(labels(page))
    page.click("#plier")
    assert "couche cachée" in labels(page) and len(labels(page)) < unfolded
    shoot(page, "replie", theme)
    assert page.violations() == []
    page.click("#plier")
    assert len(labels(page)) == unfolded
    page.fill("#recherche", "Composite")
    page.press("#recherche", "Enter")
    page.click("#details >> text=Ouvrir son graphe")
    assert len(labels(page)) > unfolded
    shoot(page, "ouvert", theme)
    assert page.violations() == []
    page.fill("#recherche", "")
    page.click("#avant")
    assert "0 / " in page.text_content("#numero") and "log" in labels(page)
    assert page.locator(".modifie").count() > 3
    shoot(page, "avant", theme)
    page.click("#avance")
    assert page.text_content("#raison").strip() and page.locator("#vue .modifie").count() >= 1
    shoot(page, "pas", theme)
    page.focus("#etape")
    page.keyboard.press("End")
    assert "s’exécute" in page.text_content("#raison")
    assert page.violations() == []


def test_the_keyboard_follows_edges_folds_and_zooms(open_page):
    x = T.dscalar("x")
    with scope("couche"):
        y = T.exp(T.sqrt(x)) * 2
    page = open_page(y.sum() if y.ndim else T.tanh(y))
    focused = "() => document.activeElement.getAttribute('aria-label')"
    page.locator(".noeud[tabindex='0']").focus()
    assert page.evaluate(focused).startswith("Entrée x")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused).startswith("Opération sqrt")
    assert "float64 ()" in page.text_content("#details")
    assert "test_graph_page.py" in page.text_content("#details")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # replie ses ancêtres
    assert "sqrt" not in labels(page) and page.evaluate(focused).startswith("Opération exp")
    page.keyboard.press("Enter")
    assert "sqrt" in labels(page)
    before = page.text_content("#echelle")
    page.keyboard.press("+")
    assert page.text_content("#echelle") != before
    page.keyboard.press("0")
    page.click("#details >> text=Replier le groupe")
    assert page.evaluate(focused).startswith("Groupe replié couche")
    page.keyboard.press("Enter")
    assert "sqrt" in labels(page)
    page.keyboard.press("/")
    page.keyboard.type("tanh")
    page.keyboard.press("Enter")
    assert page.text_content("#trouves").startswith("1 sur 2")  # tanh, et la sortie qui en vient


def test_the_mouse_pans_zooms_selects_and_opens(open_page):
    x = T.dvector("x")
    page = open_page(engine.function([x], T.exp(x * 2 + 1)))
    page.locator(".noeud", has_text="Composite").dblclick()
    assert {"mul", "add", "exp"} <= set(labels(page))
    moved = page.get_attribute("#vue", "transform")
    page.mouse.move(200, 500)
    page.mouse.down()
    page.mouse.move(260, 540, steps=4)
    page.mouse.up()
    assert page.get_attribute("#vue", "transform") != moved
    page.mouse.wheel(0, -300)
    page.wait_for_function("document.getElementById('echelle').textContent !== '100\u00a0%'")
    page.locator(".noeud", has_text="exp").last.hover()
    assert "Formule" in page.text_content("#details")


def test_a_loop_opens_and_so_does_what_it_holds(open_page):
    x = T.dmatrix("x")
    states, _ = engine.scan(
        lambda row, h: T.tanh(row * 2 + h + 1), sequences=x, outputs_info=x[0], name="boucle"
    )
    page = open_page(engine.function([x], states[-1]))
    page.locator(".noeud", has_text="scan").dblclick()
    opened = labels(page)
    assert any("[t-1]" in label for label in opened)
    page.locator(".noeud", has_text="Composite").last.dblclick()
    assert len(labels(page)) > len(opened) and "tanh" in labels(page)
    assert page.violations() == []
    boxes = [box.bounding_box() for box in page.locator(".noeud").all()]
    for i, a in enumerate(boxes):  # séparées, ou l’une dans l’autre
        for b in boxes[:i]:
            apart = (
                a["x"] + a["width"] <= b["x"] + 12 or b["x"] + b["width"] <= a["x"] + 12
                or a["y"] + a["height"] <= b["y"] + 12 or b["y"] + b["height"] <= a["y"] + 12
            )  # fmt: skip
            assert apart or inside(a, b) or inside(b, a)


def inside(a, b):
    return b["x"] <= a["x"] and a["x"] + a["width"] <= b["x"] + b["width"] and b["y"] <= a["y"]


def test_values_and_source_lines(open_page):
    x = T.dscalar("x")
    page = open_page(T.sqrt(x) + 1, values={"x": 9.0})
    page.select_option("#aretes", "values")
    assert "3." in page.locator("#vue .discret").all_text_contents()
    page.select_option("#grouper", "line")
    page.click("#plier")
    assert any("ligne" in label for label in labels(page))


def long_network(steps=300):
    x, w, h = T.dvector("x"), engine.shared(np.eye(3), name="W"), None
    h = x
    for step in range(steps):
        with scope(f"étape {step // 10}"):
            h = T.tanh(T.dot(w, h) + x)
    return [engine.grad((h**2).sum(), w)]


def test_thousands_of_nodes_open_folded_and_can_be_searched(open_page):
    page = open_page(long_network())
    data = graph_data(long_network())
    assert len(data["nodes"]) > 4000
    assert 0 < page.locator(".noeud").count() < 300
    seconds = page.evaluate(
        """() => {
          const start = performance.now();
          placeAll({ ...frameData(0) });
          state.folds = new Set();
          draw();
          return (performance.now() - start) / 1000;
        }"""
    )
    assert page.locator(".noeud").count() > 4000
    assert seconds < 20
    page.click("#plier")
    page.fill("#recherche", "transpose")
    page.press("#recherche", "Enter")
    assert page.text_content("#trouves").startswith("1 sur")
    assert page.locator(".noeud.choisi").count() == 1


def test_layout_and_folds_are_those_of_python(open_page):
    data = graph_data(long_network(8))
    page = open_page(long_network(8))
    folds = default_folds(data, limit=40)
    view = fold(data, folds)
    sizes = {node["id"]: (20 + 7 * len(node["label"]), 30) for node in view["nodes"]}
    edges = [(edge["source"], edge["target"]) for edge in view["edges"]]
    labels = [(40, 16) if rank % 3 else None for rank in range(len(edges))]
    ours = layered_layout(sizes, edges, labels)
    theirs = page.evaluate(
        """([data, sizes, labels]) => {
          const groupOf = (node) => node.group;
          const folds = defaultFolds(data, groupOf, 40);
          const view = foldGraph(data, new Set(folds), groupOf);
          const edges = view.edges.map((edge) => [edge.source, edge.target]);
          const layout = layeredLayout(new Map(Object.entries(sizes)), edges, labels);
          return { folds, edges, centres: Object.fromEntries(layout.centres),
            paths: layout.paths, width: layout.width, height: layout.height };
        }""",
        [data, sizes, labels],
    )
    assert set(theirs["folds"]) == set(folds)
    assert [tuple(edge) for edge in theirs["edges"]] == edges
    assert theirs["width"] == pytest.approx(ours.width)
    assert theirs["height"] == pytest.approx(ours.height)
    for node, centre in ours.centres.items():
        assert theirs["centres"][node] == pytest.approx(centre)
    assert [path.count("C") for path in theirs["paths"]] == [p.count("C") for p in ours.paths]
