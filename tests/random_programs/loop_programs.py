"""Tirer une boucle au sort : ce qu’elle parcourt, ce qu’elle porte, ce que fait un pas.

Un programme est d’abord une description (`Loop`), faite d’une suite de choix entiers dont 0 est
toujours le plus simple : les mêmes choix redonnent le même programme, de plus petits choix un plus
petit programme. Elle se lit de deux façons : en texte (`source`), qui est le programme écrit pour
le moteur ; en NumPy (`loop_oracle`).

Un terme du pas est un n-uplet : ("lire", nom), ("nombre", valeur), ou (op, terme, ...). Il a une
sorte : « ligne » (la forme des états), « scalaire », ou « biais » (le dernier axe seul).

Ordre de lecture : `OPS`, `Loop`, `draw_loop`, `source`.
"""

from dataclasses import dataclass, field

import numpy as np


def _softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _switch(a, b, x, y):
    return np.where(a < b, x, y)


# nom : (sortes des arguments, le texte pour le moteur, le calcul de NumPy). L : une ligne,
# * : n’importe quelle sorte, s : un scalaire ; W : une matrice carrée ; V : une matrice n × m.
REAL_OPS = {
    "tanh": ("L", "T.tanh({0})", np.tanh),
    "sigmoid": ("L", "T.nnet.sigmoid({0})", lambda x: 1 / (1 + np.exp(-x))),
    "sin": ("L", "T.sin({0})", np.sin),
    "bump": ("L", "T.exp(-({0} ** 2))", lambda x: np.exp(-(x**2))),
    "half": ("L", "{0} * 0.5", lambda x: 0.5 * x),  # divisé, un départ entier ferait du float64
    "softmax": ("L", "softmax({0})", _softmax),
    "logsumexp": ("L", "{0} - T.log(T.exp({0}).sum(axis=-1, keepdims=True))",
                  lambda x: x - np.log(np.exp(x).sum(axis=-1, keepdims=True))),
    "mean": ("L", "{0} - {0}.mean(axis=-1, keepdims=True)",
             lambda x: x - x.mean(axis=-1, keepdims=True)),
    "div": ("L*", "{0} / (1 + {1} ** 2)", lambda x, y: x / (1 + y**2)),
}  # fmt: skip
ANY_OPS = {
    "add": ("L*", "{0} + {1}", np.add),
    "mul": ("L*", "{0} * {1}", np.multiply),
    "sub": ("L*", "{0} - {1}", np.subtract),
    "neg": ("L", "-{0}", np.negative),
    "max": ("L*", "T.maximum({0}, {1})", np.maximum),
    "min": ("L*", "T.minimum({0}, {1})", np.minimum),
    "switch": ("**L*", "T.switch({0} < {1}, {2}, {3})", _switch),
    "ifelse": ("ssLL", "ifelse({0} < {1}, {2}, {3})", lambda a, b, x, y: x if a < b else y),
    "flip": ("L", "{0}[..., ::-1]", lambda x: x[..., ::-1]),
    "roll": ("L", "T.concatenate([{0}[..., 1:], {0}[..., :1]], axis=-1)",
             lambda x: np.concatenate([x[..., 1:], x[..., :1]], axis=-1)),
    "add_sum": ("LL", "{0} + {1}.sum(axis=-1, keepdims=True).astype({1}.dtype)",
                lambda x, y: x + y.sum(axis=-1, keepdims=True, dtype=y.dtype)),
    "add_max": ("LL", "{0} - {1}.max(axis=-1, keepdims=True)",
                lambda x, y: x - y.max(axis=-1, keepdims=True)),
    "cumsum": ("L", "T.cumsum({0}, axis=-1).astype({0}.dtype)",
               lambda x: np.cumsum(x, axis=-1).astype(x.dtype)),
    "write": ("LL", "T.set_subtensor({0}[..., :1], {1}[..., -1:])",
              lambda x, y: np.concatenate([y[..., -1:], x[..., 1:]], axis=-1)),
    "accumulate": ("LL", "T.inc_subtensor({0}[..., 1:], {1}[..., 1:])",
                   lambda x, y: np.concatenate([x[..., :1], x[..., 1:] + y[..., 1:]], axis=-1)),
    "pick": ("LW", "{1}[T.argmax({0}, axis=-1)]", lambda x, w: w[np.argmax(x, axis=-1)]),
    "dot": ("LW", "T.dot({0}, {1})", np.dot),
    "dot_turned": ("LW", "T.dot({0}, {1}.T)", lambda x, w: np.dot(x, w.T)),
    "add_dot": ("LLW", "{0} + T.dot({1}, {2})", lambda x, y, w: x + np.dot(y, w)),
    "bottleneck": ("LV", "T.dot(T.dot({0}, {1}), {1}.T)", lambda x, v: np.dot(np.dot(x, v), v.T)),
}  # fmt: skip
# À la boucle intérieure on donne une matrice à parcourir, un départ, et un terme de plus.
NESTED = "scan(lambda u, a: {body}, {0}, outputs_info={1}, go_backwards={back})[0]{use}"
SCALAR_OPS = {
    "sum": ("L", "{0}.sum().astype({0}.dtype)", lambda x: x.sum(dtype=x.dtype)),
    "highest": ("L", "{0}.max()", np.max),
    "first": ("L", "{0}.flatten()[0]", lambda x: x.ravel()[0]),
}
OPS = REAL_OPS | ANY_OPS | SCALAR_OPS
ROWS_ONLY = {"flip", "roll", "softmax", "logsumexp", "mean", "add_sum", "add_max",
             "cumsum", "write", "accumulate", "pick", "dot", "dot_turned", "add_dot",
             "bottleneck"}  # fmt: skip

