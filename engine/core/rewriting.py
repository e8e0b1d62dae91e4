"""Le moteur de réécriture : des règles nommées, rangées en étapes, appliquées jusqu’au point fixe.

Une règle a deux formes :

- un motif, écrit avec les expressions du moteur lui-même ::

      pattern("log1p_exp", "stabilize", lambda x: log(1 + exp(x)), lambda x: softplus(x),
      reason="...")

- une fonction décorée, quand il faut une condition ::

      @rewrite("x_sur_x", "canonicalize", ["true_div"], "...", Domain(exact="x != 0"), [
          lambda x: x / x
      ])
      def divide_by_itself(node):
          return [...]  # les nouvelles sorties, ou None

Une règle du moteur dit où elle est exacte (`Domain`) et donne des exemples où elle s’applique : les
certificats (`tests/certificates`) les calculent sans elle et avec elle, sur des valeurs ordinaires
et extrêmes, dans chaque dtype. L’ordre des passes est une table (`engine.rewriting.order`) ; les
règles d’une étape s’essaient dans l’ordre de son fichier. Chaque application est notée dans
`fgraph.log`, avec le nom de la règle.

Ordre de lecture : `Domain`, `Rewrite`, `rewrite`, `pattern`, `run_stage`, `rewrite_graph`.
"""

import inspect
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from engine.core import trace
from engine.core.contract import perform_call
from engine.core.dtypes import DTYPES
from engine.core.elemwise import cast, scalar_name
from engine.core.fgraph import OUTPUT
from engine.core.graph import Constant
from engine.core.registry import load
from engine.core.types import FLOATS, TensorConstant, TensorType

STAGES = ("canonicalize", "stabilize", "specialize", "fusion", "placement", "inplace")
GROUPS = {"flottants": FLOATS, "tous": DTYPES}


@dataclass(frozen=True)
class Domain:
    """Où une règle est exacte ; ce qui n’y est pas dit n’a pas le droit de changer.

    Paramètres
        dtypes : du résultat, « flottants » ou « tous » ; ailleurs, la règle n’est pas essayée.
        exact : condition sur les valeurs des exemples, en NumPy : "isfinite(x)", "x != 0" ; hors
            d’elle, la règle change le résultat exprès.
        changes : ce qu’elle y change.
        ulps : de combien, en unités du dernier chiffre, elle peut être moins juste que la forme
            naïve ; 2 par défaut, pour les arrondis.
        slope : la même condition, pour le gradient ("" : la même que `exact`).

    Partout, un zéro peut changer de signe.
    """

    dtypes: str = "flottants"
    exact: str = ""
    changes: str = ""
    ulps: float = 2
    slope: str = ""


@dataclass(frozen=True)
class Rewrite:
    """Une règle : son nom, son étape, sa raison, les ops qui la déclenchent, sa fonction, où elle
    est exacte, des exemples (fonctions de variables) où elle s’applique.

    `apply(node)` rend la liste des nouvelles sorties, ou None si la règle ne s’applique pas.
    """

    name: str
    stage: str
    reason: str
    on: tuple
    apply: Callable
    domain: Domain | None = None
    samples: tuple = ()

    def concerns(self, node):
        """Dit si le dtype de ce nœud est dans le domaine."""
        return self.domain is None or node.outputs[0].dtype in GROUPS[self.domain.dtypes]


REWRITES = {}  # nom -> règle, dans l’ordre de déclaration
GRAPH_REWRITES = {}  # nom -> passe sur tout le graphe : apply(fgraph, has_kernel)
PASSES = dict.fromkeys(STAGES, ())  # étape -> les passes, dans l’ordre : `engine.rewriting.order`


def node_key(node):
    """Ce qui sert à retrouver les règles d’un nœud : le nom de la fonction scalaire, ou la
    classe.
    """
    return scalar_name(node) or type(node.op)


def rewrite(name, stage, on, reason, domain=None, samples=()):
    """Déclare la fonction décorée comme règle, essayée sur les nœuds dont la clé est dans `on`."""

    def register(function):
        REWRITES[name] = Rewrite(name, stage, reason, tuple(on), function, domain, tuple(samples))
        return function

    return register


def graph_rewrite(name, stage, reason, domain=None):
    """Déclare une passe qui regarde tout le graphe : `function(fgraph, has_kernel)`.

    Sa place est dans la table `engine.rewriting.order` ; une passe qui n’y est pas suit les autres.
    """

    def register(function):
        GRAPH_REWRITES[name] = Rewrite(name, stage, reason, (), function, domain)
        return function

    return register


# ---- motifs ------------------------------------------------------------------------------


