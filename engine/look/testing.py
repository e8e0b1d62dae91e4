"""Éprouver une op : sa valeur, ses formes, ses dos de calcul, son gradient ; comparer deux graphes.

Chaque fonction lève `AssertionError`, avec les nombres ou les graphes, quand l’épreuve échoue.

Ordre de lecture : `check_op` (tout, pour une op), `check_grads` (les dérivées d’une fonction),
`verify_grad` (la même épreuve, sous son nom de Theano), `assert_same_graph`.

Référence : l’idée des projections aléatoires vient de `autograd.test_util.check_grads` (Maclaurin,
Duvenaud, Johnson, 2015).
"""

import numpy as np

from engine.core.compiler import function
from engine.core.dtypes import FLOATS
from engine.core.fgraph import FunctionGraph
from engine.core.gradient import Lop, Rop
from engine.core.graph import Constant, Variable, graph_inputs, toposort
from engine.core.modes import Mode
from engine.core.sharedvalue import SharedVariable
from engine.core.types import TensorConstant, TensorType
from engine.look.contract import strict_perform
from engine.look.printing import debugprint
from engine.ops.shape import ShapeAxis

REFERENCE = Mode("numpy", None)
STEP = (
    1e-6  # pas des différences finies : l’erreur de troncature et celle d’arrondi s’y équilibrent
)


# ---- valeurs, formes, dos de calcul ------------------------------------------------------


def check_op(op, inputs, modes=(None,), rtol=None, atol=None):
    """Éprouve `op` sur des tableaux : contrat de `perform`, formes, dos de calcul.

    Paramètres
        op : l’op, ou une fonction de variables vers une variable ou une liste.
        inputs : tableaux NumPy ; leur dtype est celui des variables.
        modes : dos de calcul comparés à la référence NumPy.
        rtol, atol : tolérances ; par défaut 1e-5 en float32, 1e-10 en float64.

    Renvoie
        La valeur de référence (une liste, s’il y a plusieurs sorties).

    Lève
        AssertionError : ce qui diffère, ou le manquement au contrat (`InvalidValueError`,
        `BadViewMap`, `BadDestroyMap`).

    Exemple
        >>> from engine import tensor as T
        >>> check_op(T.exp, [np.array([0.0, 1.0])]).round(3)
        array([1.   , 2.718])
    """
    variables = [TensorType(value.dtype, shape=(None,) * value.ndim)() for value in inputs]
    outputs = op(*variables)
    single = not isinstance(outputs, list | tuple)
    outputs = [outputs] if single else list(outputs)
    check_contract(variables, outputs, inputs)
    expected = checked_run(variables, outputs, inputs, REFERENCE)
    for output, value in zip(outputs, expected, strict=True):
        check_shapes(variables, output, inputs, value)
    narrow = "float32" in [v.dtype for v in (*outputs, *variables)]
    rtol = rtol if rtol is not None else 1e-5 if narrow else 1e-10
    atol = atol if atol is not None else 1e-6 if narrow else 1e-12
    for mode in modes:
        chosen = mode if isinstance(mode, Mode) else Mode(mode, None)
        for value, found in zip(
            expected, checked_run(variables, outputs, inputs, chosen), strict=True
        ):
            assert found.dtype == value.dtype, f"{mode} : {found.dtype}, et non {value.dtype}"
            np.testing.assert_allclose(found, value, rtol, atol, err_msg=f"{op}, {mode}")
    return expected[0] if single else expected


def check_contract(variables, outputs, values):
    """Vérifie le `perform` de chaque nœud entre `variables` et `outputs`, et ses noms d’axes.

    Lève
        InvalidValueError, BadViewMap, BadDestroyMap : voir `engine.core.contract`.
    """
    known = dict(zip(variables, values, strict=True))
    for leaf in graph_inputs(outputs, set(variables)):
        if leaf not in known:
            shared = isinstance(leaf, SharedVariable)
            known[leaf] = leaf.get_value(borrow=True) if shared else leaf.data
    for node in toposort(outputs, variables):
        results = strict_perform(node, [known[entry] for entry in node.inputs])
        known.update(zip(node.outputs, results, strict=True))
        for output in node.outputs:
            assert len(output.dims) == output.ndim, f"{node.op} : noms d'axes {output.dims}"


