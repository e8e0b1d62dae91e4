"""Le visage du moteur, semblable à NumPy : `import engine.tensor as T`."""

from engine.graph import Variable
from engine.ops.elemwise import cast
from engine.tensor import methods, nnet, signal  # `methods` donne aux variables leurs opérateurs
from engine.tensor.creation import *  # noqa: F403
from engine.tensor.math import *  # noqa: F403
from engine.tensor.shaping import (
    concatenate,
    dimshuffle,
    flatten,
    inc_subtensor,
    reshape,
    set_subtensor,
    shape,
    stack,
    transpose,
)
from engine.types import (
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor_variable,
    constant,
)
