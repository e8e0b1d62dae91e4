"""Les appels NumPy directs, pour les ops où `perform` ferait un détour."""
