"""Chercher une faute : valeurs d’essai, Print, NanGuardMode, DebugMode, affichages, profil."""

import io
import sys

import numpy
import theano
import theano.tensor as T
from theano.compile.debugmode import DebugMode
from theano.compile.nanguardmode import NanGuardMode
from theano.printing import Print, debugprint, pp, pprint
from theano.tests.breakpoint import PdbBreakpoint

theano.config.exception_verbosity = "high"
theano.config.optimizer = "fast_compile"
numpy.random.seed(42)

# Une faute de forme, trouvée à la construction
theano.config.compute_test_value = "raise"
W = theano.shared(numpy.asarray(numpy.random.rand(5, 10), dtype=theano.config.floatX), "W")
x = T.matrix("x")
x.tag.test_value = numpy.random.rand(3, 6).astype(theano.config.floatX)
try:
    T.dot(x, W)
    shape_error = None
except Exception as error:
    shape_error = error
x.tag.test_value = numpy.random.rand(3, 5).astype(theano.config.floatX)
product = T.dot(x, W)
test_shape = product.tag.test_value.shape
theano.config.compute_test_value = "off"

# Print
stdout, sys.stdout = sys.stdout, io.StringIO()
v = T.dvector("v")
printed = Print("une valeur", attrs=["min", "max"])(v)
doubled = theano.function([v], printed * 2)([1.0, 5.0, 3.0])
debugprint(T.exp(v).sum())
shown, sys.stdout = sys.stdout.getvalue(), stdout
formula = pp(T.exp(v).sum()), pprint(v * 2)
tree = debugprint(theano.function([v], v * 2 + 1), file="str")

# Point d’arrêt : la condition est fausse, rien ne s’arrête
monitored = PdbBreakpoint("valeur négative")(T.lt(v.sum(), 0), v)
unstopped = theano.function([v], monitored * 3)([1.0, 2.0])

# NaN
logarithm = theano.function(
    [v], T.log(v), mode=NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=True)
)
fine = logarithm([1.0, 2.0])
try:
    logarithm([-1.0, 2.0])
    nan_error = None
except (AssertionError, ArithmeticError, ValueError) as error:
    nan_error = error

# DebugMode, par nom et par objet
in_debug = theano.function([v], T.nnet.softmax(v), mode="DebugMode")([0.0, 1.0])
in_debug_too = theano.function([v], (v**2).sum(), mode=DebugMode(check_py_code=False))([1.0, 2.0])

# Modes
fast = theano.function([v], v.sum(), mode=theano.Mode(linker="py", optimizer="fast_compile"))
without = theano.function([v], v.sum(), mode=theano.compile.get_default_mode().excluding("fusion"))
sums = fast([1.0, 2.0]), without([1.0, 2.0])

# Une faute à l’exécution dit le nœud et les formes
a, b = T.dvectors("a", "b")
try:
    theano.function([a, b], a + b)([1.0, 2.0, 3.0], [1.0, 2.0])
    runtime_error = None
except ValueError as error:
    runtime_error = error

# Profil
profiled = theano.function([v], T.tanh(v).sum(), profile=True)
profiled([1.0, 2.0])
profile_text = str(profiled.profile)
try:
    theano.function([v, a], v.sum())
    unused_error = None
except theano.compile.UnusedInputError as error:
    unused_error = error
