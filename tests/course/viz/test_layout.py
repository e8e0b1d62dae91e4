"""Le placement : aucun nœud n’en couvre un autre, toute arête descend, et vite."""

import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from course.viz.layout import layered_layout

NUMBER = re.compile(r"-?\d+\.\d")


@st.composite
def graphs(draw, acyclic=True):
    count = draw(st.integers(1, 14))
    sizes = {f"n{i}": (draw(st.integers(20, 160)), draw(st.integers(20, 60))) for i in range(count)}
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(ends, max_size=30))
    if acyclic:
        pairs = [(min(p), max(p)) for p in pairs if p[0] != p[1]]
    edges = [(f"n{a}", f"n{b}") for a, b in pairs]
    label = st.one_of(st.none(), st.tuples(st.integers(10, 120), st.just(16)))
    labels = draw(st.lists(label, min_size=len(edges), max_size=len(edges)))
    return sizes, edges, labels


def boxes(sizes, layout, labels):
    placed = [(layout.centres[node], size) for node, size in sizes.items()]
    for centre, size in zip(layout.label_centres, labels, strict=True):
        if centre:
            placed.append((centre, size))
    return placed


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_nothing_overlaps_and_every_edge_goes_down(graph):
    sizes, edges, labels = graph
    layout = layered_layout(sizes, edges, labels)
    placed = boxes(sizes, layout, labels)
    for i, ((x1, y1), (w1, h1)) in enumerate(placed):
        assert w1 / 2 <= x1 <= layout.width - w1 / 2 and h1 / 2 <= y1 <= layout.height - h1 / 2
        for (x2, y2), (w2, h2) in placed[:i]:
            apart = abs(x1 - x2) >= (w1 + w2) / 2 or abs(y1 - y2) >= (h1 + h2) / 2
            assert apart
    for (source, target), path in zip(edges, layout.paths, strict=True):
        below = layout.centres[target][1] - sizes[target][1] / 2
        above = layout.centres[source][1] + sizes[source][1] / 2
        assert above < below
        heights = [float(n) for n in NUMBER.findall(path)[1::2]]
        assert heights == sorted(heights)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_no_edge_runs_over_a_node(graph):
    sizes, edges, labels = graph
    layout = layered_layout(sizes, edges, labels)
    for ends, path in zip(edges, layout.paths, strict=True):
        others = [(layout.centres[n], sizes[n]) for n in sizes if n not in ends]
        for x, y in along(path):
            assert not any(
                abs(x - cx) < w / 2 - 1 and abs(y - cy) < h / 2 - 1 for (cx, cy), (w, h) in others
            )


def along(path):
    """Des points de la courbe : vingt par segment de Bézier."""
    numbers = [float(n) for n in NUMBER.findall(path)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    for i in range(0, len(points) - 1, 3):
        for step in range(21):
            t = step / 20
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            corners = points[i : i + 4]
            yield tuple(
                sum(w * p[k] for w, p in zip(weights, corners, strict=True)) for k in (0, 1)
            )


@given(graphs(acyclic=False))
@settings(max_examples=60, deadline=None)
def test_a_circuit_is_drawn_all_the_same(graph):
    sizes, edges, labels = graph
    layout = layered_layout(sizes, edges, labels)
    assert set(layout.centres) == set(sizes)
    assert len(layout.paths) == len(edges)
    assert layout.centres == layered_layout(sizes, edges, labels).centres  # toujours le même


def test_a_crossing_that_can_be_undone_is_undone():
    sizes = dict.fromkeys(["a", "b", "c", "d"], (20, 20))
    layout = layered_layout(sizes, [("a", "d"), ("b", "c")])
    x = {node: centre[0] for node, centre in layout.centres.items()}
    assert (x["a"] < x["b"]) == (x["d"] < x["c"])


def test_thirty_three_nodes_take_a_few_milliseconds():
    sizes = {i: (60, 30) for i in range(33)}
    edges = [(i, i + step) for step in (1, 3) for i in range(33 - step)]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        layered_layout(sizes, edges)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.03


def test_a_deep_graph_needs_no_recursion():
    sizes = {i: (20, 20) for i in range(3000)}
    layout = layered_layout(sizes, [(i, i + 1) for i in range(2999)])
    assert layout.centres[2999][1] > layout.centres[0][1]


def test_five_thousand_nodes_with_long_edges_take_seconds():
    half = 2500  # un calcul et son gradient : le nœud i sert encore en 2n - i
    sizes = {i: (60, 30) for i in range(2 * half)}
    edges = [(i, i + 1) for i in range(2 * half - 1)]
    edges += [(i, 2 * half - 1 - i) for i in range(half - 1)]
    start = time.perf_counter()
    layout = layered_layout(sizes, edges)
    assert time.perf_counter() - start < 10
    assert sum(path.count("M") == 2 for path in layout.paths) > 2000  # des renvois
    assert all(path.count("M") == 1 for path in layout.paths[: 2 * half - 1])
