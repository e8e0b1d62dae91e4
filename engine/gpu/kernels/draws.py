"""Le hasard sur le GPU : les nombres mêmes que ceux du processeur.

Philox est un générateur à compteur : le fil t calcule le bloc t du tirage, quatre mots de 32 bits,
et écrit les quatre éléments float32 (ou les deux float64) qu’ils donnent. Les uniformes sont égales
bit pour bit à celles de NumPy. Les normales se calculent en float64, même rendues en float32 : le
logarithme d’une uniforme proche de 1 n’a pas de sens autrement ; elles sont à 4 ulp en float64 et à
1 ulp en float32 de celles de `engine.ops.rng`.

Ordre de lecture : `draw_kernel`, `advance_kernel`, `pick_kernel`.
"""

import numpy as np

from engine.backends.scalar_text import PHILOX
from engine.core.errors import DomainError
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.faults import NOTE, Site
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.views import contiguous, flat
from engine.ops.rng import (
    STATE_LENGTH,
    SUM_TOLERANCE,
    WORDS_PER_BLOCK,
    AdvanceState,
    PickIndex,
    RandomNormal,
    RandomUniform,
    output_shape,
)

# un littéral signé donnerait un flottant : tout est uint64
_WORDS = f"""    block = cuda.grid(1)
    if block < blocks:
        low, shift = uint64(0xFFFFFFFF), uint64(32)
{PHILOX}"""
_UNIFORM = {
    "float32": [f"float32(c{k} >> uint64(8)) * float32(2.0**-24)" for k in range(4)],
    "float64": [f"float64((c{k} | (c{k + 1} << shift)) >> uint64(11)) * 2.0**-53" for k in (0, 2)],
}
# une paire : (rang du premier élément dans le bloc, u, v)
_PAIRS = {
    "float32": [
        (first, *(f"(float64(c{first + k}) + 0.5) * 2.0**-32" for k in (0, 1))) for first in (0, 2)
    ],
    "float64": [
        (
            0,
            *(
                f"(float64((c{k} | (c{k + 1} << shift)) >> uint64(12)) + 0.5) * 2.0**-52"
                for k in (0, 2)
            ),
        )
    ],
}


def _uniform_lines(dtype):
    texts = _UNIFORM[dtype]
    per = len(texts)
    values = [f"u{k}" for k in range(per)]
    yield from (f"{value} = {text}" for value, text in zip(values, texts, strict=True))
    yield f"i = block * {per}"
    for k, value in enumerate(values):
        yield from (f"if i + {k} < n:", f"    out[i + {k}] = {value}")


def _normal_lines(dtype):
    per = 2 * len(_PAIRS[dtype])
    for k, u, v in _PAIRS[dtype]:
        yield from (
            f"u = {u}", f"v = {v}",
            "quarter = math.floor(4.0 * v + 0.5)",
            "angle = 2.0 * math.pi * (v - quarter / 4.0)",
            "near, far = math.cos(angle), math.sin(angle)",
            "turned = int64(quarter) % 4",
            "cosine, sine = near, far",
            "if turned == 1:", "    cosine, sine = -far, near",
            "if turned == 2:", "    cosine, sine = -near, -far",
            "if turned == 3:", "    cosine, sine = far, -near",
            "radius = math.sqrt(-2.0 * math.log(u))",
            f"i = block * {per} + {k}",
            "if i < n:", f"    out[i] = {dtype}(radius * cosine)",
            "if i + 1 < n:", f"    out[i + 1] = {dtype}(radius * sine)",
        )  # fmt: skip


