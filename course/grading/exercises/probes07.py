"""Sondes de l’exercice 07 : elles donnent des tableaux à l’élève, et compilent ce qu’il rend.

Chaque sonde rend des nombres, ou None quand la réponse est encore vide. Une sortie de mauvaise
forme revient telle quelle : c’est la vérification qui l’explique.
"""

import numpy as np

import engine
import engine.tensor as T


def convolved(build, image, kernel):
    """Le résultat de `build(image, kernel)`, et si les deux tableaux sont restés intacts."""
    image, kernel = np.array(image), np.array(kernel)
    before = image.copy(), kernel.copy()
    result = build(image, kernel)
    if result is None:
        return None
    kept = np.array_equal(image, before[0]) and np.array_equal(kernel, before[1])
    return {"result": np.asarray(result), "kept": kept}


def pooled(build, maps):
    """La valeur de `build(cartes)`."""
    x = T.tensor4("cartes")
    answer = build(x)
    if answer is None:
        return None
    return engine.function([x], answer, on_unused_input="ignore")(_floats(maps))


def pooled_gradient(build, maps, weights):
    """Le gradient, par rapport aux cartes, de la somme de `build(cartes)` pondérée."""
    x = T.tensor4("cartes")
    answer = build(x)
    if answer is None:
        return None
    slope = engine.grad((answer * _floats(weights)).sum(), x)
    return engine.function([x], slope, on_unused_input="ignore")(_floats(maps))


def stages(build, filters, images, seed):
    """La sortie des étages de `build(filters, générateur)`, et les valeurs de leurs paramètres."""
    model = build(list(filters), np.random.default_rng(seed))
    if model is None:
        return None
    generator = np.random.default_rng(seed)
    for parameter in model.parameters:  # des biais nuls ne diraient rien
        if parameter.ndim == 1:
            length = parameter.get_value().shape
            parameter.set_value(_floats(generator.uniform(-0.5, 0.5, length)))
    x = T.tensor4("images")
    return {
        "output": engine.function([x], model(x), on_unused_input="ignore")(_floats(images)),
        "parameters": [parameter.get_value() for parameter in model.parameters],
    }


def _floats(value):
    return np.array(value, dtype=engine.config.floatX)
