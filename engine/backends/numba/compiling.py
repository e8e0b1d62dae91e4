"""Du texte au noyau : écrire, compiler, ranger dans le cache.

Chaque noyau est un texte Python autonome, fait à partir de la table des fonctions scalaires,
compilé pour des tableaux contigus de dtype connu.

Ordre de lecture : `scalar_lines` (le corps d’une boucle), `module_text`, `compile_kernel`, puis ce
qui entoure un appel (`allocation`, `make_call`, `contiguous`).
"""

import pickle
import sys
from types import ModuleType

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba import types
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from engine.backends import cache
from engine.backends.scalar_text import POLYNOMIALS, needed
from engine.tensor.forks import FORK_LOCKS

# Avant une boucle, LLVM vérifie que les tableaux ne se recouvrent pas. S’il le fait pour toutes les
# lignes à la fois, deux tranches de colonnes d’un même tableau semblent se recouvrir.
_LLVM = ["-hoist-runtime-checks=false"] if binding.llvm_version_info >= (17, 0, 0) else []
for _option in _LLVM:
    binding.set_option("chainage", _option)

_PREAMBLE = '''"""{doc}"""

import math

import numpy as np
from numba import njit
from numba import int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

f32 = np.float32
i32 = np.int32
'''
_MATH = "error_model='numpy', no_cfunc_wrapper=True"
# Une fonction scalaire n’est appelée que par des noyaux ; laissée à part, elle ferait traiter les
# éléments un à un.
_INNER = _MATH + ", no_cpython_wrapper=True, forceinline=True"
_NO_GIL = ", nogil=True"
_VERSIONS = (sys.version, numba.__version__, llvmlite.__version__, numba.config.USING_SVML, *_LLVM)
_kernels = {}  # empreinte -> fonction compilée


FORK_LOCKS += [global_compiler_lock, binding.ffi.lib._lock]


def module_text(doc, body, flags="'contract'", nogil=False):
    """Le texte complet d’un noyau : en-tête, fonctions scalaires, noyau lui-même."""
    helpers = "".join(f"\n\n@njit({_INNER})\n{POLYNOMIALS[name]}" for name in needed(body))
    options = _MATH + _NO_GIL * nogil
    doc = repr(doc)[1:-1].replace('"', r"\"")  # un nom y est peut-être fait de guillemets
    return f"{_PREAMBLE.format(doc=doc)}{helpers}\n\n@njit({options}, fastmath={{{flags}}})\n{body}"


def compile_kernel(name, doc, body, signature, flags="'contract'", nogil=False):
    """Compile (ou charge) un noyau pour une signature, et compte ce qui a servi.

    `nogil` : le noyau libère le verrou de Python, plusieurs fils peuvent se le partager.
    """
    text = module_text(doc, body, flags, nogil)
    with global_compiler_lock:  # deux fils peuvent vouloir le même
        target = cpu_target.target_context
        key = cache.key_of(text, signature, *_VERSIONS, *target.codegen().magic_tuple())
        if key not in _kernels:
            _kernels[key] = _make_kernel(name, key, text, signature)
    return _kernels[key]


def _make_kernel(name, key, text, signature):
    module = ModuleType(f"chainage_{name}_{key}")
    sys.modules[module.__name__] = module  # Numba y retrouve le noyau chargé du disque
    exec(compile(text, f"<{module.__name__}>", "exec"), module.__dict__)
    function, stored = module.kernel, cache.read(name, key)
    if stored is None or not _load(function, stored):
        function.compile(signature)
        cache.Counters.misses += 1
        (result,) = function.overloads.values()
        if not result.library.has_dynamic_globals:  # des adresses de ce processus-ci
            cache.write(name, key, dumps(result._reduce()))
    function.disable_compile()  # un tableau modifiable convient à un noyau qui le lit
    return function


def _load(function, stored):
    """Donne à une fonction Numba le code machine lu sur le disque ; faux s’il ne se charge pas.

    Numba, pour le sien, importe d’abord tout ce qui sert à compiler : un tiers de seconde.
    """
    target = cpu_target.target_context
    try:
        rtsys.initialize(target)
        function.add_overload(CompileResult._rebuild(target, *pickle.loads(stored)))
    except Exception:
        return False
    cache.Counters.hits += 1
    return True


def array_type(variable, readonly=True):
    """Le type Numba d’un tableau contigu."""
    return types.Array(numba_dtype(variable.dtype), variable.ndim, "C", readonly=readonly)


def numba_dtype(dtype):
    return types.boolean if dtype == "bool" else getattr(types, dtype)


def allocation(shape, reuse, out="out", position=0):
    """Les lignes qui prévoient la sortie `out`, de rang `position`."""
    dtype = f"dtypes[{position}]"
    if not reuse:
        return [f"    {out} = empty({shape}, {dtype})"]
    return [
        f"    {out} = memory[{position}]",
        f"    if {out}.shape != {shape}:",
        f"        {out} = memory[{position}] = empty({shape}, {dtype})",
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
    """Vrai si le tableau peut ne pas être contigu : il vient du dehors, ou d’une vue.

    Le reste l’est : les noyaux et `contract.perform_call` le promettent, un test le vérifie.
    """
    node = variable.owner
    return variable.ndim > 0 and (node is None or bool(node.op.view_map) or node.op.any_layout)
