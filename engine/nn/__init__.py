"""Le front-end : ce qu’un apprentissage demande, fait avec les seuls noms publics du moteur.

Importe : core, ops, tensor, loops, io.

Ordre de lecture : `layers/`, `losses`, `optimizers`, `initializers`, `regularization`, `schedules`,
`gradients`, `training`.

On y vient ajouter une couche (une classe dans `layers/`), un optimiseur (une fonction qui rend des
mises à jour), ou un coût (`losses`).
"""

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
