"""Dériver : le graphe du gradient, construit de la sortie vers les entrées.

`Lop` multiplie des vecteurs-lignes par la jacobienne (mode arrière), `grad` est le cas d’un coût
scalaire, `Rop` multiplie la jacobienne par des vecteurs-colonnes (mode avant, obtenu par un double
`Lop`). Rien n’est calculé ici : chaque op ajoute au graphe l’expression de sa contribution.

Ordre de lecture : `backward`, `Lop`, `grad`, `Rop`.

Références : Griewank et Walther, « Evaluating Derivatives », SIAM, 2008 ; J. Townsend, « A new
trick for calculating Jacobian vector products », 2017 (pour Rop).
"""

import warnings

from engine.core import trace
from engine.core.dead_gradients import settled
from engine.core.elemwise import Elemwise, cast, mask, unmask
from engine.core.errors import DisconnectedInputError, GradientError
from engine.core.graph import Variable, toposort, walk
from engine.core.types import FLOATS, as_tensor_variable, constant


def _dependents(outputs, wrt, blocked):
    """Les variables qui dépendent de `wrt` et dont `outputs` dépendent."""
    found = set(wrt)
    for variable in walk(outputs, blocked):
        node = variable.owner
        if (
            node is not None
            and variable not in blocked
            and any(entry in found for entry in node.inputs)
        ):
            found.add(variable)
    return found


def backward(seeds, wrt, consider_constant=(), known=frozenset()):
    """Rend {variable: gradient} pour `wrt`, à partir des gradients `seeds` des sorties."""
    blocked = set(_several(consider_constant))
    outputs = list(seeds)
    reach = _dependents(outputs, wrt, blocked)
    grads = {}
    for variable, gradient in seeds.items():
        accumulate(grads, variable, gradient)
    for node in reversed(toposort(outputs, blocked)):
        if not any(output in grads for output in node.outputs):
            continue
        if not any(entry in reach for entry in node.inputs):
            continue
        output_grads = [grads.get(output) for output in node.outputs]
        with trace.inherit(node.trace, "gradient"):
            contributions = _contributions(node, output_grads)
            for entry, contribution in zip(node.inputs, contributions, strict=True):
                if contribution is not None and entry in reach and entry not in known:
                    accumulate(grads, entry, contribution)
    return grads


def _contributions(node, output_grads):
    masks = []
    if len(output_grads) == 1:
        grad = settled(node, output_grads[0])
        if not isinstance(node.op, Elemwise):  # une condition sans axe passe au travers de tout
            masks, rest = unmask(grad)
            if rest.ndim == grad.ndim and any(all(c.broadcastable) for c, _ in masks):
                grad = mask(rest, [pair for pair in masks if not all(pair[0].broadcastable)])
            masks = [(c.dimshuffle(), kept) for c, kept in masks if all(c.broadcastable)]
        output_grads = [grad]
    try:
        found = node.op.L_op(node.inputs, node.outputs, output_grads)
        return [None if grad is None else mask(grad, masks) for grad in found] if masks else found
    except NotImplementedError as error:
        raise GradientError(
            f"{node.op} n'a pas de gradient",
            expected=f"une méthode L_op dans {type(node.op).__name__}",
            where=str(node.trace),
            hint="écrivez-la, ou dérivez sans passer par ce nœud : disconnected_grad, "
            "consider_constant",
            received=f"une op sans dérivée, {node.op}",
        ) from error


def accumulate(grads, variable, gradient):
    grads[variable] = grads[variable] + gradient if variable in grads else gradient


def _several(variables):
    return list(variables) if isinstance(variables, list | tuple) else [variables]


def _variables(wrt):
    """La liste de `wrt`, où il n’y a que des variables."""
    variables = _several(wrt)
    for variable in variables:
        if not isinstance(variable, Variable):
            raise GradientError(
                "on dérive par rapport à une variable symbolique",
                expected="une variable du graphe, comme T.dscalar('x') ou une variable partagée",
                received=f"{variable!r} ({type(variable).__name__})",
                hint="donnez la variable elle-même, non son nom ou sa valeur",
            )
    return variables


def _like(variables, results):
    return results if isinstance(variables, list | tuple) else results[0]


