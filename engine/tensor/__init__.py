"""Le visage du moteur, semblable à NumPy : `import engine.tensor as T`.

Importe : core, ops.

Ordre de lecture : `math`, `creation`, `shaping`, `arrangement`, `extra_ops`, `nnet/`, `signal/`,
`nlinalg`, `slinalg`, `fft`, `raw_random`, `shared_randomstreams` ; puis ce que les variables en
reçoivent : `methods`, `numpy_calls`, `dead_gradients`, `cloning`, `pickling`, `forks`, `whole` (où
trouver le reste du moteur).

On y vient ajouter une fonction faite d’autres (dans le fichier de sa famille), une méthode
(`methods`), ou ce que NumPy fait d’une variable (`numpy_calls`).
"""

from importlib import import_module as _import_module

from engine.core.elemwise import cast
from engine.core.gradient import Lop, Rop, grad
from engine.core.graph import Variable
from engine.core.types import (
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor_variable,
    constant,
)
from engine.tensor import (
    dead_gradients,  # où un gradient qui se déplace est nul d’office
    fft,
    forks,  # un fork pendant une compilation
    methods,  # donne aux variables leurs méthodes
    nlinalg,
    nnet,
    numpy_calls,  # et ce que NumPy et Python font d’elles
    pickling,  # un long graphe s’écrit sans s’enfoncer
    raw_random,
    shared_randomstreams,
    signal,
    slinalg,
    whole,  # où trouver le reste du moteur
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

# Ceux-là sont bâtis plus haut : ils viennent au premier usage.
LATER = {"jacobian": "loops.derivatives", "hessian": "loops.derivatives",
         "verify_grad": "look.testing"}  # fmt: skip


def __getattr__(name):
    if name not in LATER:
        raise AttributeError(f"module 'engine.tensor' has no attribute {name!r}")
    globals()[name] = found = getattr(_import_module(f"engine.{LATER[name]}"), name)
    return found
