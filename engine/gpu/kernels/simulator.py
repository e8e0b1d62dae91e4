"""Un GPU joué par Python : juste, lent, partout ; et qui note, si on le lui demande, chaque accès.

Le texte même d’un noyau s’y exécute, un fil après l’autre. Un noyau qui a des barrières devient un
générateur : `cuda.syncthreads()` y est un `yield`, où le fil attend ceux de son bloc. Rien n’y est
laissé au hasard : la même exécution donne toujours la même chose.

Un GPU lirait ou abîmerait en silence la mémoire d’à côté ; ici un indice hors des bornes est une
erreur, la mémoire neuve est empoisonnée (des NaN, le plus grand entier), un noyau sans fin
s’arrête, une barrière que tous les fils ne passent pas se dit.

`trace` note les accès, et propose trois ordres, tous permis par CUDA : chaque fil va jusqu’à la
prochaine barrière, du premier au dernier ou à rebours (`backward=True`) ; ou les fils font un accès
chacun à son tour, comme un *warp* (`lockstep=True`). Un noyau dont le résultat en dépend a une
course, et `Trace.races` la nomme.

Ordre de lecture : `trace`, `run`, `_Threads` (un noyau devient un générateur), `Cuda`, `Array`.
"""

import ast
import contextlib
import functools
import inspect
import linecache
import math
import sys
import textwrap
import threading
import types
from typing import NamedTuple

import numpy as np

from engine.core.errors import EngineError
from engine.gpu.kernels.geometry import as_tuple
from engine.gpu.kernels.protocol import Machine
from engine.gpu.kernels.traces import ATOMIC, READ, WRITE, Access, Trace, who

MOST_ACCESSES = 500_000  # d’une trace ; au-delà, le noyau ne finit sans doute pas
MOST_TURNS = 10_000_000  # tours de `while`, de même


class KernelError(EngineError, RuntimeError):
    """Un noyau fait ce qu’un GPU ne vérifierait pas : indice hors des bornes, barrière oubliée."""


def trace(kernel, grid, block, *arguments, lockstep=False, backward=False):
    """Exécute le noyau pas à pas ; ses tableaux sont modifiés sur place, comme par un lancement.

    Paramètres
        kernel : une fonction qui appelle `cuda`, décorée ou non par `@cuda.jit`.
        grid, block : nombres de blocs et de fils par bloc, dans l’ordre de CUDA (x d’abord).
        arguments : tableaux NumPy et nombres.
        lockstep : alterner les fils à chaque accès au lieu d’aller d’une barrière à l’autre.
        backward : commencer par le dernier bloc, et par le dernier fil.

    Renvoie
        une `Trace`.

    Lève
        KernelError : indice hors des bornes, barrière que tous les fils ne passent pas, noyau sans
            fin ; ce que lève le noyau lui-même passe tel quel.
    """
    function = getattr(kernel, "py_func", kernel)
    made = _from_function(function, lockstep)
    return run(made, arguments, as_tuple(grid), as_tuple(block), backward, traced=True)


class Dim3(NamedTuple):
    """Un triplet de CUDA."""

    x: int = 1
    y: int = 1
    z: int = 1


# ---- les fils ------------------------------------------------------------------------------------


def run(function, arguments, grid, block, backward=False, traced=False):
    """Un bloc après l’autre ; dans un bloc, tous les fils d’une barrière à la suivante."""
    threads, blocks = _points(block), enumerate(_points(grid))
    threads = list(enumerate(threads))
    if backward:
        threads, blocks = threads[::-1], list(blocks)[::-1]
    advance = _together if inspect.isgeneratorfunction(function) else _one_by_one
    with cuda.playing(grid, block, traced), np.errstate(all="ignore"):
        names = function.__code__.co_varnames
        inside = [_given(name, value) for name, value in zip(names, arguments, strict=False)]
        for cuda.block, cuda.blockIdx in blocks:
            cuda.arrays, cuda.epoch = {}, 0
            advance(function, inside, threads)
        if not traced:
            return None
        shapes = {a.name: a.shape for a in inside if isinstance(a, Array)} | cuda.shapes
        return Trace(function.__name__, grid, block, shapes, cuda.accesses)


