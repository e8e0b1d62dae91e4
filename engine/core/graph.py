"""Le graphe de calcul : des variables, et des nœuds d’application qui les relient.

Une `Variable` a un type et, si elle est calculée, un `owner` : le nœud `Apply` dont elle est une
sortie. Un `Apply` associe un `Op` (quoi faire) à des entrées et des sorties (sur quoi). Un `Op` dit
comment construire le nœud, quelle forme il rend, comment calculer sa valeur et son gradient.

Aucun parcours n’est récursif : un graphe de 100 000 nœuds passe.

Ordre de lecture : `Type`, `Variable`, `Constant`, `Apply`, `Op`, puis les parcours
(`toposort`, `ancestors`, `graph_inputs`, `clone`).

Référence : Bergstra et coll., « Theano: a CPU and GPU math compiler in Python », SciPy 2010.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace

from engine.core import trace
from engine.core.errors import InputError

BUILD_HOOKS = []  # appelés, dans tous les fils, avec chaque nœud qu’un op vient de construire
_watching = ContextVar("ceux qui regardent construire, dans ce fil", default=())


def checked_name(name):
    """Rend `name`, s’il peut nommer une variable ou une fonction : une chaîne, ou None.

    Lève
        InputError : autre chose.
    """
    try:
        ("" if name is None else name).encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise InputError(
            "un nom est une chaîne de caractères",
            expected="un texte qu'un fichier sait écrire, par exemple 'x'",
            received=f"{name!r} ({type(name).__name__})",
            hint="T.matrix('x') nomme une variable ; pour une valeur, T.constant(3.0)",
        ) from error
    return name


class Type:
    """Ce que l’on sait d’une variable avant d’en connaître la valeur."""

    def filter(self, value, strict=False, allow_downcast=None):
        """Rend `value` sous la forme exacte du type, ou lève une erreur."""
        raise NotImplementedError(f"{type(self).__name__}.filter")

    def make_variable(self, name=None):
        """Rend une variable neuve de ce type."""
        return Variable(self, name=name)

    def accepts(self, other):
        """Dit si une variable de type `other` peut en remplacer une de ce type."""
        return self == other

    def replacement(self, old, new):
        """Rend `new`, prête à prendre la place de `old`, une variable de ce type."""
        return new

    def __call__(self, name=None):
        return self.make_variable(name)


class Variable:
    """Une valeur symbolique : une entrée (`owner` vaut None) ou la sortie `index` d’un nœud."""

    _dims = None  # les noms des axes, une fois donnés ou déduits
    _tag = None
    _evaluated = None  # la dernière fonction compilée par `eval` ; ni copiée, ni écrite

    def __init__(self, type, owner=None, index=None, name=None):
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name

    @property
    def name(self):
        """Le nom donné à la variable, ou None."""
        return self._name

    @name.setter
    def name(self, name):
        self._name = checked_name(name)

    @property
    def tag(self):
        """Notes libres attachées à la variable (`v.tag.test_value`, ...)."""
        if self._tag is None:
            self._tag = SimpleNamespace()
        return self._tag

    def clone(self):
        """Rend une variable du même type et du même nom, sans `owner`."""
        copy = self.type.make_variable(self.name)
        copy._dims = self._dims
        return copy

    def __copy__(self):
        node = self.owner
        return node.clone_with_inputs(node.inputs).outputs[self.index] if node else self.clone()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_evaluated"}

    def __repr__(self):
        if self.name is not None:
            return str(self.name)
        if self.owner is None:
            return f"<{self.type}>"
        suffix = f".{self.index}" if len(self.owner.outputs) > 1 else ""
        return f"{self.owner.op}{suffix}"


class Constant(Variable):
    """Une variable dont la valeur `data` est connue et ne change pas."""

    def __init__(self, type, data, name=None):
        super().__init__(type, name=name)
        self.data = data

    def signature(self):
        """Clé de fusion : deux constantes de même signature n’en font qu’une."""
        return (self.type, id(self.data))

    def clone(self):
        """Une constante n’a pas besoin de copie."""
        return self

    def __repr__(self):
        return str(self.name) if self.name is not None else str(self.data)


class Apply:
    """Un nœud : l’application d’un `op` à des `inputs`, qui donne des `outputs`."""

    __slots__ = ("inputs", "op", "outputs", "trace")

    def __init__(self, op, inputs, outputs):
        self.op = op
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.trace = trace.capture()
        for index, output in enumerate(self.outputs):
            output.owner, output.index = self, index

    @property
    def out(self):
        """La sortie d’un nœud qui n’en a qu’une."""
        (output,) = self.outputs
        return output

    def clone_with_inputs(self, inputs):
        """Rend le même nœud appliqué à d’autres entrées ; l’op le refait si un type a changé.

        Les notes (`tag`) ne suivent pas : elles parlent des entrées d’avant.
        """
        pairs = zip(self.inputs, inputs, strict=True)
        with trace.inherit(self.trace):
            if all(new.type is old.type or new.type == old.type for old, new in pairs):
                return Apply(self.op, inputs, [output.clone() for output in self.outputs])
            made = self.op.remake(inputs)
        for old, new in zip(self.outputs, made.outputs, strict=True):
            new.name, new._dims = old.name, old._dims
        return made

    def __repr__(self):
        return f"{self.op}({', '.join(map(repr, self.inputs))})"


class Op:
    """Une opération : une classe, un seul endroit pour tout ce qui la concerne.

    Une sous-classe définit `make_node(*inputs)`, `perform(node, inputs, output_storage)` et, selon
    le besoin, `infer_shape`, `L_op`, `R_op`, `samples`. `__props__` nomme les attributs qui la
    caractérisent : deux ops de même classe et de mêmes attributs sont égaux.

    Contrat de `perform` : chaque sortie est un tableau (`numpy.ndarray`, pas un scalaire), du dtype
    et du nombre d’axes que `make_node` annonce, dans une mémoire à elle ; les entrées sont lues,
    jamais écrites. Une op qui fait autrement le dit : `view_map = {sortie: [entrées]}` pour une
    sortie qui regarde la mémoire d’entrées, `destroy_map` pour une qui l’écrase. `check_op` et
    `DebugMode` le vérifient, `engine.core.contract` y veille à chaque appel.
    """

    __props__ = ()
    view_map = {}
    destroy_map = {}
    tested_by = None  # sans exemples : pourquoi, et le test qui l’éprouve
    host_only = None  # sans noyau du périphérique : pourquoi
    moves = False  # sa sortie est faite d’éléments de ses entrées : rien ne s’y arrondit
    fills = False  # sa sortie est sa première entrée, répétée
    runs_graphs = False  # elle calcule par des graphes qu’elle porte : `run(fonctions, *tableaux)`
    any_layout = False  # sa sortie n’est pas toujours contiguë
    assembles = False  # sa sortie est faite de morceaux, posés chacun à sa place

    def make_node(self, *inputs):
        """Vérifie les entrées et rend le nœud `Apply`."""
        raise NotImplementedError(f"{type(self).__name__}.make_node")

    def remake(self, inputs):
        """Rend le nœud appliqué à des entrées d’autres types (longueurs connues, dtype)."""
        return self.make_node(*inputs)

    def perform(self, node, inputs, output_storage):
        """Calcule avec NumPy ; range chaque sortie, tenue par le contrat, dans
        `output_storage[i][0]`.
        """
        raise NotImplementedError(f"{type(self).__name__}.perform")

    def infer_shape(self, node, input_shapes):
        """Formes symboliques des sorties ; None (forme ou longueur) : il faut calculer pour
        savoir.
        """
        return [None] * len(node.outputs)

    def infer_dims(self, node):
        """Les noms des axes de chaque sortie, d’après ceux des entrées (None : aucun)."""
        return [None] * len(node.outputs)

    def L_op(self, inputs, outputs, output_grads):
        """Produit vecteur-jacobienne : la contribution de chaque entrée (None : sans lien).

        `output_grads[i]` vaut None pour une sortie dont le coût ne dépend pas.
        """
        raise NotImplementedError(f"{type(self).__name__}.L_op")

    def inner_graphs(self):
        """Les graphes que l’op contient (boucle, branches, fusion) : couples (entrées, sorties)."""
        return []

    @classmethod
    def variants(cls):
        """Les réglages à éprouver : des ops de cette classe."""
        return [cls()]

    def samples(self):
        """Exemples d’entrées, bords compris : les tests génériques en sont tirés."""
        return []

    def __call__(self, *inputs, name=None):
        outputs = self.make_node(*inputs).outputs
        tell_built(outputs[0].owner)
        if name is not None:
            outputs[0].name = name
        return outputs[0] if len(outputs) == 1 else list(outputs)

    def _key(self):
        return (type(self), *(getattr(self, prop) for prop in self.__props__))

    def __eq__(self, other):
        return self is other or (type(self) is type(other) and self._key() == other._key())

    def __hash__(self):
        return hash(self._key())

    def __str__(self):
        props = ", ".join(f"{prop}={getattr(self, prop)}" for prop in self.__props__)
        return type(self).__name__ + (f"{{{props}}}" if props else "")

    def __repr__(self):
        return str(self)


def tell_built(node):
    """Montre un nœud neuf à ceux qui regardent construire."""
    for hook in (*BUILD_HOOKS, *_watching.get()):
        hook(node)


@contextmanager
def watch_building(hook):
    """Dans ce bloc, et dans ce fil, `hook` est appelé avec chaque nœud qu’un op construit."""
    token = _watching.set((*_watching.get(), hook))
    try:
        yield
    finally:
        _watching.reset(token)


def walk(outputs, stop=frozenset()):
    """Donne les variables dont `outputs` dépendent, entrées avant sorties, sans franchir `stop`
    (ensemble).
    """
    seen = set()
    stack = [(variable, False) for variable in reversed(outputs)]
    while stack:
        variable, ready = stack.pop()
        if ready:
            yield variable
        elif variable not in seen:
            seen.add(variable)
            stack.append((variable, True))
            if variable.owner is not None and variable not in stop:
                stack.extend(
                    (entry, False) for entry in reversed(variable.owner.inputs) if entry not in seen
                )


def toposort(outputs, inputs=()):
    """Rend les nœuds nécessaires à `outputs`, chacun après ceux dont il dépend.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> [str(node.op) for node in toposort([(x + 1).exp()])]
        ['add', 'exp']
    """
    inputs = set(inputs)
    order = dict.fromkeys(
        variable.owner
        for variable in walk(outputs, inputs)
        if variable.owner is not None and variable not in inputs
    )
    return list(order)


def ancestors(outputs, stop=frozenset()):
    """Rend la liste des variables dont `outputs` dépendent, elles comprises."""
    return list(walk(outputs, stop))


def graph_inputs(outputs, stop=frozenset()):
    """Rend les variables sans `owner` (constantes comprises) dont `outputs` dépendent."""
    return [
        variable for variable in walk(outputs, stop) if variable.owner is None or variable in stop
    ]


def clone_with_map(outputs, replace=None, copy_inputs=False):
    """Comme `clone`, sans les notes ; rend aussi la table ancienne variable -> nouvelle."""
    mapping = dict(replace or {})
    for variable in ancestors(outputs, stop=set(mapping)):
        if variable in mapping:
            continue
        if variable.owner is None:
            is_free = not isinstance(variable, Constant) and not hasattr(variable, "get_value")
            mapping[variable] = variable.clone() if copy_inputs and is_free else variable
            continue
        node = variable.owner
        inputs = [mapping[entry] for entry in node.inputs]
        same = all(new is old for new, old in zip(inputs, node.inputs, strict=True))
        copies = (
            node.outputs if same and not copy_inputs else node.clone_with_inputs(inputs).outputs
        )
        mapping.update(
            (old, new) for old, new in zip(node.outputs, copies, strict=True) if old not in mapping
        )
    return [mapping[variable] for variable in outputs], mapping
