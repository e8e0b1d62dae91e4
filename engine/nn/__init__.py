"""Le front-end : ce qu’un apprentissage demande, fait avec les seuls noms publics du moteur."""

from engine.nn import (
    gradients,
    initializers,
    layers,
    losses,
    optimizers,
    regularization,
    schedules,
)
from engine.nn.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Pooling,
    Recurrent,
    chain,
    running_updates,
)
from engine.nn.training import EarlyStopping, Record, Training
