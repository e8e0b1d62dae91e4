"""Compiler : du graphe à une fonction Python que l’on appelle.

`function` copie le graphe, le fait réécrire, choisit un noyau pour chaque nœud, puis écrit un
programme Python en ligne droite, un nœud par ligne, lisible dans `f.source`. Les mises à jour sont
posées à la toute fin, toutes ou aucune.

Une fonction s’appelle de plusieurs fils : chaque appel prend un programme, avec sa mémoire de
travail, et le rend ; s’il n’en reste pas, il s’en écrit un. Qui met à jour tient ses variables du
début à la fin de l’appel : aucune mise à jour ne se perd.

Ordre de lecture : `function`, `Function` ; `request` lit ce que l’on demande.
"""

import copy
import inspect
from functools import partial

from engine.core.emission import emit
from engine.core.errors import (
    EngineError,
    InputError,
    RuntimeNodeError,
)
from engine.core.exact_types import describe, exact_update
from engine.core.fgraph import FunctionGraph
from engine.core.graph import Variable, checked_name, clone_with_map
from engine.core.linking import linker_of
from engine.core.modes import get_mode, watcher_named
from engine.core.registry import has_kernel
from engine.core.request import (
    as_input,
    as_list,
    as_pairs,
    as_replacement,
    check_shared,
    check_unused,
    collect_updates,
    default_updates,
    flatten_outputs,
)
from engine.core.rewriting import rewrite_graph
from engine.core.settings import config
from engine.core.sharedvalue import SharedVariable, Storage
from engine.core.turns import Turn, take, unite
from engine.core.types import add_methods


def function(
    inputs, outputs=None, mode=None, updates=None, givens=None, no_default_updates=False,
    accept_inplace=False, name=None, rebuild_strict=True, allow_input_downcast=None, profile=None,
    on_unused_input=None, **unknown,
):  # fmt: skip
    """Compile une fonction qui calcule `outputs` à partir de `inputs`.

    Paramètres
        inputs : variables (ou `In`) ; un intermédiaire coupe le graphe à cet endroit.
        outputs : une variable, une liste, un dictionnaire nom -> variable, ou None.
        updates : paires (variable partagée, nouvelle valeur) ou dictionnaire. Toutes les anciennes
            valeurs sont lues, puis toutes les nouvelles écrites ; une exception laisse tout intact.
        givens : paires (variable, remplaçante) ou dictionnaire, appliquées avant la compilation.
        mode : "FAST_RUN", "FAST_COMPILE", "DebugMode" ou un `Mode`.
        on_unused_input : "raise", "warn" ou "ignore".
        allow_input_downcast : accepter des valeurs plus larges que l’entrée.
        accept_inplace, rebuild_strict : acceptés pour les programmes écrits pour Theano.
        profile : mesurer chaque nœud ; le tableau est `f.profile` (voir `engine.look.profiling`).

    Renvoie
        Une `Function` : un tableau pour une sortie, une liste, un dictionnaire, selon `outputs`.

    Lève
        MissingInputError, UnusedInputError, UpdateError, ModeError, InputError.

    Exemple
        >>> from engine import shared, tensor as T
        >>> x, total = T.dscalar("x"), shared(0.0, name="total")
        >>> add = function([x], total, updates=[(total, total + x)])
        >>> add(3.0), add(4.0), total.get_value()
        (array(0.), array(3.), array(7.))
    """
    if unknown:
        raise InputError(
            f"function ne connaît pas l'argument {', '.join(unknown)}",
            expected=", ".join(inspect.signature(function).parameters).removesuffix(", unknown"),
            received=", ".join(unknown),
            hint="le pluriel, souvent : updates, givens, inputs, outputs",
        )
    specs = [as_input(item, allow_input_downcast) for item in as_list(inputs)]
    variables = [spec.variable for spec in specs]
    if len(set(variables)) < len(variables):
        twice = next(variable for variable in variables if variables.count(variable) > 1)
        raise InputError(
            "la même variable figure deux fois dans les entrées",
            received=str(twice),
            expected="chaque entrée une fois",
            hint="ôtez-en une ; deux variables de même nom restent deux variables",
        )
    flat, structure = flatten_outputs(outputs)
    explicit = collect_updates(updates)
    states = [spec for spec in specs if spec.update is not None]
    expressions = [*flat, *explicit.values()]
    expressions += [exact_update(spec.variable, spec.update) for spec in states]
    replaced = dict(as_pairs(givens, "givens", "(variable, remplaçante)", InputError))
    for old in replaced:
        if not isinstance(old, Variable):
            raise InputError(
                "givens remplace des variables du graphe",
                expected="des paires (variable, remplaçante), ou {variable: remplaçante}",
                received=f"{old!r} ({type(old).__name__})",
                hint="donnez la variable elle-même, non son nom",
            )
    replaced = {old: as_replacement(old, new) for old, new in replaced.items()}
    expressions, _ = clone_with_map(expressions, replaced)
    by_default = default_updates(expressions, variables, replaced, explicit, no_default_updates)
    targets, n_before = [*explicit, *by_default], len(flat) + len(explicit)
    expressions[n_before:n_before] = by_default.values()
    check_unused(variables, expressions, on_unused_input or config.on_unused_input)
    return Function(
        specs, expressions, len(flat), targets, structure,
        get_mode(mode).watching(watcher_named("profile")) if profile else get_mode(mode), name,
    )  # fmt: skip