# Ce que l’on fait de chaque sortie ; le même texte vaut pour le moteur et pour NumPy.
USES = ("{}", "{}[-1]", "{}[::-1]", "{}[1:]", "{}[:-1]", "{}[-2:]", "{}[-2]", "{}[0]", "{}[::2]",
        "{}.sum(axis=0)", "{}[1:] * 2")  # fmt: skip
COSTS = ("({} * {k}).sum()", "(T.sin({}) * {k}).sum()", "({} ** 2).sum() * {k}")
PREFIX = {"float64": "d", "float32": "f", "int64": "l", "int32": "i", "int8": "b"}
AXES = ("scalar", "vector", "matrix", "tensor3")


@dataclass
class Sequence:
    """Une suite : son nom, ses retards, la sorte de ses lignes, ce qui lui manque ou lui reste."""

    name: str
    kind: str
    taps: tuple = (0,)
    extra: int = 0
    shared: bool = False

    def rows(self):
        """Les noms des lignes que reçoit le pas."""
        return [f"{self.name}_{'m' if tap < 0 else 'p'}{abs(tap)}" for tap in self.taps]


@dataclass
class State:
    """Un état : sa sorte, ses retards, d’où il part, et le terme qui le remplace à chaque pas."""

    name: str
    kind: str
    taps: tuple = (-1,)
    start: str = "input"  # input, shared, constant, computed, zeros, number
    new: tuple = ()

    def rows(self):
        """Les noms des valeurs passées que reçoit le pas."""
        return [f"{self.name}_{-tap}" for tap in self.taps]


@dataclass
class Fixed:
    """Ce qui sert à tous les pas : une entrée, une partagée, une constante ou un calcul."""

    name: str
    kind: str
    origin: str = "input"  # input, shared, constant, computed
    passed: bool = False


@dataclass
class Loop:
    """Une boucle, décrite."""

    dtype: str = "float64"
    axes: int = 1  # axes d’une « ligne » : (), (n,) ou (b, n)
    lengths: dict = field(default_factory=dict)  # b, n, m et le nombre de pas, à chaque appel
    sequences: list = field(default_factory=list)
    states: list = field(default_factory=list)
    fixed: list = field(default_factory=list)
    collected: list = field(default_factory=list)
    order: list = field(default_factory=list)  # les sorties, dans l’ordre : ("état", 0), ...
    draws: list = field(default_factory=list)  # leurs sortes
    counter: tuple | None = None  # le terme qui met à jour une partagée
    until: tuple | None = None
    n_steps: str | None = None  # None, "constant", "input"
    asked: tuple = (0, 0)  # les pas demandés, de plus que la plus courte suite, à chaque appel
    backwards: bool = False
    truncate: int = -1
    form: str = "scan"
    uses: list = field(default_factory=list)  # (rang de la sortie, ce que l’on en fait)
    cost: str = COSTS[0]
    layout: str = "C"

    @property
    def is_real(self):
        """Vrai si l’on peut dériver."""
        return self.dtype.startswith("float")

    @property
    def is_rigid(self):
        """Vrai si des formes sont écrites dans le programme : seul le nombre de pas change."""
        rigid = [*self.states, *self.fixed]
        words = [getattr(item, "start", None) or item.origin for item in rigid]
        shared = any(sequence.shared for sequence in self.sequences)
        written = any("full" in str(term) for term in [self.states, self.collected, self.counter])
        return (
            shared
            or written
            or bool(self.draws)
            or bool({"constant", "shared", "zeros"} & set(words))
        )