def grad(
    cost,
    wrt,
    consider_constant=None,
    disconnected_inputs="raise",
    add_names=False,
    known_grads=None,
    return_disconnected="zero",
    null_gradients="raise",
):
    """Gradient symbolique d’un coût scalaire.

    Paramètres
        cost : variable scalaire flottante (None si `known_grads` suffit).
        wrt : variable, ou liste de variables.
        consider_constant : variables à travers lesquelles on ne dérive pas.
        disconnected_inputs : si le coût ne dépend pas d’une variable : "raise", "warn", "ignore"
            (les deux derniers rendent un gradient nul).
        add_names : nommer le gradient (dcoût/dx) si le coût et la variable ont un nom.
        known_grads : {variable: gradient déjà connu}, au lieu de celui qui viendrait du coût.
        return_disconnected : le gradient d’une variable dont le coût ne dépend pas : "zero", nul ;
            "None", None.
        null_gradients : accepté ; une op sans dérivée est toujours une erreur.

    Renvoie
        Une variable de la forme et du dtype de `wrt`, ou la liste.

    Lève
        GradientError : coût non scalaire ou entier.
        DisconnectedInputError : le coût ne dépend pas d’une des variables.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> grad(x**2, x).eval({x: 3.0})
        array(6.)
    """
    if disconnected_inputs not in ("raise", "warn", "ignore"):
        raise GradientError(
            "grad : réglage disconnected_inputs inconnu",
            expected="'raise', 'warn' ou 'ignore'",
            received=repr(disconnected_inputs),
            hint="'ignore' rend un gradient nul",
        )
    if return_disconnected not in ("zero", "None"):
        raise GradientError(
            "grad : réglage return_disconnected inconnu",
            expected="'zero' ou 'None'",
            received=repr(return_disconnected),
        )
    seeds = {
        variable: _weight(variable, value) for variable, value in dict(known_grads or {}).items()
    }
    if cost is not None:
        cost = as_tensor_variable(cost)
        if cost.ndim != 0:
            raise GradientError(
                "on ne dérive qu'un coût scalaire",
                expected="une variable sans axe",
                received=f"{cost} : {cost.short()}",
                where=str(cost.owner.trace) if cost.owner else None,
                hint="prenez cost.mean() ou cost.sum() ; sinon dérivez chaque sortie",
            )
        if cost.dtype not in FLOATS:
            raise GradientError(
                "on ne dérive pas un coût entier",
                expected="un coût flottant",
                received=cost.dtype,
                hint="un entier varie par sauts : convertissez plus tôt, x.astype('float32')",
            )
        one = constant(1.0, dtype=cost.dtype)
        seeds[cost] = seeds[cost] + one if cost in seeds else one
    variables = _variables(wrt)
    grads = backward(seeds, variables, consider_constant or (), set(known_grads or ()))
    results = []
    for variable in variables:
        result = _finish(grads, variable, cost, disconnected_inputs)
        if variable not in grads and return_disconnected == "None":
            result = None
        elif (
            add_names
            and result.name is None
            and None not in (getattr(cost, "name", None), variable.name)
        ):
            result.name = f"(d{cost.name}/d{variable.name})"
        results.append(result)
    return _like(wrt, results)


def _finish(grads, variable, cost, disconnected_inputs):
    if variable in grads:
        gradient = grads[variable]
        gradient = gradient if variable.dtype not in FLOATS else cast(gradient, variable.dtype)
        if gradient.owner is not None and any(variable.dims):
            gradient.dims = variable.dims
        return gradient
    error = DisconnectedInputError(
        f"le coût ne dépend pas de {variable}",
        expected=f"un chemin dérivable de {variable} au coût {cost}",
        received="aucun chemin (ou seulement par une forme, un indice)",
        hint="vérifiez que le coût utilise bien cette variable et non une copie ; "
        "sinon passez disconnected_inputs='ignore' pour un gradient nul",
    )
    if disconnected_inputs == "raise":
        raise error
    if disconnected_inputs == "warn":
        warnings.warn(str(error), stacklevel=3)
    return variable.zeros_like(dtype=variable.dtype if variable.dtype in FLOATS else "floatX")


def Lop(f, wrt, eval_points, consider_constant=None):
    """Produit vecteur-jacobienne : Σ v_i ∂f_i/∂wrt, pour des vecteurs v = `eval_points` de la
    forme de f.

    Paramètres
        f, eval_points : variable(s) et poids de même forme.
        wrt : variable, ou liste.

    Renvoie
        Une variable de la forme de `wrt`, ou la liste ; nulle si f n’en dépend pas.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> Lop(x**2, x, T.ones_like(x)).eval({x: [1.0, 2.0]})
        array([2., 4.])
    """
    seeds, weights, variables = {}, _several(eval_points), _variables(wrt)
    _same_number("Lop", _several(f), weights)
    for output, weight in zip(_variables(f), weights, strict=True):
        accumulate(seeds, output, _weight(output, weight))
    grads = backward(seeds, variables, consider_constant or ())
    return _like(wrt, [_finish(grads, variable, f, "ignore") for variable in variables])


def _weight(variable, value):
    """Le poids, ou le gradient connu, d’une variable : il en a les axes."""
    weight = as_tensor_variable(value)
    if weight.ndim != variable.ndim:
        raise GradientError(
            f"le gradient donné pour {variable} n'a pas ses axes",
            expected=f"{variable.ndim} axe(s), comme {variable}",
            received=f"{weight} : {weight.short()}",
            hint="pour le même poids partout : T.ones_like(variable) * poids",
        )
    return weight


def _same_number(name, variables, weights):
    if len(variables) != len(weights):
        raise GradientError(
            f"{name} : un poids par variable",
            expected=f"eval_points : {len(variables)} expression(s)",
            received=f"{len(weights)}",
            hint="un vecteur de poids est un tableau (np.array, T.constant), non une liste",
        )


def Rop(f, wrt, eval_points):
    """Produit jacobienne-vecteur : Σ ∂f/∂wrt_j v_j, pour des vecteurs v = `eval_points` de la
    forme de `wrt`.

    Obtenu par un double `Lop` : w -> wᵀJ est linéaire, sa propre transposée donne J v.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> Rop(x**2, x, T.ones_like(x)).eval({x: [1.0, 2.0]})
        array([2., 4.])
    """
    outputs = _variables(f)
    _same_number("Rop", _several(wrt), _several(eval_points))
    # sous `disconnected_grad`, des zéros qui ne disent pas d’office que le gradient est nul
    weights = [output.zeros_like().disconnected_grad() for output in outputs]
    backward = Lop(outputs, _several(wrt), weights)
    return _like(f, Lop(backward, weights, _several(eval_points)))
