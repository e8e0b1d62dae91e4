"""Les mêmes programmes avec `floatX=float32` : rien ne redevient float64, les coûts suivent.

Les poids de départ sont les mêmes, arrondis ; les coûts s’accordent à 1e-3 près sur toute la
descente, et sont tous des float32.
"""

import numpy as np
import pytest

from engine import config

PROGRAMS = {
    "softmax_regression.py": (True, lambda found: found["costs"]),
    "mlp.py": (True, lambda found: found["costs"]),
    "lenet.py": (True, lambda found: found["costs"]),
    "contractive_autoencoder.py": (True, lambda found: list(found["pairs"])),
    "word_tagging.py": (False, lambda found: found["costs"]),
    "char_lstm.py": (False, lambda found: found["results"]["costs"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_float32(name, tutorial, mnist_file):
    needs_digits, costs_of = PROGRAMS[name]
    arguments = [mnist_file, 2] if needs_digits else []
    double = costs_of(tutorial(name, *arguments))
    with config.change_flags(floatX="float32"):
        single = costs_of(tutorial(name, *arguments))
    assert {cost.dtype for cost in single} == {np.dtype("float32")}
    np.testing.assert_allclose(single, double, 1e-3)
