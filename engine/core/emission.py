"""Écrire le programme : un nœud par ligne, sa formule en commentaire.

Le programme émis est une fonction Python `step` en ligne droite : vérifier les entrées, lire les
variables partagées, appeler les noyaux dans l’ordre, poser les mises à jour, rendre les sorties.
Les valeurs mortes y sont relâchées ; un noyau garde sa mémoire de sortie d’un appel à l’autre
quand rien n’en sort.

Ordre de lecture : `emit`, `_escaping_roots` (quelle mémoire sort de la fonction), `Program`.
"""

import itertools
import keyword
import linecache
import re
import unicodedata
from functools import partial
from typing import NamedTuple

import numpy as np

from engine.core.contract import perform_call
from engine.core.errors import EngineError
from engine.core.fgraph import memory_roots
from engine.core.graph import Apply, Constant
from engine.core.registry import find_kernel
from engine.core.sharedvalue import SharedVariable, Storage

_serial = itertools.count(1)
MAX_NAME = 60  # caractères


class Line(NamedTuple):
    """Ce qu’une ligne du programme calcule : le nœud et les noms locaux de ses arguments."""

    node: Apply
    arguments: tuple


def emit(program, specs, cells, n_outputs, careful=None):
    """Rend (texte, fonction `step`) pour un graphe réécrit.

    Un seul fil à la fois parcourt un programme : il a ses noyaux, et leur mémoire.

    Paramètres
        program : le `Program` neuf de ce graphe.
        specs : les entrées (`In`), dans l’ordre de `fgraph.inputs`.
        cells : couples (nom, case) de ce qui est mis à jour ; les nouvelles valeurs suivent les
            `n_outputs` sorties dans `fgraph.outputs`.
        careful : ce qui rend un programme sans suppositions, pour le jour où des formes supposées
            égales ne le sont pas.
    """
    program.cut(cells, n_outputs)
    program.read_inputs(specs)
    program.read_shared()
    if program.fgraph.guards:
        program.fgraph.guards.write(program, careful)
    program.compute()
    program.give_results(cells, n_outputs)
    return program.finish()


def _escaping_roots(fgraph, roots):
    return {roots.get(output, output) for output in fgraph.outputs}


