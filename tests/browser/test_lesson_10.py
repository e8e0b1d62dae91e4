"""La carte des fils dans un vrai notebook : choisir un noyau, un fil, un accès, au clavier."""

import pytest

pytestmark = pytest.mark.browser

CODE = """import numpy as np
from engine.gpu.kernels.readable.maps import relu
from engine.gpu.kernels.readable.products import naive_product, tiled_product
from engine.gpu.kernels.readable.reductions import block_sums
from engine.gpu.kernels.simulator import trace
from course.viz import ThreadMapWidget
c, a, b = np.zeros((3, 4, 4), "float32")
traces = {
    "carte": trace(relu, 3, 4, np.zeros(10, "float32"), np.zeros(10, "float32")),
    "réduction": trace(block_sums, 1, 8, np.zeros(1, "float32"), np.zeros(16, "float32")),
    "produit naïf": trace(naive_product, (2, 2), (2, 2), c, a, b),
    "produit par tuiles": trace(tiled_product, (2, 2), (2, 2), c, a, b),
}
w = ThreadMapWidget(traces, kernel="produit naïf", thread=6)
w"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_threads_are_chosen_by_keyboard(lab, theme):
    with lab.open(lab.notebook(f"fils_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()

        def wait_for_status(pattern):
            page.page.wait_for_function(
                f"() => /{pattern}/.test("
                "document.querySelector('.chainage [aria-live]').textContent)"
            )

        wait_for_status("128 lectures")
        page.screenshot("fils-naif")
        assert page.violations() == []
        widget.get_by_label("Noyau").select_option("produit par tuiles")
        wait_for_status("64 lectures")
        steps = widget.get_by_label("Accès")
        steps.focus()
        steps.press("Home")
        wait_for_status("encore eu lieu")
        for _ in range(4):
            steps.press("ArrowRight")
        wait_for_status("accès 4 sur")
        page.screenshot("fils-tuiles")
        widget.get_by_label("Noyau").select_option("réduction")
        threads = widget.get_by_label("Fil")
        threads.focus()
        threads.press("Home")
        wait_for_status("Fil 0 du bloc 0")
        page.screenshot("fils-reduction")
        widget.get_by_label("Noyau").select_option("carte")
        threads.focus()
        threads.press("End")
        wait_for_status("accède à rien")
        assert page.run_python("print(w.thread, w.steps)") == "11 0"
        page.screenshot("fils-carte")
        assert page.violations() == []
        assert page.errors == []
