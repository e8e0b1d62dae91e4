"""Les boucles et les branches : `scan`, `ifelse`, et ce qui en a besoin."""

from engine.control.branches import ifelse
from engine.control.building import scan, until
from engine.control.derivatives import hessian, jacobian
from engine.control.folds import foldl, foldr, map, reduce