class Choices:
    """La suite des choix : tirés, ou relus."""

    def __init__(self, source):
        self.source = source
        self.taken = []

    def below(self, count):
        """Un entier de 0 à count - 1."""
        if count == 1:
            return 0
        self.taken.append(self.source(count))
        return self.taken[-1]

    def one_of(self, options):
        """L’une des options ; la première est la plus simple."""
        return options[self.below(len(options))]

    def rarely(self, times=6):
        """Vrai une fois sur `times`."""
        return self.below(times) == times - 1


# ---- tirer -------------------------------------------------------------------------------


def draw_loop(choices):
    """Une boucle, selon ces choix."""
    loop = Loop()
    loop.dtype = choices.one_of(["float64"] * 4 + ["float32"] * 4 + ["int64", "int32", "int8"])
    loop.axes = choices.one_of([1, 2, 0, 1, 2])
    loop.form = choices.one_of(["scan"] * 6 + ["map", "reduce", "foldl", "foldr"])
    _draw_lengths(loop, choices)
    _draw_parts(loop, choices)
    terms = _Terms(loop, choices)
    for state in loop.states:
        state.new = terms.carried(state)
        if state.start == "number":
            state.new = ("add", ("number", 0.5), ("sin", state.new))
    loop.collected = [(kind, terms.draw(kind, choices.below(4))) for kind in loop.collected]
    if loop.form == "scan" and choices.rarely(8):
        loop.counter = terms.draw("scalar", choices.below(2))
        if choices.below(2):
            loop.counter = ("add", ("read", "counter"), loop.counter)
    if loop.form == "scan" and choices.rarely(8):
        loop.until = (terms.draw("scalar", 1), terms.draw("scalar", 0))
    loop.draws = terms.draws
    _draw_uses(loop, choices)
    return loop


def _draw_lengths(loop, choices):
    steps = [choices.one_of([3, 2, 4, 1, 5, 0, 1, 0, 9, 30]) for _ in range(2)]
    n, b, m = ([choices.one_of(options) for _ in range(2)] for options in (
        [2, 3, 4, 1, 3, 8], [2, 3, 1, 4], [3, 1, 2]))  # fmt: skip
    if choices.rarely(60):  # assez de lignes pour que les fils se les partagent
        b, steps = [40, 40], [30, 30]
    loop.lengths = {"steps": steps, "n": n, "b": b, "m": m}


def _draw_parts(loop, choices):
    kinds = ["row", "row", "scalar"] if loop.axes else ["scalar"]
    is_fold = loop.form in ("reduce", "foldl", "foldr")
    n_sequences = choices.one_of([1, 2, 0, 1, 2]) if loop.form == "scan" else 1 + choices.below(2)
    for rank in range(n_sequences):
        taps = choices.one_of([(0,)] * 7 + [(-1, 0), (0, 1), (-2,), (-1, 1)])
        extra = choices.one_of([0] * 5 + [1, 2])
        shared = choices.rarely(10)
        loop.sequences.append(Sequence(f"x{rank}", choices.one_of(kinds), taps, extra, shared))
    n_states = 0 if loop.form == "map" else choices.one_of([1, 2, 1, 1, 2, 0, 3])
    for rank in range(max(n_states, is_fold)):
        kind = choices.one_of(kinds)
        taps = choices.one_of([(-1,)] * 7 + [(-2, -1), (-2,), (-3, -1), (-1, -3)])
        starts = ["input", "zeros", "zeros", "shared", "constant", "computed"]
        starts += ["number"] if kind == "scalar" and taps == (-1,) and loop.is_real else []
        loop.states.append(State(f"s{rank}", kind, taps, choices.one_of(starts)))
    kinds = ["square", "square", "row", "scalar", "wide"] if loop.axes else ["scalar"]
    kinds += ["bias"] if loop.axes == 2 else []
    for rank in range(choices.one_of([0, 1, 1, 2, 3])):
        origin = choices.one_of(["input", "shared", "constant", "computed"])
        loop.fixed.append(Fixed(f"w{rank}", choices.one_of(kinds), origin, bool(choices.below(2))))
    least = not loop.states
    kinds = ["row", "scalar"] if loop.axes else ["scalar"]
    loop.collected = [
        choices.one_of(kinds) for _ in range(max(least, choices.one_of([0, 0, 1, 2])))
    ]
    loop.order = [("state", rank) for rank in range(len(loop.states))]
    loop.order += [("value", rank) for rank in range(len(loop.collected))]
    if choices.below(2):
        loop.order.reverse()
    asked = [("constant", 0), (None, 0)] if not loop.sequences else [(None, 0)] * 7
    more = [(word, value) for word in ("constant", "input") for value in (0, -1, 1)]
    word, value = choices.one_of(asked + more) if loop.form == "scan" else (None, 0)
    loop.n_steps = word or (None if loop.sequences else "constant")
    loop.asked = (value, 0 if choices.below(2) else value) if loop.sequences else (0, 0)
    if loop.form in ("scan", "map"):
        loop.backwards = bool(choices.one_of([0, 0, 1]))
        loop.truncate = choices.one_of([-1] * 7 + [1, 2, 3])
    loop.layout = choices.one_of(["C", "C", "F", "reversed"])


