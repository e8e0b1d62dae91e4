"""La carte des fils : les comptes de la trace, dessinés ; les traits que règle l’élève."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from course.viz import ThreadMapWidget
from engine.gpu.kernels.readable.maps import relu
from engine.gpu.kernels.readable.products import naive_product, tiled_product
from engine.gpu.kernels.readable.reductions import block_sums
from engine.gpu.kernels.simulator import trace


@pytest.fixture(scope="module")
def traces():
    c, a, b = np.zeros((3, 4, 4), "float32")
    return {
        "carte": trace(relu, 3, 4, np.zeros(10, "float32"), np.zeros(10, "float32")),
        "somme": trace(block_sums, 2, 8, np.zeros(2, "float32"), np.zeros(20, "float32")),
        "naïf": trace(naive_product, (2, 2), (2, 2), c, a, b),
        "tuiles": trace(tiled_product, (2, 2), (2, 2), c, a, b),
    }


def test_something_is_shown_before_anyone_moves(traces):
    widget = ThreadMapWidget(traces)
    assert widget.kernel == "carte" and widget.threads == 12 and widget.steps == widget.step == 2
    assert "écriture de out[0]" in widget.text and "10 lectures et 10 écritures" in widget.text
    assert widget.fallback().alt == widget.text
    assert repr(widget) == "<ThreadMapWidget>"


@pytest.mark.parametrize("kernel", ["carte", "somme", "naïf", "tuiles"])
def test_every_thread_draws_well_formed_pictures(traces, kernel):
    widget = ThreadMapWidget(traces, kernel=kernel)
    for thread in range(widget.threads):
        widget.thread = thread
        for step in (0, widget.steps // 2, widget.steps):
            widget.step = step
            ElementTree.fromstring(widget.svg)


def test_a_thread_beyond_the_end_does_nothing(traces):
    widget = ThreadMapWidget(traces, thread=11)
    assert widget.steps == 0 and "n’accède à rien" in widget.text


def test_counts_of_the_two_products(traces):
    widget = ThreadMapWidget(traces, kernel="naïf", thread=5)
    assert "ce fil\u00a0: 8 lectures et 1 écriture" in widget.text
    assert "tous les fils\u00a0: 128 lectures" in widget.text
    widget.kernel = "tuiles"
    assert widget.thread == 5 and "ce fil\u00a0: 4 lectures" in widget.text
    assert "tous les fils\u00a0: 64 lectures" in widget.text
    assert "Fil (ligne 0, colonne 1) du bloc (ligne 0, colonne 1)" in widget.text


def test_changing_kernel_keeps_within_bounds(traces):
    widget = ThreadMapWidget(traces, kernel="naïf", thread=15)
    widget.kernel = "carte"
    assert widget.thread == 11 and widget.step == widget.steps == 0
    widget.thread = 2
    widget.step = 1
    assert "lecture de x[2]" in widget.text


def test_shared_memory_is_named(traces):
    widget = ThreadMapWidget(traces, kernel="somme", thread=9)
    assert "partagée 1 (8)" in widget.svg
    widget.step = 2
    assert re.search(r"(lecture|écriture) de", widget.text)


def test_unknown_kernels_are_refused(traces):
    with pytest.raises(ValueError, match="spirale"):
        ThreadMapWidget(traces, kernel="spirale")
    with pytest.raises(ValueError, match="aucune"):
        ThreadMapWidget({})
