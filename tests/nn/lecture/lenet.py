"""Un réseau à convolutions sur MNIST : le pendant de `lasagne.txt`, avec les couches du cours."""

import numpy as np

from course.data import Batches, mnist
from engine import config, function, nn
from engine import tensor as T

config.floatX = "float32"

# les variables symboliques d’un minilot, et MNIST
x, y = T.matrix("X"), T.lvector("y")
train, _, test = mnist()

# un petit réseau à convolutions : LeNet
generator = np.random.default_rng(0)
model = nn.chain(
    lambda x: x.reshape((-1, 1, 28, 28)),
    nn.Convolution(1, 20, 5, T.nnet.relu, generator=generator),
    nn.Pooling(2),
    nn.Convolution(20, 50, 5, T.nnet.relu, generator=generator),
    nn.Pooling(2),
    nn.Flatten(),
    nn.Dropout(0.5, generator),
    nn.Dense(800, 500, T.nnet.relu, W=nn.initializers.orthogonal, generator=generator),
    nn.Dropout(0.5, generator),
    nn.Dense(500, 10, T.nnet.softmax, generator=generator),
)

# le coût
loss = nn.losses.categorical_crossentropy(model(x, train=True), y).mean()
loss = loss + 1e-4 * nn.regularization.l2([p for p in model.parameters if p.ndim > 1])

# les mises à jour
updates = nn.optimizers.nesterov_momentum(loss, model.parameters, learning_rate=0.01, momentum=0.9)

# la fonction qui apprend d’un lot et rend la perte
train_fn = function([x, y], loss, updates=updates)

# l’apprentissage
training_data = Batches(train.x, train.y, size=100, seed=0)
for epoch in range(3):
    seen = [train_fn(*batch) for batch in training_data]
    print(f"Époque {epoch + 1} : perte {np.mean(seen):.3f}")

# les prédictions
predict_fn = function([x], T.argmax(model(x), axis=1))
print(f"Première image de test : {predict_fn(test.x[:1])[0]}")