class _Terms:
    """Tire des termes dont les feuilles sont ce que le pas peut lire."""

    def __init__(self, loop, choices):
        self.loop, self.choices, self.draws = loop, choices, []
        self.known = {"row": [], "scalar": [], "bias": [], "square": [], "wide": []}
        for item in [*loop.states, *loop.sequences]:
            self.known[item.kind] += item.rows()
        for item in loop.fixed:
            self.known[item.kind].append(item.name)
        if not loop.axes:
            self.known["row"] = self.known["scalar"]

    def carried(self, state):
        """Ce que devient un état : porté tel quel, réduit, un maximum, un choix, un produit..."""
        way = self.choices.one_of(["any", "add", "add", "half", "max", "switch", "dot"])
        old, kind, squares = ("read", state.rows()[-1]), state.kind, self.known["square"]
        if way == "any":
            return self.draw(kind, self.choices.below(4))
        new = self._product(kind) or self.draw(kind, self.choices.below(3))
        if way == "half":
            old = ("mul", old, ("number", 0.5 if self.loop.is_real else 2))
        if way == "max":
            return ("max", old, new)
        if way == "switch":
            return ("switch", self.draw("scalar", 0), self.draw("scalar", 1), old, new)
        if way == "dot" and kind == "row" and squares:
            return ("add_dot", new, old, ("read", self.choices.one_of(squares)))
        return ("add", old, new)

    def _product(self, kind):
        """Le produit d’une ligne et d’une matrice, une fois sur deux si c’est possible."""
        squares = self.known["square"]
        if kind != "row" or not squares or self.choices.rarely(3):
            return None
        product = ("dot", self.draw("row", 0), ("read", self.choices.one_of(squares)))
        return ("tanh", product) if self.loop.is_real and self.choices.below(2) else product

    def draw(self, kind, depth):
        """Un terme d’au plus cette profondeur."""
        kind = "row" if kind == "scalar" and not self.loop.axes else kind
        if depth == 0:
            return self._leaf(kind)
        if kind == "bias":
            return self._leaf(kind)
        if kind == "scalar" and self.choices.below(3) == 0:
            name = self.choices.one_of(["sum", "highest", "first"])
            return (name, self.draw("row", depth - 1))
        return self._application(kind, depth)

    def _application(self, kind, depth):
        real = self.loop.is_real
        names = list(ANY_OPS) + (list(REAL_OPS) if real else [])
        scalar = kind == "scalar" or not self.loop.axes
        names = [name for name in names if not (scalar and name in ROWS_ONLY)]
        names += [] if scalar else ["nested"]
        name = self.choices.one_of(names)
        if name == "nested":
            return self._nested(depth)
        terms = []
        for letter in OPS[name][0]:
            if letter in "WV":
                square = self.known["square" if letter == "W" else "wide"]
                if not square:
                    return self.draw(kind, depth - 1)
                terms.append(("read", self.choices.one_of(square)))
            else:
                kinds = {"L": [kind], "s": ["scalar"]}.get(letter) or self._kinds(kind)
                terms.append(self.draw(self.choices.one_of(kinds), self.choices.below(depth)))
        return (name, *terms)

    def _kinds(self, kind):
        """Ce qui se diffuse vers cette sorte."""
        if kind == "scalar" or not self.loop.axes:
            return [kind]
        return [kind, "scalar"] + ["bias"] * bool(self.known["bias"])

    def _nested(self, depth):
        """Une boucle dans la boucle, le long des lignes d’une matrice carrée."""
        squares = self.known["square"]
        if not squares:
            return self.draw("row", depth - 1)
        before = {kind: list(names) for kind, names in self.known.items()}
        start = self.draw("row", self.choices.below(depth))
        self.known["row"] = [*before["row"], "a"]
        self.known["bias" if self.loop.axes == 2 else "row"].append("u")
        body = ("add", ("read", "a"), self.draw("row", self.choices.below(depth)))
        if self.choices.below(2):
            body = self.draw("row", depth - 1)
        self.known = before
        use = self.choices.one_of(["[-1]", ".sum(axis=0).astype({dtype!r})"])
        matrix = ("read", self.choices.one_of(squares))
        return ("nested", matrix, start, body, bool(self.choices.below(2)), use)

    def _leaf(self, kind):
        names = self.known[kind]
        which = self.choices.below(len(names) + 2) if names else 1 + self.choices.below(2)
        if which < len(names):
            return ("read", names[which])
        if kind == "row" and self.loop.axes:
            if self.choices.rarely(3) and self.loop.is_real and "a" not in names:
                self.draws.append(kind)
                return ("read", f"d{len(self.draws) - 1}")
            if names and self.choices.below(2):
                return ("read", self.choices.one_of(names))
            return ("full", self.choices.one_of([1, 0, 2]))
        if kind == "bias":
            return self._leaf("scalar")
        return ("number", self.choices.one_of([0.5, 1, 0, 2] if self.loop.is_real else [1, 0, 2]))


