"""Les boucles courantes : `map`, `reduce`, `foldl`, `foldr`.

Référence : les fonctions de mêmes noms de Theano.
"""

from engine.loops.building import scan


def map(
    fn,
    sequences,
    non_sequences=None,
    truncate_gradient=-1,
    go_backwards=False,
    mode=None,
    name=None,
):
    """Applique `fn` à chaque ligne des séquences ; rend (résultats, mises à jour).

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dmatrix("x")
        >>> norms, _ = map(lambda row: (row**2).sum(), x)
        >>> norms.eval({x: [[3.0, 4.0], [1.0, 0.0]]})
        array([25.,  1.])
    """
    return scan(
        fn,
        sequences,
        non_sequences=non_sequences,
        truncate_gradient=truncate_gradient,
        go_backwards=go_backwards,
        mode=mode,
        name=name,
    )


def reduce(
    fn,
    sequences,
    outputs_info,
    non_sequences=None,
    go_backwards=False,
    mode=None,
    name=None,
):
    """Comme `scan`, en ne rendant que la dernière valeur de chaque sortie.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> largest, _ = reduce(lambda v, best: T.maximum(v, best), x, T.constant(0.0))
        >>> largest.eval({x: [1.0, 5.0, 3.0]})
        array(5.)
    """
    outputs, updates = scan(
        fn,
        sequences,
        outputs_info,
        non_sequences,
        go_backwards=go_backwards,
        mode=mode,
        name=name,
        return_list=True,
    )
    finals = [output[-1] for output in outputs]
    return (finals[0] if len(finals) == 1 else finals), updates


def foldl(fn, sequences, outputs_info, non_sequences=None, mode=None, name=None):
    """`reduce` du début à la fin des séquences."""
    return reduce(fn, sequences, outputs_info, non_sequences, False, mode, name)


def foldr(fn, sequences, outputs_info, non_sequences=None, mode=None, name=None):
    """`reduce` de la fin au début des séquences.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> value, _ = foldr(lambda v, rest: v - rest, x, T.constant(0.0))
        >>> value.eval({x: [1.0, 2.0, 3.0]})
        array(2.)
    """
    return reduce(fn, sequences, outputs_info, non_sequences, True, mode, name)
