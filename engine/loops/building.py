"""Écrire une boucle : `scan`, et ses cas courants `map`, `reduce`, `foldl`, `foldr`.

`scan(fn, ...)` appelle `fn` une fois, sur des variables qui représentent un pas quelconque, et fait
du résultat le graphe intérieur d’un `Scan`. Ce que `fn` emploie sans que cela dépende du pas (un
poids, sa transposée...) est calculé une fois, dehors.

Ordre de lecture : `until`, `scan`, `_Step` (ce que `fn` rend), `_Builder`.

Référence : la fonction `theano.scan`, dont les noms et le sens sont repris.
"""

import inspect

import numpy as np

from engine.core.dtypes import holds
from engine.core.errors import EngineError, ShapeError, UpdateError
from engine.core.exact_types import exact_update
from engine.core.graph import Constant, Variable, ancestors, clone_with_map, walk, watch_building
from engine.core.request import as_list
from engine.core.settings import config
from engine.core.sharedvalue import SharedVariable
from engine.core.types import TensorConstant, TensorType, as_tensor_variable
from engine.loops.loop_op import Scan
from engine.loops.step_count import StepCount, negative_count, too_short
from engine.loops.updates import OrderedUpdates
from engine.ops.arguments import as_length
from engine.ops.rng import AdvanceState
from engine.ops.test_value import get_test_value


class until:
    """Ce que `fn` rend pour arrêter la boucle après le pas où `condition` devient vraie."""

    def __init__(self, condition):
        self.condition = as_tensor_variable(condition)
        if self.condition.ndim:
            raise ShapeError(
                "until attend une condition scalaire",
                received=f"{self.condition} : {self.condition.short()}",
                hint="réduisez-la : condition.all() ou condition.any()",
                expected="un booléen sans axe",
            )


def scan(
    fn,
    sequences=None,
    outputs_info=None,
    non_sequences=None,
    n_steps=None,
    truncate_gradient=-1,
    go_backwards=False,
    mode=None,
    name=None,
    profile=False,
    allow_gc=None,
    strict=False,
    return_list=False,
):
    """Répète `fn` le long de séquences, en portant des états d’un pas au suivant.

    Paramètres
        fn : fonction des lignes des séquences (dans l’ordre, un argument par retard), des états
            (de même), puis des `non_sequences` ; rend les sorties, et au besoin des mises à jour
            (dictionnaire ou paires) et `until(condition)`.
        sequences : variable, liste, ou `dict(input=x, taps=[-1, 0])` ; l’axe 0 est parcouru.
        outputs_info : un élément par sortie : None (recueillie), une valeur initiale (état, retard
            -1), ou `dict(initial=x, taps=[-2, -1])`, dont l’axe 0 a une ligne par retard.
        non_sequences : ce que `fn` reçoit tel quel à chaque pas.
        n_steps : nombre de pas, entier ou scalaire ; par défaut, la plus courte séquence.
        truncate_gradient : nombre de pas que le gradient remonte ; -1, tous. La valeur initiale
            d’un état ne reçoit alors de gradient que si la remontée l’atteint.
        go_backwards : parcourir les séquences de la fin au début.
        name : le nom de la boucle, pour les messages et les dessins.
        strict : refuser que `fn` emploie une variable partagée qui ne lui est pas passée.
        return_list : rendre une liste même pour une seule sortie.
        mode, profile, allow_gc : acceptés pour les programmes écrits pour Theano ; la boucle suit
            le mode de la fonction qui la contient.

    Renvoie
        (sorties, mises à jour) : une variable (ou une liste) dont l’axe 0 est le temps, sans la
        valeur initiale ; et le dictionnaire des variables partagées que la boucle fait avancer, à
        passer à `function`.

    Note
        Les tirages faits dans `fn` avancent à chaque pas, et d’un appel à l’autre même sans passer
        les mises à jour ; ceux faits dehors sont les mêmes à tous les pas.

    Lève
        EngineError, ShapeError, UpdateError : arguments qui ne vont pas ensemble.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dvector("x")
        >>> totals, _ = scan(lambda v, total: total + v, x, outputs_info=T.constant(0.0))
        >>> totals.eval({x: [1.0, 2.0, 3.0]})
        array([1., 3., 6.])
    """
    builder = _Builder(name, truncate_gradient, strict)
    builder.read_sequences(as_list(sequences), n_steps, go_backwards)
    builder.read_states(as_list(outputs_info))
    builder.call(fn, [as_tensor_variable(value) for value in as_list(non_sequences)])
    outputs, updates = builder.build()
    if not return_list:
        outputs = outputs[0] if len(outputs) == 1 else outputs or None
    return outputs, updates


