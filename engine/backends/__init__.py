"""Les dos de calcul : NumPy (la référence), Numba sur le processeur."""

import importlib.util

if importlib.util.find_spec("numba"):
    from engine.backends import numba_kernels
