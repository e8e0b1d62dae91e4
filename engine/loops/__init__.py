"""Les boucles et les branches : `scan`, `ifelse`, et ce qui en a besoin."""

from engine.loops.branches import ifelse
from engine.loops.building import scan, until
from engine.loops.derivatives import hessian, jacobian
from engine.loops.folds import foldl, foldr, map, reduce
