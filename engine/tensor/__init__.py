"""Le visage du moteur, semblable à NumPy : `import engine.tensor as T`."""

from engine.graph import Variable
from engine.ops.elemwise import cast
from engine.tensor import (
    fft,
    methods,  # donne aux variables leurs opérateurs
    nlinalg,
    nnet,
    numpy_calls,  # et ce que NumPy et Python font d’elles
    raw_random,
    shared_randomstreams,
    signal,
    slinalg,
)
from engine.tensor.arrangement import (
    addbroadcast,
    ceil_intdiv,
    fill,
    inv,
    join,
    largest,
    outer,
    patternbroadcast,
    ptp,
    roll,
    round,
    shape_padaxis,
    shape_padleft,
    shape_padright,
    smallest,
    split,
    squeeze,
    swapaxes,
    unbroadcast,
)
from engine.tensor.creation import *  # noqa: F403
from engine.tensor.extra_ops import (
    argsort,
    bincount,
    cumprod,
    cumsum,
    diag,
    diagonal,
    diff,
    eye,
    flatnonzero,
    identity_like,
    nonzero,
    nonzero_values,
    repeat,
    searchsorted,
    sort,
    take,
    tile,
    to_one_hot,
    tri,
    tril,
    triu,
    unique,
)
from engine.tensor.math import *  # noqa: F403
from engine.tensor.nlinalg import batched_dot
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