def checked_run(variables, outputs, values, mode):
    """Calcule des sorties, en vérifiant que les entrées n’ont pas changé."""
    compiled = function(variables, outputs, mode=mode, on_unused_input="ignore")
    before = [value.copy() for value in values]
    results = compiled(*values)
    for position, (value, copy) in enumerate(zip(values, before, strict=True)):
        assert np.array_equal(value, copy, equal_nan=value.dtype.name in FLOATS), (
            f"entrée {position} modifiée"
        )
    return results


def check_shapes(variables, output, values, result):
    """Vérifie le dtype, la forme du type et `infer_shape` contre le résultat obtenu."""
    assert str(result.dtype) == output.dtype, f"dtype {result.dtype}, annoncé {output.dtype}"
    assert result.ndim == output.ndim, f"{result.ndim} axes, annoncés {output.ndim}"
    for known, real in zip(output.type.shape, result.shape, strict=True):
        assert known in (None, real), f"forme {result.shape}, annoncée {output.type.shape}"
    if output.owner is None:
        return
    node = output.owner
    entries = [tuple(ShapeAxis(axis)(entry) for axis in range(entry.ndim)) for entry in node.inputs]
    shape = node.op.infer_shape(node, entries)[output.index]
    known = [(axis, n) for axis, n in enumerate(shape or ()) if n is not None]
    assert shape is None or len(shape) == result.ndim, f"infer_shape : {shape}"
    lengths = [
        n if isinstance(n, Variable) else TensorType("int64")().type.make_constant(n)
        for _, n in known
    ]
    found = checked_run(variables, lengths, values, REFERENCE) if lengths else []
    for (axis, _), length in zip(known, found, strict=True):
        assert length == result.shape[axis], (
            f"infer_shape, axe {axis} : {length}, réel {result.shape}"
        )


# ---- dérivées ----------------------------------------------------------------------------


def check_grads(fun, points, order=2, seed=0, eps=STEP, rtol=1e-5, atol=1e-7):
    """Éprouve les dérivées d’une fonction : Lop contre les différences finies, Rop contre Lop.

    La sortie et les directions sont pondérées au hasard : f(x) devient le nombre wᵀ f(x + t v),
    dont la dérivée en t se calcule de trois façons.

    Paramètres
        fun : fonction de variables vers une variable (flottante).
        points : tableaux float64 où dériver.
        order : 1, ou 2 pour éprouver aussi la dérivée de la dérivée.
        eps : pas des différences finies centrées.

    Lève
        AssertionError : deux dérivées diffèrent.

    Exemple
        >>> from engine import tensor as T
        >>> check_grads(lambda x: (x**3).sum(), [np.array([1.0, -2.0])])
    """
    rng = np.random.default_rng(seed)
    points = [np.asarray(point, dtype="float64") for point in points]
    variables = [TensorType("float64", shape=(None,) * point.ndim)() for point in points]
    directions = [
        rng.uniform(0.5, 1.5, point.shape) * rng.choice([-1, 1], point.shape) for point in points
    ]
    tangents = [variable.type() for variable in variables]
    output = fun(*variables)
    (value,) = checked_run(variables, [output], points, REFERENCE)
    weights = rng.uniform(0.5, 1.5, value.shape) * rng.choice([-1, 1], value.shape)
    weight = output.type()
    for name in ("ordre 1", "ordre 2")[:order]:
        backward = Lop(output, variables, weight)
        slope = sum((g * v).sum() for g, v in zip(backward, tangents, strict=True))
        forward = (Rop(output, variables, tangents) * weight).sum()
        arguments = [*variables, *tangents, weight]
        compiled = function(arguments, [slope, forward], mode=REFERENCE, on_unused_input="ignore")
        by_lop, by_rop = compiled(*points, *directions, weights)
        values = function(variables, output, mode=REFERENCE, on_unused_input="ignore")
        ahead, behind = (
            values(*(x + sign * eps * v for x, v in zip(points, directions, strict=True)))
            for sign in (1, -1)
        )
        numeric = ((ahead - behind) / (2 * eps) * weights).sum()
        message = f"{fun}, {name} : Lop {by_lop}, Rop {by_rop}, différences finies {numeric}"
        scale = max(1.0, np.abs(value).max(initial=0.0))
        np.testing.assert_allclose(by_lop, numeric, rtol, atol * scale, err_msg=message)
        np.testing.assert_allclose(by_rop, by_lop, 1e-9, 1e-11 * scale, err_msg=message)
        if (
            name == "ordre 1" and order == 2
        ):  # la dérivée, dans une direction fixe, devient la fonction
            fixed = [
                tangent.type.make_constant(v)
                for tangent, v in zip(tangents, directions, strict=True)
            ]
            constant_weight = output.type.make_constant(weights)
            again = Lop(output, variables, constant_weight)
            output = sum((g * v).sum() for g, v in zip(again, fixed, strict=True))
            (value,) = checked_run(variables, [output], points, REFERENCE)
            weights, weight = np.array(1.0), output.type()