def _one_by_one(function, arguments, threads):
    for cuda.thread, cuda.threadIdx in threads:
        function(*arguments)


class _Fibre:
    """Un fil suspendu ; `said` : l’indice qu’il va lire ou écrire, ou le nom d’une barrière."""

    __slots__ = ("body", "index", "said", "thread")

    def __init__(self, thread, index, body):
        self.thread, self.index, self.body, self.said = thread, index, body, None


def _together(function, arguments, threads):
    fibres = [_Fibre(thread, index, function(*arguments)) for thread, index in threads]
    while fibres:
        moving, arrived, gone = fibres, [], []
        while moving:
            still = []
            for fibre in moving:
                cuda.thread, cuda.threadIdx = fibre.thread, fibre.index
                try:
                    fibre.said = fibre.body.send(fibre.said)
                except StopIteration:
                    gone.append(fibre)
                else:
                    (arrived if isinstance(fibre.said, str) else still).append(fibre)
            moving = still
        _check_barrier(arrived, gone)
        for fibre in arrived:
            fibre.said = None
        fibres = arrived
        cuda.epoch += 1


def _check_barrier(arrived, gone):
    """Lève une erreur si tous les fils ne sont pas à la même barrière."""
    others = [(fibre, fibre.said) for fibre in arrived if fibre.said != arrived[0].said]
    others += [(fibre, "a déjà fini") for fibre in gone]
    if arrived and others:
        (other, where), one = others[0], arrived[0]
        raise KernelError(
            "tous les fils d’un bloc doivent passer par chaque syncthreads",
            received=f"{who(cuda.block, one.thread)} {one.said}, "
            f"{who(cuda.block, other.thread)} {where}",
            hint="pas de syncthreads dans un « if », ni de « return » avant lui",
        )


@functools.lru_cache(64)
def _points(dims):
    """Les points d’une forme de CUDA, x variant le plus vite."""
    return [Dim3(*p[::-1], *(0,) * (3 - len(p))) for p in np.ndindex(*dims[::-1])]


# ---- d’un texte à une fonction -------------------------------------------------------------------


class _Threads(ast.NodeTransformer):
    """Là où un fil attend les autres, il rend la main : un `yield`.

    C’est à chaque barrière et, pas à pas, avant chaque accès : l’indice sort, puis revient.
    """

    def __init__(self, lockstep):
        self.lockstep = lockstep

    def visit_Call(self, node):
        name = ast.unparse(node.func)
        self.generic_visit(node)
        if name == "cuda.syncthreads":
            return ast.Yield(ast.Constant(f"attend à la ligne {node.lineno}"))
        if self.lockstep and name.startswith("cuda.atomic."):
            node.args[-1] = ast.Yield(node.args[-1])
        return node

    def visit_Subscript(self, node):
        self.generic_visit(node)
        if self.lockstep and not isinstance(node.value, ast.Attribute):  # mais pas x.shape[0]
            node.slice = ast.Yield(node.slice)
        return node

    def visit_AugAssign(self, node):
        """Pas à pas, `a[i] += x` est une lecture, une addition, une écriture."""
        if not (self.lockstep and isinstance(node.target, ast.Subscript)):
            return self.generic_visit(node)
        array, place = node.target.value, node.target.slice
        steps = ast.parse("_0, _1 = 0, 0\n_2 = _0[_1]\n_2 += 0\n_0[_1] = _2").body
        steps[0].value = ast.Tuple([array, place], ast.Load())
        steps[2].op, steps[2].value = node.op, node.value
        return [self.visit(ast.copy_location(step, node)) for step in steps]

    def visit_While(self, node):
        self.generic_visit(node)
        node.body[:0] = ast.parse("cuda.turn()").body
        return node

    def leave(self, node):
        """Une fonction dans le noyau, une compréhension : un `yield` n’en sortirait pas."""
        return node

    visit_FunctionDef = visit_Lambda = visit_GeneratorExp = leave
    visit_ListComp = visit_SetComp = visit_DictComp = leave


