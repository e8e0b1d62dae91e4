"""Chaînage : un moteur de graphes de calcul que l’on lit en un week-end.

    >>> import engine
    >>> import engine.tensor as T
    >>> x = T.dscalar("x")
    >>> f = engine.function([x], engine.grad(T.exp(T.sin(x**2)), x))
    >>> round(float(f(0.5)), 6)
    1.240883

Ordre de lecture : `graph`, `types`, `ops.elemwise`, `gradient`, `rewriting.core`, `compiler`.
"""

from engine import backends, drawing, gradient, printing, rewriting, tensor, testing
from engine.compiler import Function, In, Out, function
from engine.control import branches as ifelse
from engine.control import building as scan_module
from engine.control import foldl, foldr, map, reduce, scan
from engine.debug import DebugMode, NanGuardMode
from engine.gradient import Lop, Rop, grad
from engine.graph import Apply, Constant, Op, Type, Variable, clone
from engine.modes import Mode
from engine.ops.from_python import as_op
from engine.printing import debugprint, pp
from engine.settings import config
from engine.sharedvalue import SharedVariable, shared
from engine.tensor import as_tensor_variable
from engine.updates import OrderedUpdates