class Function:
    """Une fonction compilée. S’appelle avec des valeurs, par position ou par nom.

    Attributs
        source : le programme Python émis, un nœud par ligne, sa formule en commentaire.
        fgraph : le graphe réécrit ; son `log` dit ce qui a été remplacé, et pourquoi.
        profile : les mesures de chaque nœud si `profile=True`, sinon None.
    """

    def __init__(self, specs, expressions, n_outputs, targets, structure, mode, name):
        self._recipe = (specs, expressions, n_outputs, targets, structure, mode, name)
        self.name = checked_name(name) or "f"
        self.mode = mode
        self.specs = specs
        self._n_inputs = len(specs)
        self.fgraph = self.original_graph()
        self._linker = linker_of(mode.backends)
        self._watchers = [watcher(self.fgraph, self.name) for watcher in mode.watch]
        self.profile = next((one for one in self._watchers if one.is_profile), None)
        self.targets = targets
        self._n_outputs = n_outputs
        self.rewrite(self.fgraph)
        self._linker.said(self.fgraph, self.name)
        self._structure = structure
        self._states = {spec: _state(spec) for spec in specs if spec.update is not None}
        self._cells = [(f"{target.name or 'partagée'}", target.storage) for target in targets]
        self._cells += [(spec.name or "entrée", cell) for spec, cell in self._states.items()]
        self._careful_graph = None  # le même, sans suppositions, si un appel dément les siennes
        self.turn = None  # qui n’écrit rien, et que rien ne surveille, n’attend personne
        if self._cells or self._watchers:
            self.turn = Turn(self)
            unite([self, *(storage for _, storage in self._cells)])
        self._on_card = self._linker.bound(_run)
        self._written, self.source, self._program = self._emit(self.fgraph, self._careful)
        self._free = [self._ready(self._program)]  # les programmes dont personne ne se sert

    def _emit(self, fgraph, retry):
        program = self._linker.program(fgraph, self.mode.backends, self.name, self._watchers)
        return program, *emit(program, self.specs, self._cells, self._n_outputs, retry)

    def _ready(self, program):
        """Le programme comme on l’appelle : surveillé, sur sa carte."""
        for watcher in self._watchers:
            program = watcher.wrap_call(program)
        return program if self._on_card is None else partial(self._on_card, program)

    def _another(self):
        """Un programme de plus : un autre fil se sert du dernier, ou l’un de ses nœuds rappelle la
        fonction.
        """
        write = partial(self._emit, self.fgraph, self._careful)
        *_, program = write() if self._on_card is None else self._on_card(write)
        return self._ready(program)

    def _careful(self):
        """Le programme qui ne suppose rien des formes, pour qui n’a pas celles que l’on croyait."""
        if self._careful_graph is None:
            fgraph = self.original_graph()
            self.rewrite(fgraph, self.mode.excluding("formes_supposées"))
            self._careful_graph = fgraph
        return self._emit(self._careful_graph, None)[-1]

    def original_graph(self):
        """Rend une copie du graphe tel qu’il a été écrit, avant toute réécriture.

        Avec `rewrite`, on rejoue la réécriture sous surveillance : `fgraph.on_replace` est appelé à
        chaque remplacement.
        """
        specs, expressions, *_ = self._recipe
        return FunctionGraph([spec.variable for spec in specs], expressions)

    def rewrite(self, fgraph, mode=None):
        """Réécrit `fgraph` en place, comme la fonction a réécrit le sien (ou selon `mode`)."""
        mode = mode or self.mode
        backends = mode.backends
        fgraph.guards = []  # la fonction sait vérifier, et se refaire
        self._linker.prepare(fgraph, enumerate(self.targets, self._n_outputs))
        with config.change_flags(compute_test_value="off"):
            rewrite_graph(
                fgraph,
                mode.selects,
                lambda op: any(has_kernel(op, backend) for backend in backends),
            )

    @property
    def replay(self):
        """Ce que le périphérique rejoue d’un bloc : combien d’appels, ou pourquoi aucun."""
        return self._linker.replay(self._written)

    @property
    def input_names(self):
        """Les noms des entrées, dans l’ordre."""
        return [spec.name for spec in self.specs]

    @property
    def output_labels(self):
        """Ce que chaque sortie du graphe veut dire : « sortie », ou ce qu’elle met à jour."""
        updated = [*self.targets, *(spec.name or "entrée" for spec in self._states)]
        return ["sortie"] * self._n_outputs + [f"{target}, mise à jour" for target in updated]

    def __call__(self, /, *args, **kwargs):
        if kwargs or len(args) != self._n_inputs:
            args = self._arrange(args, kwargs)
        turn, program = self.turn, None
        if turn is not None:  # ces deux affectations prennent le tour : voir `turns`
            free = turn.free
            turn.free = False
            if not free:
                turn = take(self)
        try:
            try:
                program = self._free.pop()
            except IndexError:
                program = self._another()
            results = program(*args)
        except Exception as error:
            explained = self._explain(error)
            raise explained from (error if explained is not error else error.__cause__)
        finally:
            if turn is not None:  # d’abord : un appel peut être interrompu
                turn.free = True
            if program is not None:
                self._free.append(program)
        if self._structure is None:
            return results[0]
        return self._structure(results)

    def _arrange(self, args, kwargs):
        """Range les arguments donnés par position, par nom ou par défaut."""
        values = dict(zip(range(len(self.specs)), args, strict=False))
        names = self.input_names
        for name, value in kwargs.items():
            if name not in names or names.index(name) in values:
                raise self._wrong_arguments(f"{name} est inconnu ou donné deux fois")
            values[names.index(name)] = value
        for position, spec in enumerate(self.specs):
            if position not in values and spec in self._states:
                values[position] = self._states[
                    spec
                ]  # le programme la lit, une fois seul à la tenir
            elif position not in values and spec.value is not None:
                value = spec.value
                values[position] = (
                    value.get_value(borrow=True) if isinstance(value, SharedVariable) else value
                )
        if len(args) > len(self.specs) or len(values) < len(self.specs):
            raise self._wrong_arguments(f"{len(args) + len(kwargs)} argument(s)")
        return [values[position] for position in range(len(self.specs))]

    def _wrong_arguments(self, received):
        wanted = ", ".join(f"{spec.name or '?'} : {spec.variable.short()}" for spec in self.specs)
        return InputError(
            f"{self.name} : les arguments ne conviennent pas",
            expected=f"{len(self.specs)} argument(s) ({wanted})",
            received=received,
            hint="donnez-les dans l'ordre des entrées, ou par leur nom : f(x=...)",
        )

    def _explain(self, error):
        """Rend l’erreur enrichie du nœud fautif, des formes de ses entrées et de l’endroit où il
        est né.
        """
        frame, line, trail = None, None, error.__traceback__
        while trail is not None:  # le plus profond : le nœud fautif est peut-être dans une boucle
            emitted = trail.tb_frame.f_code.co_filename.startswith("<fonction ")
            if emitted and "LINES" in trail.tb_frame.f_globals:
                frame, line = trail.tb_frame, trail.tb_lineno
            trail = trail.tb_next
        node = frame.f_globals["LINES"].get(line) if frame is not None else None
        if node is None:
            return error
        values = frame.f_locals
        shown = []
        for entry, local in zip(node.node.inputs, node.arguments, strict=True):
            value = values.get(local)
            known = hasattr(value, "shape")
            shape = f" de forme {entry.shape_text(value.shape)}" if known else ""
            shown.append(f"{describe(entry)}{shape} ({entry.dtype})")
        received = ", ".join(shown)
        if isinstance(error, EngineError):
            error.received = f"{error.received}\n{received}" if error.received else received
            error.where = error.where or str(node.node.trace)
            return error
        if isinstance(error, MemoryError):
            hint = "réduisez le lot, ou calculez en float32 : des tableaux deux fois plus petits"
        else:
            hint = (
                "regardez ces valeurs ; f.source, et debugprint(f), montrent ce nœud et ses voisins"
            )
        return RuntimeNodeError(
            f"{node.node.op} a échoué : {type(error).__name__} : {error}",
            expected="des entrées que cette opération accepte, et la place de son résultat",
            received=received,
            where=str(node.node.trace),
            hint=hint,
        )

    def __reduce__(self):
        return Function, (self._own_specs(), *self._recipe[1:])

    def _own_specs(self):
        """Les entrées pour une copie, qui part de l’état présent."""
        specs = [copy.copy(spec) for spec in self.specs]
        for spec, old in zip(specs, self.specs, strict=True):
            if old in self._states and not isinstance(old.value, SharedVariable):
                spec.value = self._states[old].data
        return specs

    def copy(self, share_memory=False, swap=None, delete_updates=False, name=None):
        """Rend une fonction semblable.

        Paramètres
            share_memory : accepté, sans effet : la mémoire de travail n’est pas gardée.
            swap : {variable partagée: autre variable partagée}.
            delete_updates : la copie ne met plus à jour aucune variable partagée.
            name : le nom de la copie.

        Exemple
            >>> from engine import shared
            >>> total = shared(1.0, name="total")
            >>> f = function([], total, updates=[(total, total + 1.0)])
            >>> f.copy(delete_updates=True)(), f.copy(swap={total: shared(5.0)})()
            (array(1.), array(5.))
        """
        _, expressions, n_outputs, targets, structure, mode, old_name = self._recipe
        if delete_updates:
            kept_after = n_outputs + len(targets)
            expressions, targets = expressions[:n_outputs] + expressions[kept_after:], []
        swap = dict(swap or {})
        for variable in (*swap, *swap.values()):
            check_shared(variable, "copy(swap=...) échange des variables partagées")
        replaced = {old: as_replacement(old, new) for old, new in swap.items()}
        expressions, _ = clone_with_map(expressions, replaced)
        targets = [swap.get(target, target) for target in targets]
        kept = enumerate(targets, n_outputs)  # l’autre variable n’est peut-être pas du même dtype
        new_values = [exact_update(target, expressions[position]) for position, target in kept]
        expressions[n_outputs : n_outputs + len(targets)] = new_values
        return Function(
            self._own_specs(), expressions, n_outputs, targets, structure, mode, name or old_name
        )

    def __repr__(self):
        return f"<fonction {self.name}({', '.join(name or '?' for name in self.input_names)})>"


def _run(function, *args):
    return function(*args)


def _state(spec):
    """La case où une entrée garde sa valeur d’un appel à l’autre."""
    if isinstance(spec.value, SharedVariable):
        return spec.value.storage
    filtered = spec.value
    if filtered is not None:
        filtered = spec.variable.type.filter(filtered, allow_downcast=spec.allow_downcast)
    return Storage(filtered)


def evaluate(self, values=None):
    """Calcule la valeur d’une variable, pour essayer : `v.eval({x: 3})`.

    Paramètres
        values : {variable: valeur} de ce dont elle dépend.
    """
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(
            f"eval : de quelle variable {values!r} est-il la valeur ?",
            expected="un dictionnaire {variable: valeur}",
            received=f"{values!r} ({type(values).__name__})",
            hint="y.eval({x: 3.0})",
        )
    cached = self._evaluated
    if cached is None or cached[0] != list(values):
        compiled = function(
            list(values),
            self,
            mode=get_mode("FAST_COMPILE").including("stabilize"),  # les valeurs du mode par défaut
            on_unused_input="ignore",
            allow_input_downcast=True,
        )
        self._evaluated = cached = (list(values), compiled)
    return cached[1](*values.values())


add_methods(eval=evaluate)