def _define(tree, where, scope, lockstep):
    """Exécute dans `scope` des définitions, celles des noyaux récrites par `_Threads`."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            if not any("device=True" in ast.unparse(mark) for mark in node.decorator_list):
                node.decorator_list = []
                _Threads(lockstep).generic_visit(node)
    exec(compile(ast.fix_missing_locations(tree), where, "exec"), scope)


def _from_function(function, lockstep=False):
    """Le noyau que dit cette fonction, d’après son texte."""
    closed = inspect.getclosurevars(function).nonlocals
    scope = {"min": _least, "max": _greatest} | function.__globals__ | closed | {"cuda": cuda}
    if scope.get("math") is math:
        scope["math"] = mathematics
    try:
        lines, first = inspect.getsourcelines(function)
    except OSError:
        if lockstep:
            raise KernelError(
                f"le texte de {function.__name__} est introuvable : pas de trace du même pas",
                hint="un noyau écrit dans une cellule ou dans un fichier",
            ) from None
        own = function.__name__, function.__defaults__, function.__closure__
        return types.FunctionType(function.__code__, scope, *own)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    _define(ast.increment_lineno(tree, first - 1), function.__code__.co_filename, scope, lockstep)
    return scope[function.__name__]


def from_text(name, text):
    """Le noyau que définit un texte (voir `compiling`) ; ses imports sont les noms d’ici."""
    where = f"<{name} {hash(text):x}>"
    linecache.cache[where] = len(text), None, text.splitlines(True), where
    tree, scope = ast.parse(text), dict(NAMES)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    _define(tree, where, scope, lockstep=False)
    return scope["kernel"]


# ---- ce que les noyaux appellent -----------------------------------------------------------------


class Jitted:
    """Ce que rend `cuda.jit` : `noyau[grille, bloc](sortie, x)` le lance sur des tableaux NumPy."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.py_func = function

    @functools.cached_property
    def _made(self):
        return _from_function(self.py_func)

    def __getitem__(self, configuration):
        grid, block = map(as_tuple, configuration)

        def launch(*arguments):
            run(self._made, arguments, grid, block)

        return launch


class Cuda:
    """Ce que désigne `cuda` dans un noyau : le fil en cours, et ce qu’il peut demander."""

    def __init__(self):
        self._turn, self._busy = threading.RLock(), False
        self.shared = types.SimpleNamespace(array=self._shared)
        self.local = types.SimpleNamespace(array=self._local)
        self.atomic = types.SimpleNamespace(add=self._add, max=self._max)
        self.libdevice = types.SimpleNamespace(
            int_as_float=lambda bits: np.int32(bits).view(np.float32),
            float_as_int=lambda x: int(np.float32(x).view(np.int32)),
            rintf=np.rint, rint=np.rint,
        )  # fmt: skip

    @contextlib.contextmanager
    def playing(self, grid, block, traced):
        """Le temps d’un lancement, un seul à la fois."""
        with self._turn:
            if self._busy:
                raise KernelError("un noyau n’en lance pas un autre", where=self.who())
            self._busy = True
            self.gridDim, self.blockDim = Dim3(*grid), Dim3(*block)
            self.wrap = Traced if traced else Array
            self.accesses, self.shapes, self.turns = [], {}, 0
            self.names = {}  # d’un appel à `shared.array` au nom de son tableau
            try:
                yield
            finally:
                self._busy = False

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        known = "grid, gridsize, threadIdx, blockIdx, blockDim, gridDim, syncthreads, "
        raise KernelError(
            f"le simulateur ne connaît pas cuda.{name}",
            expected=known + "shared.array, local.array, atomic.add, atomic.max",
        )

    def jit(self, function=None, *, device=False):
        """Le décorateur d’un noyau, ou d’une fonction qu’un noyau appelle."""
        if function is None:
            return functools.partial(self.jit, device=device)
        return function if device else Jitted(function)

    def who(self):
        """Le fil en cours, en français."""
        return who(self.block, self.thread)

    def note(self, kind, array, index):
        """Note un accès du fil en cours."""
        if len(self.accesses) >= MOST_ACCESSES:
            raise KernelError(
                f"plus de {MOST_ACCESSES} accès à la mémoire : le noyau finit-il ?",
                where=self.who(),
            )
        self.accesses.append(Access(kind, array, index, self.block, self.thread, self.epoch))

    def turn(self):
        """Compte un tour de `while`."""
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise KernelError(
                f"plus de {MOST_TURNS} tours de boucle : le noyau finit-il ?", where=self.who()
            )

    def grid(self, ndim):
        """La place du fil dans toute la grille."""
        if ndim == 1:
            return self.blockIdx.x * self.blockDim.x + self.threadIdx.x
        places = zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)
        return tuple([block * width + thread for block, width, thread in places])[:ndim]

    def gridsize(self, ndim):
        """Le nombre de fils de la grille, par axe."""
        sizes = [n * width for n, width in zip(self.gridDim, self.blockDim, strict=True)]
        return sizes[0] if ndim == 1 else tuple(sizes[:ndim])

    def syncthreads(self):
        """La barrière d’un noyau est un `yield` : ici n’arrivent que celles d’ailleurs."""
        raise KernelError(
            "une barrière se met dans le noyau lui-même, dont le texte se lit",
            received="syncthreads dans une fonction qu’il appelle, ou un texte introuvable",
            where=self.who(),
        )

    def _shared(self, shape, dtype):
        """Le tableau de cet appel-ci du noyau, un pour tous les fils du bloc."""
        frame = sys._getframe(1)
        site = frame.f_code, frame.f_lasti
        if site not in self.arrays:
            name = self.names.setdefault(site, f"partagée {len(self.names) + 1}")
            self.arrays[site] = self.wrap(name, poisoned(shape, dtype))
            self.shapes[name] = self.arrays[site].shape
        return self.arrays[site]

    def _local(self, shape, dtype):
        return Array("locale", poisoned(shape, dtype))

    @staticmethod
    def _add(array, index, value):
        return array.update(index, lambda old: old + value)

    @staticmethod
    def _max(array, index, value):
        return array.update(index, lambda old: max(old, value))


