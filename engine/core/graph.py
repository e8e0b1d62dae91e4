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
_written = ContextVar("les nœuds (leur id) que l’écriture en cours a déjà mis à plat")


def checked_name(name):
    """Rend `name`, s’il peut nommer une variable ou une fonction : une chaîne, ou None.

    Lève
        InputError : autre chose.
    """
    if name is not None and not isinstance(name, str):
        raise InputError(
            "un nom est une chaîne de caractères",
            expected="par exemple 'x'",
            received=f"{name!r} ({type(name).__name__})",
            hint="T.matrix('x') nomme une variable ; pour une valeur, T.constant(3.0)",
        )
    try:
        (name or "").encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "un nom est un texte",
            expected="des caractères qu'un fichier sait écrire",
            received=f"{name!r} ({error.reason})",
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

    def __reduce__(self):
        slots = {name: getattr(self, name) for name in self.__slots__}
        return _blank_node, (_WRITING, _Before(self)), (None, slots)

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
    host_only = None  # sans noyau du périphérique : pourquoi
    moves = False  # sa sortie est faite d’éléments de ses entrées : rien ne s’y arrondit
    fills = False  # sa sortie est sa première entrée, répétée
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


def clone(outputs, replace=None, strict=True, share_inputs=True):
    """Recopie le graphe de `outputs` en y remplaçant des variables.

    Une longueur que l’ancienne variable connaît, la nouvelle la connaît aussi : le graphe a pu s’en
    servir. Un nœud dont une entrée change de type est refait : ses sorties ont les longueurs et le
    dtype des nouvelles entrées. Les notes (`tag`) sont copiées, leurs variables suivent, et les
    valeurs d’essai sont recalculées.

    Paramètres
        outputs : variable ou liste de variables.
        replace : dictionnaire (ou liste de paires) ancienne variable -> nouvelle.
        strict : accepté pour les programmes écrits pour Theano.
        share_inputs : garder les mêmes entrées ; sinon elles sont recopiées aussi, et la copie
            d’une variable partagée a la même case, donc toujours la même valeur.

    Renvoie
        La copie, de même structure que `outputs`.
    """
    single = isinstance(outputs, Variable)
    listed, fresh = [outputs] if single else list(outputs), {}
    replace = {old: _replacement(old, new) for old, new in dict(replace or {}).items()}
    if not share_inputs:
        leaves = (leaf for leaf in graph_inputs(listed, set(replace)) if leaf not in replace)
        fresh = {x: x.sibling() if hasattr(x, "sibling") else x.clone() for x in leaves}
    copies, mapping = clone_with_map(listed, {**replace, **fresh})
    made = [(old, new) for old, new in mapping.items() if new is not old and old not in replace]
    for old, new in made:
        if old._tag is not None:
            notes = vars(old._tag)
            if old.owner is not None:
                notes = {name: note for name, note in notes.items() if name != "test_value"}
            new._tag = SimpleNamespace(**_follow(notes, mapping))
    for node in dict.fromkeys(new.owner for _, new in made if new.owner is not None):
        tell_built(node)
    return copies[0] if single else copies


def _replacement(old, new):
    if not isinstance(old, Variable):
        raise InputError(
            "clone remplace des variables du graphe",
            expected="{variable: remplaçante}",
            received=f"{old!r} ({type(old).__name__})",
            hint="donnez la variable elle-même, non son nom",
        )
    return old.type.replacement(old, new)


def _follow(note, mapping):
    """La même note, où chaque variable est remplacée par sa copie."""
    if isinstance(note, Variable):
        (copy,), more = clone_with_map([note], mapping)
        mapping.update(more)
        return copy
    if type(note) in (list, tuple):
        return type(note)(_follow(item, mapping) for item in note)
    if type(note) is dict:
        return {name: _follow(item, mapping) for name, item in note.items()}
    return note


def clone_with_map(outputs, replace=None, copy_inputs=False):
    """Comme `clone`, sans les notes ; rend aussi la table ancienne variable -> nouvelle."""
    mapping = dict(replace or {})
    for old in mapping:
        if not isinstance(old, Variable):
            raise InputError(
                "clone : on remplace des variables",
                expected="{variable: remplaçante}",
                received=f"{old!r} ({type(old).__name__})",
                hint="donnez la variable elle-même, non son nom",
            )
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


# ---- écrire ------------------------------------------------------------------------------
#
# `pickle` et `deepcopy` suivent les références en récursion, et reconnaissent un objet déjà vu :
# chaque variable, chaque nœud ne s’écrit qu’une fois, quel que soit ce qui les contient. Reste à ne
# pas s’enfoncer : un nœud fait écrire avant lui, en liste et dans l’ordre, ceux dont il dépend.


class _Writing:
    """Écrit une seule fois par `pickle.dumps` ou `deepcopy` : le signe qu’il en commence un."""

    def __reduce__(self):
        _written.set(set())
        return _Writing, ()


_WRITING = _Writing()


class _Before:
    """Les nœuds à écrire avant celui-ci : ses ancêtres, moins ceux qui sont déjà mis à plat.

    S’y tromper (une écriture au milieu d’une autre) n’ôte rien : un nœud absent de la liste est
    écrit là où on le rencontre.
    """

    def __init__(self, node):
        self.node = node

    def __reduce__(self):
        done, order = _written.get(set()), []
        stack = [(self.node, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in done:
                done.add(id(node))
                stack.append((node, True))
                stack.extend((entry.owner, False) for entry in node.inputs if entry.owner)
        return tuple, (order[:-1],)


def _blank_node(writing, before):
    return Apply.__new__(Apply)
