"""Le graphe de calcul : des variables, et des nœuds d’application qui les relient.

Une `Variable` a un type et, si elle est calculée, un `owner` : le nœud `Apply` dont elle est une
sortie. Un `Apply` associe un `Op` (quoi faire) à des entrées et des sorties (sur quoi). Un `Op` dit
comment construire le nœud, quelle forme il rend, comment calculer sa valeur et son gradient.

Aucun parcours n’est récursif : un graphe de 100 000 nœuds passe.

Ordre de lecture : `Type`, `Variable`, `Constant`, `Apply`, `Op`, puis les parcours
(`toposort`, `ancestors`, `graph_inputs`, `clone`).

Référence : Bergstra et coll., « Theano: a CPU and GPU math compiler in Python », SciPy 2010.
"""

from types import SimpleNamespace

from engine import trace

BUILD_HOOKS = []  # appelés avec chaque nœud qu’un op vient de construire


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

    def __call__(self, name=None):
        return self.make_variable(name)


class Variable:
    """Une valeur symbolique : une entrée (`owner` vaut None) ou la sortie `index` d’un nœud."""

    _dims = None  # les noms des axes, une fois donnés ou déduits

    def __init__(self, type, owner=None, index=None, name=None):
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self._tag = None

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

    def __reduce_ex__(self, protocol):
        if self.owner is not None:
            return rebuild, (to_table([self]),)
        return super().__reduce_ex__(protocol)

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
        """Rend le même nœud appliqué à d’autres entrées, de types équivalents."""
        outputs = [output.clone() for output in self.outputs]
        for old, new in zip(self.outputs, outputs, strict=True):
            new._tag = old._tag
        with trace.inherit(self.trace):
            return Apply(self.op, inputs, outputs)

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
    `DebugMode` le vérifient, `engine.contract` y veille à chaque appel.
    """

    __props__ = ()
    view_map = {}
    destroy_map = {}

    def make_node(self, *inputs):
        """Vérifie les entrées et rend le nœud `Apply`."""
        raise NotImplementedError(f"{type(self).__name__}.make_node")

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

    def samples(self):
        """Exemples d’entrées, bords compris : les tests génériques en sont tirés."""
        return []

    def __call__(self, *inputs, name=None):
        outputs = self.make_node(*inputs).outputs
        for hook in BUILD_HOOKS:
            hook(outputs[0].owner)
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

    __repr__ = __str__


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


def clone(outputs, replace=None, copy_inputs=False):
    """Recopie le graphe de `outputs` en y remplaçant des variables.

    Paramètres
        outputs : variable ou liste de variables.
        replace : dictionnaire (ou liste de paires) ancienne variable -> nouvelle.
        copy_inputs : recopier aussi les entrées libres (les constantes et les variables
            partagées restent les mêmes).

    Renvoie
        La copie, de même structure que `outputs` ; le second élément, le dictionnaire
        ancienne -> nouvelle, n’est rendu que par `clone_with_map`.
    """
    single = isinstance(outputs, Variable)
    copies, _ = clone_with_map([outputs] if single else list(outputs), replace, copy_inputs)
    return copies[0] if single else copies


def clone_with_map(outputs, replace=None, copy_inputs=False):
    """Comme `clone`, et rend aussi la table ancienne variable -> nouvelle."""
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
        if (
            all(new is old for new, old in zip(inputs, node.inputs, strict=True))
            and not copy_inputs
        ):
            copies = node.outputs
        else:
            copies = node.clone_with_inputs(inputs).outputs
            for old, new in zip(node.outputs, copies, strict=True):
                new.name = old.name
        mapping.update(
            (old, new) for old, new in zip(node.outputs, copies, strict=True) if old not in mapping
        )
    return [mapping[variable] for variable in outputs], mapping


def to_table(variables):
    """Met à plat le graphe de `variables`, pour l’écrire ou le copier sans récursion.

    Renvoie
        (feuilles, nœuds, rangs) : les feuilles sont les variables sans `owner` ; un nœud est
        (op, rangs de ses entrées, types et noms de ses sorties, trace) ; `rangs` désigne
        `variables` dans la suite « feuilles, puis sorties des nœuds ».
    """
    leaves = [variable for variable in walk(variables) if variable.owner is None]
    ranks = {leaf: rank for rank, leaf in enumerate(leaves)}
    rows = []
    for node in toposort(variables):
        made = [(output.type, output.name) for output in node.outputs]
        rows.append((node.op, [ranks[entry] for entry in node.inputs], made, node.trace))
        ranks.update(zip(node.outputs, range(len(ranks), len(ranks) + len(made)), strict=True))
    return leaves, rows, [ranks[variable] for variable in variables]


def from_table(leaves, rows, ranks):
    """Refait le graphe mis à plat par `to_table` ; rend ses variables."""
    variables = list(leaves)
    for op, inputs, made, origin in rows:
        outputs = [type_.make_variable(name) for type_, name in made]
        with trace.inherit(origin):
            Apply(op, [variables[rank] for rank in inputs], outputs)
        variables += outputs
    return [variables[rank] for rank in ranks]


def rebuild(table):
    """Refait la variable dont `to_table([variable])` a donné la table."""
    (variable,) = from_table(*table)
    return variable
