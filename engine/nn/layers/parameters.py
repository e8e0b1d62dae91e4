"""La variable partagée d’un paramètre, d’après ce que l’on donne à une couche."""

import numpy as np

from engine import SharedVariable, shared
from engine.core.errors import EngineError, ShapeError
from engine.nn.initializers import constant


def make_parameter(source, shape, role, prefix=None, generator=None):
    """Rend la variable partagée d’un paramètre.

    Paramètres
        source : fonction d’initialisation (forme, générateur) -> tableau, tableau, ou variable
            partagée, rendue telle quelle.
        shape : forme attendue.
        role, prefix : le nom sera `prefix.role`, ou `role`.
        generator : `numpy.random.Generator` des fonctions d’initialisation.

    Lève
        ShapeError : la valeur n’a pas la forme attendue.
        EngineError : l’initialisation tire au hasard et `generator` manque.

    Exemple
        >>> make_parameter(constant, (2,), "b", "h").get_value()
        array([0., 0.])
    """
    name = role if prefix is None else f"{prefix}.{role}"
    if not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise ShapeError(
            f"{name} : les tailles d'une couche sont des entiers, d'au moins 1",
            expected="par exemple Dense(784, 10)",
            received=str(tuple(shape)),
            hint="une division de tailles s'écrit //",
        )
    if isinstance(source, str) or not isinstance(generator, np.random.Generator | None):
        raise EngineError(
            f"{name} : initialisation impossible",
            expected="une fonction de engine.nn.initializers, un tableau ; un générateur semé",
            received=f"{source!r}, generator={generator!r}",
            hint="W=nn.initializers.glorot_uniform, generator=numpy.random.default_rng(0)",
        )
    if callable(source) and not isinstance(source, SharedVariable):
        if generator is None and source is not constant:
            raise EngineError(
                f"{name} : l'initialisation tire au hasard, et le générateur manque",
                expected="un générateur semé",
                hint="generator=numpy.random.default_rng(0)",
                received="aucun générateur",
            )
        source = source(shape, generator)
    parameter = source if isinstance(source, SharedVariable) else shared(source, name=name)
    found = parameter.get_value(borrow=True).shape
    if found != tuple(shape):
        raise ShapeError(
            f"{name} n'a pas la forme qu'il faut",
            expected=str(tuple(shape)),
            received=str(found),
            hint="vérifiez les tailles de la couche, ou transposez le tableau",
        )
    return parameter