@device_kernel(RandomUniform, host=lambda node: tuple(range(1, len(node.inputs))))
@device_kernel(RandomNormal, host=lambda node: tuple(range(1, len(node.inputs))))
def draw_kernel(node):
    """Un tirage uniforme ou normal."""
    op, dtype = node.op, node.op.dtype
    lines = _uniform_lines if isinstance(op, RandomUniform) else _normal_lines
    body = "def kernel(out, state, blocks, n):\n" + _WORDS
    body += "".join(f"        {line}\n" for line in lines(dtype))
    signature = (f"{dtype}[::1]", "uint64[::1]", "int64", "int64")
    compiled = make_kernel("philox", str(op), body, signature)

    def call(state, *lengths):
        _check(node, state)
        out = empty(output_shape(lengths), dtype)
        blocks = -(-op.words_needed(out.size) // WORDS_PER_BLOCK)
        compiled(blocks, flat(out), contiguous(state), np.int64(blocks), np.int64(out.size))
        return out

    return call


@device_kernel(AdvanceState, host=lambda node: tuple(range(1, len(node.inputs))))
def advance_kernel(node):
    """Trois fils : la clef, le flux, la position d’après."""
    words = node.op.words
    body = (
        "def kernel(out, state, blocks):\n    i = cuda.grid(1)\n    if i < 3:\n"
        "        out[i] = state[i] + (blocks if i == 2 else uint64(0))\n"
    )
    compiled = make_kernel("advance", "avancer", body, ("uint64[::1]", "uint64[::1]", "uint64"))

    def call(state, *lengths):
        _check(node, state)
        out = empty(state.shape, "uint64")
        count = int(np.prod(output_shape(lengths), dtype="int64"))
        compiled(3, out, contiguous(state), np.uint64(-(-words * count // WORDS_PER_BLOCK)))
        return out

    return call


def _check(node, state):
    if state.shape != (STATE_LENGTH,):
        lengths = [np.array(0)] * (len(node.inputs) - 1)
        node.op.perform(node, [np.zeros(state.shape, "uint64"), *lengths], [[None]])


@device_kernel(
    PickIndex, when=lambda node: {x.dtype for x in node.inputs} <= {"float32", "float64"}
)
def pick_kernel(node):
    """Un fil, un rang tiré ; les poids se cumulent en float64, comme sur l’hôte.

    Des poids impossibles se notent comme une faute : les lire d’ici arrêterait tout.
    """
    uniforms, weights = node.inputs
    body = f"""def kernel(out, u, w, m, n, k, wrong, site):
    i = cuda.grid(1)
    if i < m:
        start = (i // n) * k
        total, lowest = float64(0), float64(0)
        for c in range(k):
            weight = float64(w[start + c])
            total += weight
            if not weight >= lowest:
                lowest = weight
        if lowest != float64(0) or not abs(total - float64(1)) <= float64({SUM_TOLERANCE}):
            axis, j = 0, int64(i // n)
            {NOTE}
        target = float64(u[i]) * total
        position, reached = int64(0), float64(0)
        for c in range(k):
            reached += float64(w[start + c])
            if target >= reached:
                position += 1
        out[i] = position
"""
    signature = (
        "int64[::1]", f"{uniforms.dtype}[::1]", f"{weights.dtype}[::1]", *["int64"] * 3,
        "int64[::1]", "int64",
    )  # fmt: skip
    compiled = make_kernel("pick", "tirer des rangs", body, signature)

    site = _Weights(node)

    def call(u, w):
        if u.shape[:-1] != w.shape[:-1]:
            node.op.perform(node, [np.empty(v.shape) for v in (u, w)], [[None]])  # lève l’erreur
        out = empty(u.shape, "int64")
        compiled(
            out.size, flat(out), flat(u), flat(w),
            *map(np.int64, (out.size, u.shape[-1], w.shape[-1])), *site.arm(w.shape),
        )  # fmt: skip
        return out

    return call


class _Weights(Site):
    """Des probabilités qui peuvent être impossibles ; l’indice noté est celui de la ligne tirée."""

    def error(self, axis, index):
        """L’erreur à lever, comme sur l’hôte."""
        return DomainError(
            "probabilités impossibles",
            expected="des nombres positifs, de somme 1 sur le dernier axe",
            received=f"à la ligne {index} d'un tableau de forme {self.shape}",
            hint="normalisez-les : p / p.sum(axis=-1, keepdims=True), ou softmax",
        )
