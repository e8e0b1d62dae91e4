"""Dix fautes de débutant et ce que le moteur en dit : `python -m tests.engine.mistakes`.

Les fautes sont celles de `test_errors.py`, qui en éprouve une quarantaine ; chacune est refaite à
chaque impression, et son message est celui de l’erreur levée.
"""

import inspect

from engine import config
from engine.errors import EngineError
from tests.engine import test_errors as errors

TEN = {
    errors.product_of_wrong_shapes: "multiplier des matrices dont les formes ne vont pas",
    errors.vector_for_a_matrix: "donner un vecteur à la place d’une matrice",
    errors.float64_in_an_update: "mettre à jour une variable float32 avec du float64",
    errors.forgotten_argument: "oublier un argument",
    errors.input_that_serves_nothing: "déclarer une entrée qui ne sert pas",
    errors.cost_with_axes: "dériver un coût qui n’est pas un nombre",
    errors.cost_that_ignores_a_parameter: "dériver par rapport à ce qui n’est pas dans le coût",
    errors.label_out_of_range: "donner une étiquette hors des classes",
    errors.comparison_as_a_condition: "écrire if x > 0 avec une variable symbolique",
    errors.shared_variable_as_input: "donner une variable partagée en entrée",
}


def message(mistake):
    """Le texte de l’erreur que la faute provoque."""
    try:
        with config.change_flags():
            mistake()
    except EngineError as error:
        return str(error)
    raise AssertionError(f"{mistake.__name__} n’a rien provoqué")


def report():
    """Les dix fautes : ce que l’on voulait, ce que l’on a écrit, ce que le moteur répond."""
    parts = []
    for rank, (mistake, title) in enumerate(TEN.items(), start=1):
        body = inspect.getsource(mistake).splitlines()[1:]
        code = "\n".join(f"    {line.strip()}" for line in body)
        parts.append(f"{rank}. {title[0].upper()}{title[1:]}\n\n{code}\n\n{message(mistake)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(report())