cuda = Cuda()


# ---- les tableaux --------------------------------------------------------------------------------


def poisoned(shape, dtype):
    """Un tableau dont aucune valeur ne peut servir sans se voir."""
    array = np.empty(shape, np.dtype(getattr(dtype, "name", dtype)))  # np.float32, numba.float32
    if array.dtype.kind in "iu":
        array.fill(np.iinfo(array.dtype).max)
    else:
        array.fill(True if array.dtype.kind == "b" else np.nan)
    return array


class Array:
    """Un tableau dans un noyau : bornes vérifiées, entiers de Python, débordements repliés.

    `a[i, j]` et `a[i][j]` désignent le même élément.
    """

    __slots__ = ("_base", "_cast", "_values", "array", "dtype", "name", "ndim", "shape", "size")

    def __init__(self, name, array, base=0):
        self.name, self.array, self.dtype, self._base = name, array, array.dtype, base
        self.shape, self.size, self.ndim = array.shape, array.size, array.ndim
        self._cast = CASTS.get(array.dtype.name, array.dtype.type)
        self._values = memoryview(array) if array.dtype.name in CASTS else array

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        try:
            if key >= 0 if self.ndim == 1 else min(key) >= 0 and len(key) == self.ndim:
                return self._values[key]
        except (TypeError, IndexError):
            pass  # ce que dit `read`
        return self.read(key)

    def __setitem__(self, key, value):
        try:
            if key >= 0 if self.ndim == 1 else min(key) >= 0 and len(key) == self.ndim:
                self._values[key] = self._cast(value)
                return
        except (TypeError, IndexError, ValueError):
            pass
        self.write(key, value)

    def read(self, key):
        """Un élément, ou une rangée."""
        key = self._place(key)
        if len(key) < self.ndim:
            return type(self)(self.name, self.array[key], self._flat(key))
        self._note(READ, key)
        return self._values[key]

    def write(self, key, value):
        """Un élément reçoit cette valeur."""
        key = self._place(key, whole=True)
        self._note(WRITE, key)
        self._values[key] = self._cast(value)

    def update(self, key, change):
        """Lit, change et écrit sans que rien s’intercale ; renvoie l’ancienne valeur."""
        key = self._place(key, whole=True)
        self._note(ATOMIC, key)
        old = self._values[key]
        self._values[key] = self._cast(change(old))
        return old

    def _note(self, kind, key):
        """Rien : seul `Traced` note."""

    def _flat(self, key):
        """L’indice à plat."""
        index = 0
        for length, k in zip(self.shape, (*key, *(0,) * (self.ndim - len(key))), strict=True):
            index = index * length + k
        return self._base + index

    def _place(self, key, whole=False):
        """Les indices, une fois vérifiés ; `whole` : ceux d’un élément que l’on peut écrire."""
        key = key if isinstance(key, tuple) else (key,)
        if len(key) > self.ndim or not all(isinstance(k, int | np.integer) for k in key):
            self._refuse(
                f"un noyau désigne un élément de {self.name} par des entiers, un par axe",
                expected=f"{self.ndim} entier(s) au plus", received=repr(key),
            )  # fmt: skip
        if any(not 0 <= k < length for k, length in zip(key, self.shape, strict=False)):
            self._refuse(
                f"indice hors des bornes : {self.name}[{', '.join(map(str, key))}]",
                expected=f"des indices dans la forme {self.shape}",
                hint="une garde (« if i < x.size ») : un GPU, lui, n’aurait rien vérifié",
            )
        if whole and len(key) < self.ndim:
            self._refuse(
                f"un fil écrit un élément à la fois de {self.name}",
                expected=f"{self.ndim} indices", received=f"{len(key)}",
            )  # fmt: skip
        if whole and not self.array.flags.writeable:
            self._refuse(f"un noyau écrit dans {self.name}, qui est en lecture seule")
        return tuple(map(int, key))

    @staticmethod
    def _refuse(text, **said):
        raise KernelError(text, where=cuda.who(), **said)