def _draw_uses(loop, choices):
    last = loop.form in ("reduce", "foldl", "foldr")
    for rank in range(len(loop.order)):
        for _ in range(1 + choices.rarely(4)):
            loop.uses.append((rank, "{}" if last else choices.one_of(USES)))
    if len(loop.uses) > 1 and choices.rarely(3):
        loop.uses.pop(choices.below(len(loop.uses)))
    loop.cost = choices.one_of(COSTS)


def kinds(loop):
    """Les mots qui disent de quelle sorte est une boucle."""
    words = [loop.form, loop.dtype, *(f"départ {state.start}" for state in loop.states)]
    words += [f"porté par {state.new[0]}" for state in loop.states]
    taps = [item.taps for item in [*loop.states, *loop.sequences]]
    steps = {"0": 0, "1": 1}
    words += [f"{name} pas" for name, count in steps.items() if count in loop.lengths["steps"]]
    marks = {
        "à rebours": loop.backwards, "tronquée": loop.truncate > 0, "until": loop.until,
        "n_steps": loop.n_steps, "tirages": loop.draws, "une partagée avance": loop.counter,
        "plusieurs états": len(loop.states) > 1,
        "des retards": any(item not in ((0,), (-1,)) for item in taps),
        "imbriquée": "'nested'" in str([loop.states, loop.collected]),
    }  # fmt: skip
    return [*words, *(name for name, present in marks.items() if present)]


# ---- écrire ------------------------------------------------------------------------------


def axes_of(loop, kind):
    """Les noms des longueurs d’une valeur de cette sorte."""
    row = {0: (), 1: ("n",), 2: ("b", "n")}[loop.axes]
    return {"row": row, "scalar": (), "bias": ("n",), "square": ("n", "n"), "wide": ("n", "m")}[
        kind
    ]


def text(loop, term):
    """Un terme, écrit pour le moteur."""
    name, *rest = term
    if name == "read":
        return rest[0]
    if name == "number":
        return f"T.constant(np.array({rest[0]}, {loop.dtype!r}))"
    if name == "full":
        return f"T.constant(np.full({shape_text(loop, 'row')}, {rest[0]}, {loop.dtype!r}))"
    if name == "nested":
        matrix, start, body, back, use = rest
        return NESTED.format(
            text(loop, matrix), text(loop, start), body=text(loop, body), back=back,
            use=use.format(dtype=loop.dtype),
        )  # fmt: skip
    return f"({OPS[name][1]})".format(*(text(loop, item) for item in rest))


def shape_text(loop, kind):
    """La forme, écrite, d’une valeur de cette sorte (celle du premier appel)."""
    return repr(tuple(loop.lengths[axis][0] for axis in axes_of(loop, kind)))


