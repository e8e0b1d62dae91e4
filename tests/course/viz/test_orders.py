"""Les ordres d’un produit de jacobiennes : combien, à quel prix, et l’image qui les montre."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.viz import OrdersWidget
from course.viz.orders import ORDERS, draw_orders
from course.viz.parentheses import all_orders, multiplications, seconds, written

SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=7)


def counted(order, sizes):
    """(forme, multiplications), en suivant les formes des produits un à un."""
    if isinstance(order, int):
        return (sizes[order], sizes[order - 1]), 0
    (p, q), left = counted(order[0], sizes)
    (same, r), right = counted(order[1], sizes)
    assert q == same
    return (p, r), left + right + p * q * r


@pytest.mark.parametrize(("stages", "count"), [(1, 1), (2, 1), (3, 2), (4, 5), (5, 14), (8, 429)])
def test_there_is_a_catalan_number_of_distinct_orders(stages, count):
    orders = all_orders(stages)
    assert len(set(map(str, orders))) == len(orders) == count


@given(SIZES)
def test_every_order_is_counted_as_its_shapes_say(sizes):
    for order in all_orders(len(sizes) - 1):
        shape, count = counted(order, sizes)
        assert shape == (sizes[-1], sizes[0])
        assert multiplications(order, sizes) == count


def test_an_order_is_written_with_its_inner_parentheses():
    shown = [written(order).replace("\u00a0", " ") for order in ORDERS]
    assert shown[0] == "((J₄ J₃) J₂) J₁" and shown[-1] == "J₄ (J₃ (J₂ J₁))"
    assert "(J₄ J₃) (J₂ J₁)" in shown


def test_every_order_is_timed():
    times = seconds(ORDERS, [64, 32, 16, 8, 4])
    assert len(times) == 5 and min(times) > 0


@pytest.mark.parametrize(
    ("sizes", "best"),
    [
        ([1024, 256, 256, 256, 1], 0),
        ([1, 256, 256, 256, 1024], 4),
        ([1024, 256, 4, 256, 1024], 2),
    ],
)
def test_each_end_and_the_bottleneck_win_in_turn(sizes, best):
    counts = [multiplications(order, sizes) for order in ORDERS]
    assert np.argmin(counts) == best and counts.count(min(counts)) == 1
    texts = [text.text for text in ElementTree.fromstring(draw_orders(sizes)).iter() if text.text]
    starred = [k for k, text in enumerate(texts) if text.endswith("★")]
    assert len(starred) == 1
    assert written(ORDERS[best]) == texts[starred[0] - 1]


def test_image_shows_counts_and_times_before_anyone_moves_anything():
    widget = OrdersWidget([8, 4, 4, 4, 1])
    assert "…" not in widget.svg and "Le plus rapide" in widget.text
    assert "mode arrière" in widget.fallback().alt and "64 multiplications" in widget.fallback().alt
    assert "rapide" not in widget.fallback().alt  # un temps changerait d’une machine à l’autre
    assert repr(widget) == "<OrdersWidget>"


def test_moving_a_length_recounts_at_once_and_times_when_asked():
    widget = OrdersWidget([8, 4, 4, 4, 1])
    widget.sizes = [1, 4, 4, 4, 8]
    assert "mode avant" in widget.text and "Le plus rapide" not in widget.text
    assert widget.svg.count("…") == 5
    widget.timed = widget.sizes
    assert "Le plus rapide" in widget.text and "…" not in widget.svg


def test_bars_are_never_longer_than_their_column():
    svg = draw_orders([1024, 1, 1024, 1, 1024], [1.0, 2.0, 3.0, 4.0, 5.0])
    widths = [float(w) for w in re.findall(r'width="([\d.]+)" height="17"', svg)]
    assert len(widths) == 10 and max(widths) == 150.0


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [2, 2, 3, 2, 2], [2, 2, 2, 2, 2048]])
def test_lengths_the_sliders_cannot_show_are_refused(sizes):
    with pytest.raises(ValueError, match="puissances de deux"):
        OrdersWidget(sizes)