class Traced(Array):
    """Un tableau qui note ses accès."""

    __slots__ = ()
    __getitem__, __setitem__ = Array.read, Array.write

    def _note(self, kind, key):
        cuda.note(kind, self.name, self._flat(key))


def _given(name, value):
    """Un argument, tel que le noyau le reçoit."""
    if isinstance(value, np.ndarray) and value.ndim:
        return cuda.wrap(name, value)
    return int(value) if isinstance(value, np.integer) else value


# ---- les nombres ---------------------------------------------------------------------------------


def _integer(name):
    """La conversion vers ce type d’entiers ; un nombre trop grand se replie, comme sur un GPU."""
    bits = np.iinfo(name).bits
    full, half = 1 << bits, 1 << bits - 1
    low, high = (0, full) if name[0] == "u" else (-half, half)

    def cast(x):
        if x.__class__ is not int:  # un flottant trop grand ne se replie pas : il est borné
            x = int(min(max(x, low), high - 1)) if x == x else 0
        if low <= x < high:
            return x
        x &= full - 1
        return x - full if x >= high else x

    cast.name = name
    return cast


CASTS = {f"{sign}int{bits}": _integer(f"{sign}int{bits}") for sign in ("", "u")
         for bits in (8, 16, 32, 64)} | {"bool": bool}  # fmt: skip


def _greatest(a, b, *more):
    """Comme sur un GPU, un NaN ne l’emporte jamais."""
    best = b if b > a or a != a else a
    return _greatest(best, *more) if more else best


def _least(a, b, *more):
    best = b if b < a or a != a else a
    return _least(best, *more) if more else best


def _function(name):
    """Une fonction de `math` : arrondie en float32 s’il le faut, et sans exception."""
    exact, edge = getattr(math, name), getattr(np, name, lambda *_: np.float64(np.inf))

    def call(*xs):
        try:
            y = exact(*xs)
        except (ValueError, OverflowError):
            y = float(edge(*xs))
        if y.__class__ is not float:
            return y
        return np.float32(y) if {*map(type, xs)} - {int} == {np.float32} else np.float64(y)

    return call


mathematics = types.SimpleNamespace(**{
    name: _function(name) if callable(value) else value
    for name, value in vars(math).items() if name[0] != "_"
})  # fmt: skip
mathematics.floor, mathematics.ceil, mathematics.trunc = np.floor, np.ceil, np.trunc
NAMES = {
    "np": np, "math": mathematics, "cuda": cuda, "min": _least, "max": _greatest, **CASTS,
    "float32": np.float32, "float64": np.float64,
}  # fmt: skip


# ---- la machine ----------------------------------------------------------------------------------