def pattern(name, stage, search, replace, reason, domain=None):
    """Déclare la règle « remplacer ce qui ressemble à `search(...)` par `replace(...)` ».

    Les arguments des deux fonctions sont les jokers. Un même joker doit désigner la même variable
    partout ; les constantes se comparent par leur valeur ; les opérations commutatives se lisent
    dans les deux sens. Tout se calcule dans le dtype du résultat : -y pris dans un dtype plus
    étroit aurait débordé, et le motif ne le reconnaît pas.
    """
    names = list(inspect.signature(search).parameters)
    wildcards = [TensorType("float64")(wildcard) for wildcard in names]
    model = search(*wildcards)

    def apply(node):
        (out,) = node.outputs
        bindings = match(model, out, set(wildcards))
        if bindings is None:
            return None
        new = replace(*(cast(bindings[wildcard], out.dtype) for wildcard in wildcards))
        return [fit(new, out)]

    rewrite(name, stage, [node_key(model.owner)], reason, domain, [search])(apply)


def match(model, variable, wildcards):
    """Rend {joker: variable} si `variable` a la forme de `model`, sinon None."""
    attempts = [([(model, variable)], {})]
    while attempts:
        pending, bindings = attempts.pop()
        while pending:
            wanted, found = pending.pop()
            if wanted in wildcards:
                if bindings.setdefault(wanted, found) is not found:
                    break
            elif isinstance(wanted, Constant):
                if scalar_value(found) is None or scalar_value(found) != scalar_value(wanted):
                    break
            elif found.owner is None or not _same_operation(wanted.owner, found.owner):
                break
            elif found.dtype != (variable.dtype if wanted.dtype in FLOATS else wanted.dtype):
                break  # calculé dans un autre dtype que le résultat
            else:
                pairs = list(zip(wanted.owner.inputs, found.owner.inputs, strict=True))
                if len(pairs) == 2 and getattr(
                    getattr(wanted.owner.op, "scalar", None), "commutative", False
                ):
                    (a, x), (b, y) = pairs
                    attempts.append(([*pending, (a, y), (b, x)], dict(bindings)))
                pending += pairs
        else:
            return bindings
    return None


def _same_operation(wanted, found):
    return wanted.op == found.op and len(wanted.inputs) == len(found.inputs)


def scalar_value(variable):
    """La valeur d’une constante uniforme sans axe utile (tous de longueur 1), sinon None."""
    if isinstance(variable, TensorConstant) and variable.data.size == 1:
        return variable.data.flat[0]
    return None


def fit(new, old):
    """Donne à `new` le dtype et la forme (diffusée) de `old`, pour pouvoir le remplacer."""
    new = cast(new, old.dtype)
    missing_axes = new.ndim < old.ndim
    narrowed = not missing_axes and any(
        n == 1 != o for n, o in zip(new.type.shape, old.type.shape, strict=True)
    )
    return old.zeros_like() + new if missing_axes or narrowed else new


# ---- application -------------------------------------------------------------------------


def run_stage(fgraph, rules, foldable=lambda node: True):
    """Applique des règles, fusionne les doublons et replie les constantes jusqu’au point fixe.

    Une règle qui échoue est passée, avec un avertissement qui la nomme : le résultat reste juste.
    `foldable(node)` dit quels nœuds de constantes se replient.
    """
    by_key = {}
    for rule in rules:
        for key in rule.on:
            by_key.setdefault(key, []).append(rule)
    seen = {}
    queue = deque(fgraph.toposort())
    queued = set(queue)
    while queue:
        node = queue.popleft()
        queued.discard(node)
        if node not in fgraph:
            continue
        change = _merge(fgraph, node, seen)
        if not change and _is_constant(node) and foldable(node):
            change = _fold(node)
        for rule in () if change else by_key.get(node_key(node), ()):
            change = _attempt(rule, node) if rule.concerns(node) else None
            if change:
                break
        if not change:
            continue
        reason, new_outputs = change
        fresh, touched = len(fgraph.added), []
        for old, new in zip(node.outputs, new_outputs, strict=True):
            if new is not None and old in fgraph.clients:
                touched += [client for client, _ in fgraph.clients[old] if client is not OUTPUT]
                touched += [new.owner] if new.owner is not None else []
                fgraph.replace(old, new, reason)
        touched = fgraph.added[fresh:] + touched
        for item in touched:
            if item not in queued:
                queue.append(item)
                queued.add(item)


def _attempt(rule, node):
    with trace.inherit(node.trace):
        try:
            outputs = rule.apply(node)
            for old, new in zip(node.outputs, outputs or node.outputs, strict=True):
                if new is not None and not old.type.accepts(new.type):
                    raise TypeError(f"{new.type} à la place de {old.type}")
        except Exception as error:
            _skip(rule, error)
            return None
    if not outputs or all(
        new is None or new is old for new, old in zip(outputs, node.outputs, strict=True)
    ):
        return None
    return rule.name, outputs


