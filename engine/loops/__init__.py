"""Les boucles et les branches : `scan`, `ifelse`, et ce qui en a besoin.

Importe : core, ops, tensor.

Ordre de lecture : `nested` (les ops qui portent des graphes), `step_count`, `loop_op`, `building`
(`scan`), `updates`, `back_loop` (le gradient), `branches` (`ifelse`), `folds`, `derivatives` ; puis
les passes : `cleaning`, `lifting`, `moving_out`.

On y vient changer ce que `scan` accepte (`building`), ce qui sort d’une boucle (`lifting`), ou ce
qu’elle garde en mémoire (`cleaning`).
"""

from engine.loops.branches import ifelse
from engine.loops.building import scan, until
from engine.loops.derivatives import hessian, jacobian
from engine.loops.folds import foldl, foldr, map, reduce