# ---- ce que fn rend ----------------------------------------------------------------------


class _Step:
    """Ce que `fn` a rendu, rangé : sorties, mises à jour, condition d’arrêt."""

    def __init__(self, result):
        self.outputs, self.updates, self.condition = [], {}, None
        parts = list(result) if isinstance(result, list | tuple) else [result]
        if parts and all(_is_update(part) for part in parts):
            parts = [parts]
        for part in parts:
            self._read(part)
        self.outputs = [as_tensor_variable(output) for output in self.outputs]

    def roots(self):
        """Tout ce que le pas calcule."""
        condition = [] if self.condition is None else [self.condition]
        return [*self.outputs, *map(as_tensor_variable, self.updates.values()), *condition]

    def _read(self, part):
        if part is None:
            return
        if isinstance(part, until):
            self.condition = part.condition
        elif hasattr(part, "items"):
            self.updates.update(part.items())
        elif isinstance(part, list | tuple) and part and all(_is_update(item) for item in part):
            self.updates.update(part)
        elif isinstance(part, list | tuple):
            self.outputs += part
        else:
            self.outputs.append(part)


def _is_update(item):
    return isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], SharedVariable)


# ---- construire --------------------------------------------------------------------------


class _Builder:
    """Rassemble les morceaux d’une boucle, puis fait le nœud."""

    def __init__(self, name, truncate, strict):
        self.name = name
        self.truncate = truncate
        self.strict = strict
        self.rows, self.sequences = [], []  # variables intérieures, et ce qu’elles parcourent
        self.infos = []  # par sortie : None, ou (valeur initiale, retards, variables intérieures)

    def _error(self, summary, **details):
        return EngineError(f"scan{f' {self.name}' if self.name else ''} : {summary}", **details)

    # ---- séquences

    def read_sequences(self, items, n_steps, go_backwards):
        windows = []
        for item in items:
            options = dict(item) if isinstance(item, dict) else {"input": item}
            if "input" not in options:
                raise self._error(
                    "une séquence donnée par un dictionnaire",
                    expected="dict(input=x, taps=[-1, 0])",
                    received=f"les clés {', '.join(map(repr, options))}",
                    hint="la clé est input, au singulier",
                )
            x, taps = as_tensor_variable(options["input"]), options.get("taps") or [0]
            if x.ndim == 0:
                raise self._error(
                    f"la séquence {x} n'a pas d'axe à parcourir",
                    expected="au moins un axe, le temps",
                    received=x.short(),
                    hint="une valeur qui ne change pas d'un pas à l'autre va dans non_sequences",
                )
            taps = [taps] if isinstance(taps, int) else list(taps)
            if not all(isinstance(tap, int) for tap in taps):
                raise self._error(
                    "les retards (taps) d'une séquence sont des entiers",
                    expected="par exemple taps=[-1, 0]",
                    received=repr(taps),
                    hint="0 est la ligne du pas, -1 celle d'avant",
                )
            low, high = min(*taps, 0), max(*taps, 0)
            for tap in taps:
                window = x if low == high else x[tap - low : (tap - high) or None]
                windows.append((x, tap, window[::-1] if go_backwards else window))
        self.n_steps = self._count(n_steps, windows)
        whole = n_steps is None and len(windows) == 1
        for x, tap, window in windows:
            self.sequences.append(window if whole else window[: self.n_steps])
            self.rows.append(self._row(x, tap))

    def _count(self, n_steps, windows):
        if n_steps is not None:
            return self._asked(as_length(n_steps).astype("int64"), windows)
        if not windows:
            raise self._error(
                "combien de pas ?",
                expected="une séquence à parcourir, ou n_steps",
                received="ni l'une ni l'autre",
                hint="avec until, n_steps est le nombre de pas à ne pas dépasser",
            )
        known = {window.type.shape[0] for _, _, window in windows}
        if len(known) == 1 and None not in known:
            return as_length(known.pop())
        lengths = [window.shape[0] for _, _, window in windows]
        steps = lengths[0]
        for length in lengths[1:]:
            steps = steps.minimum(length)
        return steps.astype("int64")

    def _asked(self, steps, windows):
        """Le nombre de pas demandé ; ce qui ne se sait qu’à l’appel y sera vérifié."""
        loop, unsure = f"scan{{{self.name}}}" if self.name else "scan", []
        count = steps.data.item() if isinstance(steps, TensorConstant) else None
        if count is not None and count < 0:
            raise negative_count(loop, count)
        for x, tap, window in windows:
            (length, *_), row = window.type.shape, self._row_name(x, tap)
            if None in (count, length):
                unsure.append((row, window.shape[0]))
            elif length < count:
                raise too_short(loop, count, row, length)
        if count is not None and not unsure:
            return steps
        return StepCount(loop, [row for row, _ in unsure])(steps, *(length for _, length in unsure))

    def _row_name(self, x, tap):
        return f"{x.name}[t{f'{tap:+d}' if tap else ''}]" if x.name else None

    def _row(self, x, tap):
        row = TensorType(x.dtype, shape=x.type.shape[1:])(self._row_name(x, tap))
        row.dims = x.dims[1:]
        value = self._test_value(x)
        if value is not None:
            row.tag.test_value = value[0] if len(value) else np.zeros(value.shape[1:], x.dtype)
        return row

    def _test_value(self, variable):
        """La valeur d’essai d’une variable du dehors, si le pas doit en calculer."""
        return get_test_value(variable) if config.compute_test_value != "off" else None

    # ---- états

    def read_states(self, items):
        for item in items:
            options = dict(item) if isinstance(item, dict) else {"initial": item}
            initial, taps = options.get("initial"), options.get("taps", [-1])
            if initial is None:
                self.infos.append(None)
                continue
            initial = as_tensor_variable(initial)
            taps = [taps] if isinstance(taps, int) else list(taps or [-1])
            if any(tap >= 0 for tap in taps):
                raise self._error(
                    "un état ne peut lire que son passé",
                    expected="des retards négatifs",
                    received=f"taps={taps}",
                    hint="taps=[-1] lit le pas d'avant, [-2, -1] les deux d'avant",
                )
            self.infos.append(self._state(initial, taps, f"état{len(self.infos)}"))

    def _state(self, initial, taps, name):
        if taps == [-1]:
            rows = initial.dimshuffle("x", *range(initial.ndim))
        elif initial.ndim == 0:
            raise self._error(
                f"la valeur initiale {initial} n'a pas d'axe",
                expected=f"{-min(taps)} ligne(s), une par retard",
                received=initial.short(),
                hint="empilez les valeurs de départ, la plus ancienne d'abord : T.stack([a, b])",
            )
        else:
            rows = initial[: -min(taps)]
        # une longueur initiale de 1 n’engage pas les pas suivants
        shape = [None if length == 1 else length for length in rows.type.shape[1:]]
        inner = [
            TensorType(initial.dtype, shape=shape)(f"{initial.name or name}[t{tap}]")
            for tap in taps
        ]
        for variable in inner:
            variable.dims = rows.dims[1:]
        value = self._test_value(initial)
        if value is not None:
            for tap, variable in zip(taps, inner, strict=True):
                variable.tag.test_value = value if taps == [-1] else value[tap - min(taps)]
        return rows, taps, inner

    # ---- le pas

    def call(self, fn, non_sequences):
        arguments = list(self.rows)
        for info in self.infos:
            arguments += info[2] if info is not None else []
        self._check_call(fn, [*arguments, *non_sequences])
        born = set()
        with watch_building(born.add):
            result = fn(*arguments, *non_sequences)
        step = _Step(result)
        if not step.outputs and not step.updates:
            raise self._error(
                "fn ne rend rien",
                expected="une sortie au moins, ou des mises à jour",
                received=repr(result) if step.condition is None else "until(...) seul",
                hint="vérifiez le return de fn ; avec until : return valeur, until(condition)",
            )
        self.infos = self.infos or [None] * len(step.outputs)
        if len(step.outputs) != len(self.infos):
            raise self._error(
                "fn ne rend pas une sortie par élément d'outputs_info",
                expected=f"{len(self.infos)} sortie(s)",
                received=f"{len(step.outputs)} : {step.outputs}",
                hint="outputs_info a un élément par sortie, None pour une valeur sans état",
            )
        self.step, self.born, self.non_sequences = step, born, non_sequences
        self._adopt(set(arguments))
        self._default_updates()
        self._widen()

    def _check_call(self, fn, arguments):
        """Refuse ce qui n’est pas une fonction de ces arguments."""
        names = ", ".join(map(str, arguments)) or "aucun"
        expected = f"une fonction de {len(arguments)} argument(s) : {names}"
        order = "dans l'ordre : les séquences, les états (outputs_info), les non_sequences"
        if not callable(fn):
            raise self._error(
                "fn n'est pas une fonction", expected=expected,
                received=f"{fn!r} ({type(fn).__name__})", hint=order,
            )  # fmt: skip
        try:
            signature = inspect.signature(fn)
        except ValueError:  # une fonction écrite en C peut ne pas dire ses arguments
            return
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise self._error(
                "fn ne prend pas ces arguments", expected=expected,
                received=f"fn{signature}", hint=order,
            ) from error  # fmt: skip

    def _adopt(self, dependent):
        """Tient pour construit dans `fn` ce qui dépend du pas : une copie (`clone`) en est."""
        for variable in walk(self.step.roots(), set(dependent)):
            node = variable.owner
            if node is not None and not dependent.isdisjoint(node.inputs):
                dependent.add(variable)
                self.born.add(node)

    def _default_updates(self):
        """Ce qui se tire dans `fn` avance à chaque pas ; ce qui vient de dehors ne bouge pas."""
        self.drawn = set()  # les états des tirages : la boucle les fait avancer d’elle-même
        updates, pending = self.step.updates, self.step.roots()
        while pending:
            pending = [as_tensor_variable(value) for value in pending]
            found = {}
            for variable in self._inside(pending):
                default = getattr(variable, "default_update", None)
                if default is not None and variable not in updates:
                    found[variable] = self._following(variable, default)
            updates.update(found)
            self.drawn.update(found)
            pending = list(found.values())

    def _following(self, state, default):
        """L’état suivant d’un tirage : celui de sa copie, si c’est une copie que `fn` emploie."""
        node = default.owner
        if node is not None and isinstance(node.op, AdvanceState) and node not in self.born:
            for copy in self.born:
                if copy.inputs[:1] == [state]:
                    return node.op(*copy.inputs)
        return default

    def _inside(self, outputs):
        """Les variables dont dépendent `outputs`, sans entrer dans ce que `fn` n’a pas construit.

        L’état suivant d’un tirage a pu être construit avec le tirage : il est dedans aussi.
        """
        outside = _Outside(self.born, set(self.non_sequences))
        return [variable for variable in walk(outputs, outside) if variable.owner is None]

    def _widen(self):
        """Un état parti d’une constante trop étroite (0, un int8) prend le dtype du pas."""
        for position, info in enumerate(self.infos):
            if info is None:
                continue
            rows, taps, inner = info
            new = self.step.outputs[position]
            source = rows.owner.inputs[0] if rows.owner is not None else rows
            wider = holds(new.dtype, rows.dtype) and rows.dtype != new.dtype
            if isinstance(source, TensorConstant) and wider:
                fresh = [TensorType(new.dtype, shape=v.type.shape)(v.name) for v in inner]
                self._retype(dict(zip(inner, fresh, strict=True)))
                self.infos[position] = (rows.astype(new.dtype), taps, fresh)

    def _retype(self, replacements):
        """Refait le pas sur des entrées d’un autre dtype : chaque op redonne son type."""
        made = dict(replacements)
        step = self.step
        for variable in walk(step.roots(), set(replacements)):
            node = variable.owner
            if variable in made or node is None:
                continue
            if any(entry in made for entry in node.inputs):
                again = node.op.make_node(*(made.get(entry, entry) for entry in node.inputs))
                self.born.add(again)
                made.update(zip(node.outputs, again.outputs, strict=True))
        step.outputs = [made.get(output, output) for output in step.outputs]
        step.updates = {key: made.get(value, value) for key, value in step.updates.items()}
        step.condition = made.get(step.condition, step.condition)

    # ---- le nœud

    def build(self):
        step = self.step
        rows, initials, taps, inner, new_states = list(self.rows), [], [], [], []
        for info, output in zip(self.infos, step.outputs, strict=True):
            if info is not None:
                initials.append(info[0])
                taps.append(info[1])
                inner.append(info[2])
                new_states.append(self._new_state(info, output))
        pairs = {}
        for target, value in step.updates.items():
            pairs[target] = TensorType(target.dtype, shape=target.type.shape)(target.name)
            initials.append(target.dimshuffle("x", *range(target.ndim)))
            taps.append([-1])
            inner.append([pairs[target]])
            new_states.append(exact_update(target, value))
        collected = [o for info, o in zip(self.infos, step.outputs, strict=True) if info is None]
        results = new_states + collected
        results += [step.condition] if step.condition is not None else []
        inputs = rows + [variable for variables in inner for variable in variables]
        results, others = self._close(results, inputs, pairs)
        loop = Scan(
            inputs + list(others.values()),
            results,
            n_sequences=len(rows),
            taps=taps,
            until=step.condition is not None,
            truncate=self.truncate,
            name=self.name,
        )
        made = loop.apply(self.n_steps, *self.sequences, *initials, *others)
        return self._results(loop, made)

    def _new_state(self, info, output):
        _, _, (inner, *_) = info
        known = [
            (have, want)
            for have, want in zip(output.type.shape, inner.type.shape, strict=False)
            if None not in (have, want) and have != want
        ]
        if known and output.ndim == inner.ndim:
            raise ShapeError(
                f"scan : l'état {inner} changerait de forme",
                expected=f"{inner.short()}, comme la valeur initiale",
                received=output.short(),
                where=str(output.owner.trace) if output.owner else None,
            )
        return exact_update(inner, output, "scan, état", UpdateError)

    def _close(self, results, inputs, pairs):
        """Coupe le graphe du pas de celui du dehors.

        Renvoie
            (sorties intérieures, {variable du dehors: variable intérieure}).
        """
        dependent = {*inputs, *pairs}
        order = list(walk(results, dependent))
        for variable in order:
            if variable.owner is not None and any(e in dependent for e in variable.owner.inputs):
                dependent.add(variable)
        used = [
            entry
            for variable in order
            if variable in dependent and variable.owner is not None
            for entry in variable.owner.inputs
        ]
        others = {}
        for variable in [*used, *results]:
            if variable not in dependent and not isinstance(variable, Constant):
                others[variable] = variable.type.make_variable(variable.name)
                others[variable].dims = variable.dims
        if self.strict:
            self._refuse_strangers(others)
        replacements = {**others, **pairs}
        return clone_with_map(results, replacements)[0], others

    def _refuse_strangers(self, others):
        given = set(self.non_sequences)
        leaves = [v for v in ancestors(list(others), given) if v.owner is None or v in given]
        strangers = [v for v in leaves if v not in given and isinstance(v, SharedVariable)]
        if strangers:
            raise self._error(
                "fn emploie des variables partagées qui ne lui sont pas passées (strict=True)",
                expected="tout dans non_sequences",
                received=", ".join(str(variable) for variable in strangers),
                hint="ajoutez-les à non_sequences, ou ôtez strict=True",
            )

    def _results(self, loop, made):
        histories = iter(zip(made, loop.depths, strict=False))
        collected = iter(made[loop.n_states :])
        outputs = []
        for info in self.infos:
            if info is None:
                outputs.append(next(collected))
            else:
                history, depth = next(histories)
                outputs.append(history[depth:])
        for (history, _), target in zip(histories, self.step.updates, strict=False):
            self.step.updates[target] = history[-1]
            if target in self.drawn:
                target.default_update = history[-1]
        return outputs, OrderedUpdates(self.step.updates)


class _Outside:
    """Dit d’une variable si `fn` l’a trouvée faite : là, la marche s’arrête."""

    def __init__(self, born, given):
        self.born = born
        self.given = given

    def __contains__(self, variable):
        return variable in self.given or (
            isinstance(variable, Variable)
            and variable.owner is not None
            and variable.owner not in self.born
        )