def _attempt_pass(rule, fgraph, has_kernel):
    """Applique une passe ; chaque remplacement laisse le graphe juste, même si la suite échoue."""
    try:
        rule.apply(fgraph, has_kernel)
    except Exception as error:
        _skip(rule, error)


def _skip(rule, error):
    warnings.warn(
        f"la réécriture « {rule.name} » a échoué et a été passée : "
        f"{type(error).__name__} : {error}",
        stacklevel=3,
    )


def _merge(fgraph, node, seen):
    """Deux nœuds de même op et de mêmes entrées n’en font qu’un."""
    key = (node.op, *map(_identity, node.inputs))
    twin = seen.get(key)
    if twin is None or twin is node or twin not in fgraph:
        seen[key] = node
        return None
    if key != (twin.op, *map(_identity, twin.inputs)):
        seen[key] = node
        return None
    return "fusion_des_doublons", twin.outputs


def _identity(variable):
    small = isinstance(variable, TensorConstant) and variable.data.size <= 16
    return variable.signature() if small else variable


def _is_constant(node):
    """Dit si toutes les entrées d’un nœud sont des constantes."""
    if not node.inputs or not all(isinstance(entry, TensorConstant) for entry in node.inputs):
        return False
    return getattr(node.op, "foldable", True)


def _is_exact(node):
    """Dit si un nœud ne calcule rien qui s’arrondisse : il déplace, convertit, ou compte."""
    if (scalar_name(node) or "").startswith("cast["):
        return True
    return node.op.moves or all(output.dtype not in FLOATS for output in node.outputs)


def _fold(node):
    """Calcule dès maintenant un nœud dont toutes les entrées sont des constantes."""
    try:
        results = perform_call(node)(*(entry.data for entry in node.inputs))
    except Exception:
        return None  # l’erreur viendra à l’exécution, avec son contexte
    return "constantes_repliées", [
        TensorType(value.dtype, shape=value.shape).make_constant(value)
        for value in (results if len(node.outputs) > 1 else [results])
    ]


def rewrite_graph(fgraph, selected, has_kernel):
    """Applique à `fgraph` les règles choisies, étape par étape.

    Paramètres
        selected : fonction règle -> booléen (voir `Mode`).
        has_kernel : fonction op -> booléen : le dos de calcul sait-il faire cet op vite ?
    """
    load("rules")
    simplify(fgraph, selected, has_kernel)
    finish(fgraph, selected, has_kernel)


def simplify(fgraph, selected, has_kernel):
    """Les premières étapes : forme canonique, puis stabilité numérique.

    Les constantes se replient ensuite : log(softmax(constante)) se stabilise comme celui d’une
    entrée, au lieu d’être calculé tel qu’il est écrit.
    """
    fgraph.selected = selected  # une passe peut avoir à réécrire un graphe porté par un op
    _run_phase(("canonicalize",), fgraph, selected, has_kernel, _is_exact)
    _run_phase(("canonicalize", "stabilize"), fgraph, selected, has_kernel, _is_exact)
    if any(map(_is_constant, fgraph.nodes)):
        _run_rules(("canonicalize", "stabilize"), fgraph, selected)


def finish(fgraph, selected, has_kernel):
    """Les dernières étapes : spécialisation, fusion des boucles, écriture sur place."""
    fgraph.selected = selected
    _run_phase(("specialize",), fgraph, selected, has_kernel)
    for stage in ("fusion", "placement", "inplace"):
        _run_passes(stage, fgraph, selected, has_kernel)


def _run_phase(stages, fgraph, selected, has_kernel, *foldable):
    _run_passes(stages[-1], fgraph, selected, has_kernel)
    _run_rules(stages, fgraph, selected, *foldable)


def _run_rules(stages, fgraph, selected, *foldable):
    rules = [
        rule
        for stage in stages
        for rule in REWRITES.values()
        if rule.stage == stage and selected(rule)
    ]
    if rules:
        run_stage(fgraph, rules, *foldable)


def _run_passes(stage, fgraph, selected, has_kernel):
    for rule in passes_of(stage):
        if selected(rule):
            _attempt_pass(rule, fgraph, has_kernel)


def passes_of(stage):
    """Les passes d’une étape, dans l’ordre de la table ; puis celles que l’utilisateur ajoute."""
    order = PASSES[stage]
    found = [rule for rule in GRAPH_REWRITES.values() if rule.stage == stage]
    return sorted(found, key=lambda r: order.index(r.name) if r.name in order else len(order))


def explain(rules=None):
    """Le tableau des règles : étape, nom, raison."""
    rows = [*REWRITES.values(), *GRAPH_REWRITES.values()] if rules is None else rules
    return "\n".join(f"{rule.stage:13} {rule.name:28} {rule.reason}" for rule in rows)
