"""Les couches : un constructeur qui crée les paramètres, un appel qui rend une expression.

Une couche ne cache rien : ses paramètres sont des variables partagées ordinaires, listées par
`parameters`, et son appel s’écrit en une ligne que l’on aurait écrite soi-même. Une fonction comme
`T.tanh` s’enchaîne avec les couches.

Deux couches ne font pas la même chose pendant l’apprentissage et après, `Dropout` et
`BatchNormalization` : `layer(x)` est l’expression d’après, `layer(x, train=True)` celle de
l’apprentissage ; `chain` transmet.

Ordre de lecture : `dense`, `chaining`, `images`, `noise`, `normalization`, `recurrent`.
"""

from engine.nn.layers.chaining import Chain, chain
from engine.nn.layers.dense import Dense, Embedding, Flatten
from engine.nn.layers.images import Convolution, Pooling
from engine.nn.layers.noise import Dropout
from engine.nn.layers.normalization import BatchNormalization, running_updates
from engine.nn.layers.parameters import make_parameter
from engine.nn.layers.recurrent import GRU, LSTM, Recurrent
