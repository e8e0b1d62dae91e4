"""Dériver plus qu’un scalaire : `jacobian` et `hessian`, une ligne par pas d’une boucle."""

from engine import tensor
from engine.core.errors import GradientError
from engine.core.gradient import grad
from engine.core.types import as_tensor_variable
from engine.loops.building import scan


def jacobian(expression, wrt, consider_constant=None, disconnected_inputs="raise"):
    """Jacobienne : tous les ∂expression_i / ∂wrt_j.

    Paramètres
        expression : scalaire ou vecteur.
        wrt : variable, ou liste.
        consider_constant, disconnected_inputs : voir `grad`.

    Renvoie
        Une variable (ou une liste) dont le premier axe est celui de l’expression (aucun si elle est
        scalaire) et les suivants ceux de `wrt`.

    Lève
        GradientError : expression de plus d’un axe.

    Exemple
        >>> x = tensor.dvector("x")
        >>> jacobian(x**2, x).eval({x: [1.0, 2.0]})
        array([[2., 0.],
               [0., 4.]])
    """
    expression = as_tensor_variable(expression)
    if expression.ndim > 1:
        raise GradientError(
            "jacobian attend un scalaire ou un vecteur",
            received=f"{expression} : {expression.short()}",
            hint="aplatissez l'expression : expression.flatten()",
            expected="au plus un axe",
        )
    if expression.ndim == 0:
        return grad(expression, wrt, consider_constant, disconnected_inputs)
    variables = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    rows, _ = scan(
        lambda i: grad(expression[i], variables, consider_constant, disconnected_inputs),
        sequences=tensor.arange(expression.shape[0]),
        name="jacobienne",
        return_list=True,
    )
    return rows if isinstance(wrt, list | tuple) else rows[0]


def hessian(cost, wrt, consider_constant=None, disconnected_inputs="raise"):
    """Hessienne : tous les ∂²cost / ∂wrt_i ∂wrt_j.

    Paramètres
        cost : scalaire.
        wrt : vecteur, ou liste de vecteurs.

    Renvoie
        Une matrice (ou une liste).

    Lève
        GradientError : `wrt` n’est pas un vecteur.

    Exemple
        >>> x = tensor.dvector("x")
        >>> hessian((x**3).sum(), x).eval({x: [1.0, 2.0]})
        array([[ 6.,  0.],
               [ 0., 12.]])
    """
    variables = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    results = []
    for variable in variables:
        if variable.ndim != 1:
            raise GradientError(
                "hessian dérive par rapport à un vecteur",
                received=f"{variable} : {variable.short()}",
                hint="écrivez le coût comme fonction d'un vecteur, puis reshape",
                expected="un axe",
            )
        gradient = grad(cost, variable, consider_constant, disconnected_inputs)
        results.append(jacobian(gradient, variable, consider_constant, "ignore"))
    return results if isinstance(wrt, list | tuple) else results[0]