def verify_grad(fun, pt, n_tests=2, rng=None, eps=None, abs_tol=None, rel_tol=None):
    """Vérifie le gradient de `fun` aux points `pt`, sur `n_tests` projections au hasard.

    Paramètres
        fun : fonction de variables vers une variable.
        pt : liste de tableaux float64.
        n_tests, rng, eps, abs_tol, rel_tol : nombre d’essais, générateur, pas, tolérances.

    Lève
        AssertionError : le gradient et les différences finies ne s’accordent pas.

    Exemple
        >>> from engine import tensor as T
        >>> verify_grad(T.tanh, [np.array([0.5])])
    """
    rng = np.random.default_rng(0) if rng is None else rng
    for _ in range(n_tests):
        seed = int(rng.integers(2**31)) if hasattr(rng, "integers") else int(rng.randint(2**31 - 1))
        check_grads(fun, pt, 1, seed, eps or STEP, rel_tol or 1e-4, abs_tol or 1e-6)


# ---- graphes -----------------------------------------------------------------------------


def assert_same_graph(obtained, expected):
    """Vérifie que deux graphes font les mêmes opérations sur les mêmes feuilles.

    Paramètres
        obtained, expected : variable, liste de variables, graphe ou fonction compilée. Deux
            feuilles se correspondent si c’est la même variable, deux constantes égales, ou deux
            variables de mêmes nom et dtype (une fonction compilée recopie ses entrées).

    Lève
        AssertionError : les deux graphes, imprimés l’un sous l’autre.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> f = function([x], T.log(1 + T.exp(x)), mode="FAST_RUN")
        >>> assert_same_graph(f, T.nnet.softplus(x))
    """
    pairs = list(zip(_outputs(obtained), _outputs(expected), strict=True))
    met = {}
    while pairs:
        found, wanted = pairs.pop()
        if met.setdefault(found, wanted) is not wanted:
            continue
        if not _same_variable(found, wanted):
            raise AssertionError(
                f"les graphes diffèrent : {found!r} au lieu de {wanted!r}\n"
                f"--- obtenu\n{debugprint(_outputs(obtained), file='str')}\n"
                f"--- attendu\n{debugprint(_outputs(expected), file='str')}"
            )
        if found.owner is not None:
            pairs += zip(found.owner.inputs, wanted.owner.inputs, strict=True)


def _outputs(thing):
    thing = getattr(thing, "fgraph", thing)
    if isinstance(thing, FunctionGraph):
        return list(thing.outputs)
    return list(thing) if isinstance(thing, list | tuple) else [thing]


def _same_variable(found, wanted):
    if found is wanted:
        return True
    if isinstance(wanted, Constant) or isinstance(found, Constant):
        both = isinstance(found, TensorConstant) and isinstance(wanted, TensorConstant)
        return both and found.signature() == wanted.signature()
    if (found.owner is None) != (wanted.owner is None) or found.type.dtype != wanted.type.dtype:
        return False
    if found.owner is None:
        return found.name is not None and found.name == wanted.name
    same_place = found.index == wanted.index and len(found.owner.inputs) == len(wanted.owner.inputs)
    return same_place and str(found.owner.op) == str(wanted.owner.op)


def ops_of(thing):
    """Les ops d’un graphe ou d’une fonction compilée, dans l’ordre du calcul, en texte.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> ops_of(T.exp(x) + 1)
        ['exp', 'add']
    """
    return [str(node.op) for node in toposort(_outputs(thing))]