class Simulator(Machine):
    """Le GPU simulé : juste, lent, partout."""

    is_simulated = True
    stream_handle = None
    block = 32  # fils par bloc quand le noyau n’en demande pas
    reduction_block = 8  # fils par bloc d’une réduction, une puissance de deux
    tile = 4  # côté d’une tuile de produit
    multiprocessors = 2
    backward = False  # commencer par le dernier bloc, et par le dernier fil
    watched = False  # une course est une erreur
    _arena = np.empty(0, "uint8")

    def allocate(self, size, dtype):
        """Une zone de `size` éléments ; ses valeurs, empoisonnées, trahissent un oubli."""
        return poisoned(size, dtype)

    def write(self, array, value):
        """Copie un tableau NumPy contigu dans un `DeviceArray` contigu neuf."""
        array.buffer[array.offset : array.offset + array.size] = value.reshape(-1)

    def download(self, array):
        """Les valeurs d’un `DeviceArray`, en tableau NumPy."""
        return strided(array).copy()

    def address(self, array):
        """L’adresse du premier élément."""
        return array.buffer.ctypes.data + array.offset * array.buffer.itemsize

    def copy(self, target, source):
        """Copie un tableau contigu dans un autre, de même taille et de même type."""
        self.write(target, source.buffer[source.offset : source.offset + source.size])

    def arena(self, nbytes):
        """La zone, une pour tous les plans, où ils logent les leurs ; elle ne fait que grandir."""
        if self._arena.nbytes < nbytes:
            self._arena = np.full(nbytes, 0xFF, "uint8")  # des NaN, tant que rien n’est écrit
        return self._arena

    def identity(self, arena):
        """Ce qui distingue cette arène des précédentes."""
        return id(arena)

    def carve(self, arena, offset, nbytes, dtype):
        """La zone qui commence à `offset` octets du début de l’arène."""
        return arena[offset : offset + nbytes].view(dtype)

    def sender(self, places, waited):
        """Ce qui porte des valeurs dans ces tableaux, voisins dans l’arène.

        `waited` : chaque appel attend la fin des calculs avant le suivant.
        """

        def send(values):
            for place, value in zip(places, values, strict=True):
                self.write(place, value)

        return send

    def bringer(self, places):
        """Ce qui rapporte ces tableaux, voisins au début de l’arène, une fois calculés."""
        return lambda: [self.download(place) for place in places]

    def synchronize(self):
        """Attend que tout ce qui a été lancé soit fini : c’est toujours le cas."""

    def captured(self, run):
        """De quoi refaire tout ce que lance `run`."""
        return run

    def prepare(self, name, text, signature, block):
        """La fonction à lancer, d’après le texte d’un noyau (voir `compiling`)."""
        return from_text(name, text), [giver(word) for word in signature]

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils : des nombres, ou des formes d’un à trois axes."""
        kernel, given = function
        inside = [give(a) for give, a in zip(given, arguments, strict=True)]
        sizes = as_tuple(blocks), as_tuple(block)
        seen = run(kernel, inside, *sizes, self.backward, traced=self.watched)
        races = seen.races() if self.watched else ()
        if races:
            raise KernelError("deux fils se disputent un élément", received=str(races[0]))


def giver(word):
    """Ce qui fait d’un argument de la machine ce que demande un mot de signature."""
    dtype, axes, _ = word.partition("[")
    if not axes:
        return CASTS.get(word) or np.dtype(word).type
    ndim, flat = word.count(",") + 1, "::1" in word

    def give(array):
        if array.dtype.name != dtype or array.ndim != ndim or (flat and not array.is_contiguous):
            raise KernelError(
                "un tableau n’est pas celui qu’attend le noyau",
                expected=word,
                received=f"{array.dtype}, forme {array.shape}, pas {array.strides}",
            )
        return _in_words(strided(array))

    return give


def _in_words(values):
    """Un bfloat16 est pour un noyau un mot de 16 bits (voir `elements`)."""
    return values.view("uint16") if values.dtype.name == "bfloat16" else values


def strided(array):
    """Les éléments d’un `DeviceArray`, vus par NumPy sans copie."""
    steps = [step * array.buffer.itemsize for step in array.strides]
    return np.lib.stride_tricks.as_strided(array.buffer[array.offset :], array.shape, steps)
