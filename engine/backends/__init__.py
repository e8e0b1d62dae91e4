"""Les dos de calcul : NumPy (la référence), Numba sur le processeur."""
