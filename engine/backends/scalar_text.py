"""Le texte des fonctions scalaires, dont tous les dos de calcul compilés font leurs boucles.

`steps_of` : les instructions d’un nœud terme à terme ; `scalar_lines` : leurs lignes, dans les
dtypes qu’il faut ; `needed` : les polynômes que ce texte appelle.

Ordre de lecture : `steps_of`, `results_of`, `follow`, `scalar_lines`, `needed`.
"""

import inspect
import re

from engine.backends import polynomials
from engine.core.dtypes import FLOATS
from engine.ops.composite import Composite, Step
from engine.ops.rng import ROUNDS
from engine.ops.special import digamma64, polygamma64

POLYNOMIALS = {  # nom -> texte
    name: inspect.getsource(function)
    for name, function in (
        *vars(polynomials).items(),
        ("digamma64", digamma64),
        ("polygamma64", polygamma64),
    )
    if inspect.isfunction(function)
}
# Les mots c0 à c3 que Philox tire pour le bloc `block` (voir `engine.ops.rng`), dans une boucle.
# Un littéral signé donnerait un flottant : tout est uint64.
PHILOX = f"""        position = state[2] + uint64(block)
        c0, c1 = position & low, position >> shift
        c2, c3 = state[1] & low, state[1] >> shift
        k0, k1 = state[0] & low, state[0] >> shift
        for _ in range({ROUNDS}):
            left, right = uint64(0xD2511F53) * c0, uint64(0xCD9E8D57) * c2
            c0, c1 = (right >> shift) ^ c1 ^ k0, right & low
            c2, c3 = (left >> shift) ^ c3 ^ k1, left & low
            k0 = (k0 + uint64(0x9E3779B9)) & low
            k1 = (k1 + uint64(0xBB67AE85)) & low
"""


def steps_of(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.steps
    dtypes = [entry.dtype for entry in node.inputs]
    args = tuple(("in", k) for k in range(scalar.nin))
    out = node.outputs[0].dtype
    return (Step(scalar, args, tuple(scalar.compute_dtypes(dtypes, out)), out),)


def results_of(node):
    """Le rang, parmi les instructions, de chaque sortie du nœud."""
    scalar = node.op.scalar
    return scalar.results if isinstance(scalar, Composite) else (0,)


def follow(type_, out):
    """Pour chaque axe du résultat : l’entrée avance-t-elle avec lui (vrai) ou reste-t-elle en
    0 ?
    """
    missing = out.ndim - type_.ndim
    return [
        axis >= missing and (type_.shape[axis - missing] != 1 or out.shape[axis] == 1)
        for axis in range(out.ndim)
    ]


def convert(text, source, target):
    if source == target:
        return text
    return f"({text} != 0)" if target == "bool" else f"{target}({text})"


def literal(value, dtype):
    if dtype == "bool":
        return str(bool(value))
    if value != value or value in (float("inf"), float("-inf")):
        return f"{dtype}({'np.nan' if value != value else 'np.inf' if value > 0 else '-np.inf'})"
    return f"{dtype}({value!r})"


def scalar_lines(steps, input_texts, input_dtypes):
    """Les lignes qui calculent les instructions d’un corps de boucle, et le nom de chacune."""
    lines, names, dtypes = [], [], []
    for step in steps:
        args = []
        for (kind, item), compute in zip(step.args, step.computes, strict=True):
            if kind == "const":
                args.append(literal(item, compute))
                continue
            text, dtype = (
                (input_texts[item], input_dtypes[item])
                if kind == "in"
                else (names[item], dtypes[item])
            )
            args.append(convert(text, dtype, compute))
        scalar = step.scalar
        single = step.computes[-1] == "float32" and scalar.code32
        code = scalar.code32 if single else scalar.code
        if scalar.name == "pow" and step.dtype not in FLOATS:
            code = "int_power(int64(x), int64(y))"
        values = dict(zip("xyz", args, strict=False))
        text = re.sub(r"\b[xyz]\b", lambda found, values=values: values[found.group()], code)
        name = f"t{len(names)}"
        lines.append(f"{name} = {convert(f'({text})', None, step.dtype)}")
        names.append(name)
        dtypes.append(step.dtype)
    return lines, names


def needed(text, texts=POLYNOMIALS):
    """Les fonctions de `texts` dont un texte a besoin, dépendances d’abord."""
    names, ordered = _called(text, texts), []
    while names:
        name = names.pop()
        if name in ordered:
            ordered.remove(name)
        ordered.insert(0, name)
        names += _called(texts[name].split(":\n", 1)[1], texts)
    return ordered


def _called(text, texts):
    return [name for name in dict.fromkeys(re.findall(r"\b(\w+)\(", text)) if name in texts]
