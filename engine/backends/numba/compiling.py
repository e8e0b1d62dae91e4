"""Du texte au noyau : écrire, compiler, ranger dans le cache.

Chaque noyau est un texte Python autonome, fait à partir de la table des fonctions scalaires,
compilé pour des tableaux contigus de dtype connu.

Ordre de lecture : `scalar_lines` (le corps d’une boucle), `module_text`, `compile_kernel`, puis ce
qui entoure un appel (`allocation`, `make_call`, `contiguous`).
"""

import inspect
import re

import numpy as np
from numba import njit, types
from numba.core.errors import NumbaError

from engine import polynomials
from engine.backends import cache
from engine.ops.elemwise import Elemwise
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad
from engine.ops.reduce import Reduce

_POLYNOMIALS = {
    name: function for name, function in vars(polynomials).items() if inspect.isfunction(function)
}
_PREAMBLE = '''"""{doc}"""

import math

import numpy as np
from numba import njit
from numba import int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

f32 = np.float32
i32 = np.int32
'''
_MATH = "error_model='numpy', cache=True"
_NO_GIL = ", nogil=True"


def _needed(text):
    """Les fonctions de `polynomials` dont un texte a besoin, dépendances d’abord."""
    names = [name for name in _POLYNOMIALS if re.search(rf"\b{name}\(", text)]
    ordered = []
    while names:
        name = names.pop()
        if name in ordered:
            ordered.remove(name)
        ordered.insert(0, name)
        body = inspect.getsource(_POLYNOMIALS[name]).split(":\n", 1)[1]
        names += [other for other in _POLYNOMIALS if re.search(rf"\b{other}\(", body)]
    return ordered


def module_text(doc, body, flags="'contract'", nogil=False):
    """Le texte complet d’un noyau : en-tête, fonctions scalaires, noyau lui-même."""
    helpers = "".join(
        f"\n\n@njit({_MATH})\n{inspect.getsource(_POLYNOMIALS[name])}" for name in _needed(body)
    )
    options = _MATH + _NO_GIL * nogil
    return f"{_PREAMBLE.format(doc=doc)}{helpers}\n\n@njit({options}, fastmath={{{flags}}})\n{body}"


def compile_kernel(name, doc, body, signature, flags="'contract'", nogil=False):
    """Compile (ou charge) un noyau pour une signature, et compte ce qui a servi.

    `nogil` : le noyau libère le verrou de Python, plusieurs fils peuvent se le partager.
    """
    module, on_disk = cache.load(module_text(doc, body, flags, nogil), name)
    function = module.kernel
    known = set(function.overloads)
    function.disable_compile(False)
    try:
        function.compile(signature)
    except OSError as error:  # le disque s’est rempli pendant que Numba y rangeait le code
        cache.warn_once(error, cache.directory())
        options = {
            k: v for k, v in function.targetoptions.items() if k not in ("nopython", "cache")
        }
        function = njit(**options)(function.py_func)
        function.compile(signature)
    except NumbaError:
        raise
    except Exception:
        if not on_disk:
            raise
        cache.forget_machine_code(module)  # abîmé : une écriture interrompue, un disque fatigué
        function.compile(signature)
    function.disable_compile()  # sinon, un tableau où l’on peut écrire le ferait compiler encore
    if set(function.overloads) != known:
        loaded = on_disk and sum(function.stats.cache_hits.values()) > 0
        counters = cache.Counters
        counters.hits, counters.misses = counters.hits + loaded, counters.misses + (not loaded)
    return function


def array_type(variable, readonly=True):
    """Le type Numba d’un tableau contigu."""
    return types.Array(numba_dtype(variable.dtype), variable.ndim, "C", readonly=readonly)


def numba_dtype(dtype):
    return types.boolean if dtype == "bool" else getattr(types, dtype)


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
        values = dict(zip("xyz", args, strict=False))
        text = re.sub(r"\b[xyz]\b", lambda found, values=values: values[found.group()], code)
        name = f"t{len(names)}"
        lines.append(f"{name} = {convert(f'({text})', None, step.dtype)}")
        names.append(name)
        dtypes.append(step.dtype)
    return lines, names


def allocation(shape, reuse, out="out", rank=0):
    """Les lignes qui prévoient la sortie `out`, de rang `rank`."""
    dtype = f"dtypes[{rank}]"
    if not reuse:
        return [f"    {out} = empty({shape}, {dtype})"]
    return [
        f"    {out} = memory[{rank}]",
        f"    if {out}.shape != {shape}:",
        f"        {out} = memory[{rank}] = empty({shape}, {dtype})",
    ]


def make_call(text, scope):
    """Compile le texte d’une fonction `call` avec les noms de `scope`."""
    scope = {"empty": np.empty, "contiguous": contiguous, **scope}
    scope.setdefault("dtypes", [scope.get("dtype")])
    scope["memory"] = [np.empty(0, dtype) for dtype in scope["dtypes"]]
    exec(text, scope)
    scope["call"].text = text
    return scope["call"]


def contiguous(x):
    """x lui-même s’il est contigu et aligné, sinon une copie qui l’est."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else np.array(x, order="C")


def maybe_strided(variable):
    """Vrai si le tableau peut ne pas être contigu : il vient du dehors, ou d’une vue."""
    return variable.ndim > 0 and (
        variable.owner is None or bool(variable.owner.op.view_map) or not _ours(variable)
    )


def _ours(variable):
    return isinstance(
        variable.owner.op, Elemwise | Reduce | Softmax | LogSoftmax | SoftmaxGrad | LogSoftmaxGrad
    )
