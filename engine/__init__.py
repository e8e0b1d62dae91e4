"""Chaînage : un moteur de graphes de calcul que l’on lit en un week-end.

    >>> import engine
    >>> import engine.tensor as T
    >>> x = T.dscalar("x")
    >>> f = engine.function([x], engine.grad(T.exp(T.sin(x**2)), x))
    >>> round(float(f(0.5)), 6)
    1.240883

Ordre de lecture : `graph`, `types`, `ops.elemwise`, `gradient`, `rewriting.core`, `compiler`.
"""

from engine import backends, rewriting, tensor
from engine.look import drawing, printing, testing
from engine.core import gradient
from engine.core.compiler import Function, In, Out, function
from engine.loops import branches as ifelse
from engine.loops import building as scan_module
from engine.loops import foldl, foldr, map, reduce, scan
from engine.look.debug import DebugMode, NanGuardMode
from engine.core.gradient import Lop, Rop, grad
from engine.core.graph import Apply, Constant, Op, Type, Variable, clone
from engine.core.modes import Mode
from engine.ops.from_python import as_op
from engine.look.printing import debugprint, pp
from engine.core.settings import config
from engine.core.sharedvalue import SharedVariable, shared
from engine.tensor import as_tensor_variable
from engine.core.updates import OrderedUpdates
