"""Le visage du moteur, semblable à NumPy : `import engine.tensor as T`."""

from engine.core.graph import Variable
from engine.core.elemwise import cast
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
    cov,
    deg2rad,
    divmod,
    fill,
    inv,
    join,
    largest,
    outer,
    patternbroadcast,
    ptp,
    rad2deg,
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
    argtopk,
    bincount,
    choose,
    compress,
    cumprod,
    cumsum,
    diag,
    diagonal,
    diff,
    eye,
    fill_diagonal,
    fill_diagonal_offset,
    flatnonzero,
    identity_like,
    inverse_permutation,
    nonzero,
    nonzero_values,
    permute_row_elements,
    repeat,
    searchsorted,
    sort,
    take,
    tile,
    to_one_hot,
    topk,
    topk_and_argtopk,
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
    specify_shape,
    stack,
    transpose,
)
from engine.core.types import (
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor_variable,
    constant,
)
