"""Le front-end : ce qu’un apprentissage demande, fait avec les seuls noms publics du moteur."""

from engine.nn.training import EarlyStopping, Record, Training