def source(loop, values):
    """Le programme : il définit `inputs`, `shared_ones`, `outputs`, `cost` et `updates`.

    Paramètres
        values : nom -> tableau, ceux du premier appel, que gardent partagées et constantes.
    """
    lines, inputs, shared_ones = [], [], []

    def declare(name, kind, extra, origin):
        value = np.asarray(values[name])
        array = f"np.array({value.tolist()!r}, {loop.dtype!r}).reshape({value.shape})"
        if origin == "shared":
            lines.append(f"{name} = shared({array}, {name!r})")
            shared_ones.append(name)
        elif origin in ("constant", "zeros"):
            lines.append(f"{name} = T.constant({array})")
        elif origin == "number":
            lines.append(f"{name} = 0  # la boucle lui donnera le dtype du pas")
        else:
            ndim = len(axes_of(loop, kind)) + extra
            lines.append(f"{name} = T.{PREFIX[loop.dtype]}{AXES[ndim]}({name!r})")
            inputs.append(name)
            if origin == "computed":
                lines.append(f"{name}_in, {name} = {name}, {name} * 2")
                inputs[-1] = f"{name}_in"

    for item in loop.sequences:
        declare(item.name, item.kind, 1, "shared" if item.shared else "input")
    for item in loop.states:
        declare(item.name, item.kind, item.taps != (-1,), item.start)
    for item in loop.fixed:
        declare(item.name, item.kind, 0, item.origin)
    if loop.counter:
        lines.append(
            f"counter = shared(np.array({values['counter'].item()!r}, {loop.dtype!r}), 'counter')"
        )
    if loop.n_steps == "input":
        lines.append("k = T.lscalar('k')")
        inputs.append("k")
    lines += _step_lines(loop)
    lines += _call_lines(loop, values)
    lines.append(f"outputs = [{', '.join(use.format(f'o[{rank}]') for rank, use in loop.uses)}]")
    if loop.is_real:
        parts = [loop.cost.format(f"outputs[{rank}]", k=rank + 1) for rank in range(len(loop.uses))]
        lines.append(f"cost = {' + '.join(parts)}")
    lines.append(f"inputs, shared_ones = [{', '.join(inputs)}], [{', '.join(shared_ones)}]")
    return "\n".join(lines) + "\n"


def _step_lines(loop):
    states = [loop.states[rank] for sort, rank in loop.order if sort == "state"]
    rows = [name for item in [*loop.sequences, *states] for name in item.rows()]
    arguments = rows + [item.name for item in loop.fixed if item.passed]
    lines = [f"def step({', '.join(arguments)}):"]
    if loop.draws:
        lines.insert(0, "draws = RandomStreams(7)")
    for rank, kind in enumerate(loop.draws):
        size = shape_text(loop, kind)
        lines.append(f"    d{rank} = draws.uniform({size}, dtype={loop.dtype!r})")
    results = []
    for sort, rank in loop.order:
        term = loop.states[rank].new if sort == "state" else loop.collected[rank][1]
        results.append(text(loop, term))
    result = f"[{', '.join(results)}]"
    if loop.counter:
        result += f", {{counter: {text(loop, loop.counter)}}}"
    if loop.until:
        left, right = (text(loop, term) for term in loop.until)
        result += f", until(T.gt({left}, {right}))"
    return [*lines, f"    return {result}"]


def _call_lines(loop, values):
    sequences = [
        item.name if item.taps == (0,) else f"dict(input={item.name}, taps={list(item.taps)})"
        for item in loop.sequences
    ]
    infos = []
    for sort, rank in loop.order:
        if sort == "value":
            infos.append("None")
            continue
        state = loop.states[rank]
        plain = state.taps == (-1,)
        infos.append(
            state.name if plain else f"dict(initial={state.name}, taps={list(state.taps)})"
        )
    passed = [item.name for item in loop.fixed if item.passed]
    options = [f"[{', '.join(sequences)}]"]
    if loop.form != "map":
        options.append(f"[{', '.join(infos)}]")
    options.append(f"non_sequences=[{', '.join(passed)}]")
    if loop.n_steps:
        options.append(f"n_steps={'k' if loop.n_steps == 'input' else values['k'].item()}")
    if loop.form in ("scan", "map") and loop.backwards:
        options.append("go_backwards=True")
    if loop.truncate > 0:
        options.append(f"truncate_gradient={loop.truncate}")
    lines = [f"o, updates = {loop.form}(step, {', '.join(options)})"]
    return [*lines, "o = o if isinstance(o, list) else [o]"]