class Program:
    """Le programme en cours d’écriture : ses lignes, ses noms, ce que les noms désignent.

    Paramètres
        backends : dos de calcul à essayer, dans l’ordre.
        watchers : ceux qui surveillent les nœuds (`Watcher.wrap`).
    """

    def __init__(self, fgraph, backends, name, watchers):
        self.fgraph = fgraph
        self.backends = backends
        self.watchers = watchers
        self.name = name
        self.lines = []
        self.by_line = {}
        self.scope = {"ndarray": np.ndarray}
        self.names = {}
        self.used = {"step", "ndarray", "out", "type", "LINES"}
        self.suffixes = {}  # nom -> dernier rang donné : nommer reste en temps constant
        self.order = fgraph.toposort()
        self.roots = memory_roots(self.order)
        self.escaping = _escaping_roots(fgraph, self.roots)
        self.before, self.before_by_line = [], {}  # ce qui s’écrit avant `step`, hors d’elle

    def cut(self, cells, n_outputs):
        """Rien à faire : tout se calcule au même endroit."""

    def name_it(self, variable, base):
        """Donne à une variable un nom local, qui rappelle `base`."""
        name = base = identifier(base or "v")
        while name in self.used:
            self.suffixes[base] = self.suffixes.get(base, 0) + 1
            name = f"{base}_{self.suffixes[base]}"
        self.used.add(name)
        self.names[variable] = name
        return name

    def bind(self, base, value):
        """Donne à une valeur un nom, que le programme peut lire."""
        name = self.name_it(object(), base)
        self.scope[name] = value
        return name

    def case(self, base, storage):
        """Le nom d’une case, donné une fois."""
        if storage not in self.names:
            self.names[storage] = self.bind(f"case_{base}", storage)
        return self.names[storage]

    def read_inputs(self, specs):
        """Les entrées, vérifiées et converties."""
        arguments = []
        for position, (variable, spec) in enumerate(zip(self.fgraph.inputs, specs, strict=True)):
            name = self.name_it(variable, spec.name or f"entrée{position}")
            arguments.append(name)
            dtype = self.bind(f"{variable.dtype}_", variable.type.numpy_dtype)
            convert = partial(
                variable.type.filter, strict=spec.strict, allow_downcast=spec.allow_downcast
            )
            convert = _checker(self.name, name, self._converter(variable, convert))
            check = self.bind(f"convertir_{name}", convert)
            tests = [
                f"type({name}) is not ndarray",
                f"{name}.dtype is not {dtype}",
                f"{name}.ndim != {variable.ndim}",
            ]
            tests += [
                f"{name}.shape[{axis}] != {length}"
                for axis, length in enumerate(variable.type.shape)
                if length is not None
            ]
            self.lines.append(f"    if {' or '.join(tests)}:")
            self.lines.append(f"        {name} = {check}({name})")
        self.arguments = arguments
        self.head = f"def step({', '.join(arguments)}):"

    def _converter(self, variable, convert):
        """Ce qui change une valeur donnée en un tableau du type de cette entrée."""
        return convert

    def read_shared(self):
        """Les variables partagées : leur valeur d’avant l’appel, toutes lues du même coup."""
        shared = [(variable, variable.name or "partagée") for variable in self.fgraph.shared]
        cases = [self.case(base, variable.storage) for variable, base in shared]
        self.lines += [
            f"    {self.name_it(variable, base)} = {case}.{self._value_of(variable.storage)}"
            for (variable, base), case in zip(shared, cases, strict=True)
        ]

    def _value_of(self, storage):
        """Comment lire une case : ce programme veut tout sur l’hôte."""
        return "get(borrow=True)" if storage.on_device else "data"

    def compute(self):
        """Une ligne par nœud ; les valeurs mortes sont relâchées."""
        self._lines_of(self.order, 0, self._last_readers())

    def _last_readers(self):
        """Pour chaque valeur, le rang de son dernier lecteur."""
        last = {}
        for position, node in enumerate(self.order):
            last.update((entry, position) for entry in node.inputs)
        for output in self.fgraph.outputs:
            last[output] = len(self.order)
        return last

    def _lines_of(self, nodes, start, last):
        """Les lignes de ces nœuds ; `last` : le rang du dernier lecteur de chaque valeur."""
        for position, node in enumerate(nodes, start):
            self._node(node)
            dead = [
                entry
                for entry in dict.fromkeys([*node.inputs, *node.outputs])
                if entry.owner is not None
                and entry in self.names
                and last.get(entry, position) == position
            ]
            if dead:
                self.lines.append(f"    del {', '.join(self.names[entry] for entry in dead)}")

    def _row(self, variables):
        return ", ".join(self.argument(variable) for variable in variables)

    def _node(self, node):
        reuse = all(self.roots.get(output, output) not in self.escaping for output in node.outputs)
        call = None
        if not (node.op.runs_graphs and any(w.looks_inside for w in self.watchers)):
            call = self._found(node, reuse)
        if node.op.runs_graphs:
            call = node.op.call_in(self, call)
        if call is None:
            call = perform_call(node)
            self.fgraph.reference_nodes.add(node)
        for watcher in self.watchers:
            call = watcher.wrap(node, call)
        arguments = tuple(self.argument(entry) for entry in node.inputs)
        function = self.bind(_short_name(node), call)
        results = ", ".join(self.name_it(output, output.name or "v") for output in node.outputs)
        self.lines.append(
            f"    {results} = {function}({', '.join(arguments)})  # {formula(node, arguments)}"
        )
        self.by_line[len(self.lines) + 1] = Line(node, arguments)

    def _found(self, node, reuse):
        """Le premier noyau qui sait calculer ce nœud, ou None."""
        found = (find_kernel(node, backend, reuse) for backend in self.backends)
        return next((kernel for kernel in found if kernel is not None), None)

    def argument(self, variable):
        """Le nom d’une variable déjà nommée, ou d’une constante."""
        if variable not in self.names and isinstance(variable, Constant):
            name = self.name_it(variable, variable.name or "c")
            self.scope[name] = variable.data
        return self.names[variable]

    def give_results(self, cells, n_outputs):
        """Les sorties, copiées si elles sont à quelqu’un d’autre ; les mises à jour, à la fin, sans
        rien qui puisse échouer, ni laisser la main à un autre fil, entre deux écritures.
        """
        seen, texts = set(), []
        for output in self.fgraph.outputs:
            root = self.roots.get(output, output)
            borrowed = root.owner is None or isinstance(root, Constant | SharedVariable)
            text = self.argument(output)
            texts.append(f"{text}.copy()" if borrowed or root in seen else text)
            seen.add(root)
        stored = []
        for (base, storage), text in zip(cells, texts[n_outputs:], strict=True):
            new = text
            if text.endswith(".copy()"):
                new = self.name_it(object(), f"nouveau_{base}")
                self.lines.append(f"    {new} = {text}")
            stored.append(f"    {self.case(base, storage)}.data = {new}")
        result = f"[{', '.join(texts[:n_outputs])}]"
        if stored and ".copy()" in result:
            self.lines.append(f"    out = {result}")
            result = "out"
        self.lines += [*stored, f"    return {result}"]

    def finish(self):
        """Compile le texte et le déclare à `linecache`, pour que les traces d’appel le montrent."""
        source = "\n".join([*self.before, self.head, *self.lines]) + "\n"
        filename = f"<fonction {identifier(self.name)} {next(_serial)}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        shift = len(self.before)
        lines = {number + shift: line for number, line in self.by_line.items()}
        self.scope["LINES"] = lines | self.before_by_line  # pour dire quel nœud a échoué
        exec(compile(source, filename, "exec"), self.scope)
        return source, self.scope["step"]


def identifier(name):
    """Un identificateur Python qui rappelle `name` : l’analyseur lit µ comme μ, et refuse x²."""
    letters = unicodedata.normalize("NFKC", str(name)[:MAX_NAME])
    text = "".join(letter if f"v{letter}".isidentifier() else "_" for letter in letters) or "v"
    reserved = keyword.iskeyword(text) or text == "__debug__"
    return text if text.isidentifier() and not reserved else f"v_{text}"


def _checker(function_name, name, convert):
    def check(value):
        try:
            return convert(value.data if isinstance(value, Storage) else value)
        except EngineError as error:
            error.summary = f"{function_name}, entrée {name} : {error.summary}"
            raise

    return check


def _short_name(node):
    scalar = getattr(node.op, "scalar", None)
    if getattr(scalar, "is_composite", False):
        return "boucle"
    return re.sub(r"_+", "_", identifier(scalar or type(node.op).__name__)).strip("_").lower()


def formula(node, arguments):
    """La formule d’un nœud, écrite avec les noms de ses arguments."""
    scalar = getattr(node.op, "scalar", None)
    if getattr(scalar, "is_composite", False):
        text = scalar.formula(arguments)
    elif getattr(scalar, "symbol", None) and len(arguments) == 2:
        text = f"{arguments[0]} {scalar.symbol} {arguments[1]}"
    else:
        text = f"{node.op}({', '.join(arguments)})"
    return "".join(letter if letter.isprintable() else " " for letter in text)
