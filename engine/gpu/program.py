"""Ce qu’un périphérique change à la façon d’écrire une fonction, et de l’appeler.

Ordre de lecture : `DeviceLinker`, puis `DeviceProgram`.
"""

import warnings

from engine.core.emission import Program
from engine.core.errors import ModeError
from engine.core.linking import Linker, linker
from engine.gpu.compiling.notes import DeviceNotes
from engine.gpu.compiling.sections import find_section
from engine.gpu.compiling.transfers import OnDevice, ToDevice
from engine.gpu.kernels.compiling import noting
from engine.gpu.kernels.exchange import accepted, is_foreign
from engine.gpu.kernels.machines import bound, machine, rank_of
from engine.gpu.kernels.plans import Section as Replay
from engine.gpu.kernels.registry import host_inputs
from engine.gpu.kernels.storage import OutputPlace
from engine.ops.shape import Shape, ShapeAxis

SECTION = "sur_le_gpu"  # le nom, dans le programme émis, de ce que le périphérique calcule


@linker("cuda")
class DeviceLinker(Linker):
    """Une fonction dont le périphérique calcule ce qu’il sait faire."""

    def prepare(self, fgraph, targets):
        for output in fgraph.outputs:
            wanted = getattr(getattr(output.owner, "op", None), "target", "cpu")
            if wanted != "cpu" and rank_of(wanted) != machine().rank:
                raise ModeError(
                    f"une sortie voulue sur {wanted}, d'une fonction calculée sur "
                    f"cuda{machine().rank}",
                    expected="une seule carte par fonction",
                    hint=f"une fonction par carte : f(x).to('{wanted}') y copie un résultat",
                )
        resident = {k for k, target in targets if target.storage.on_device}
        fgraph.device, fgraph.launches = DeviceNotes(host_inputs, resident), True

    def said(self, fgraph, name):
        left = fgraph.device.left_on_host
        if left:
            shown = dict.fromkeys(
                f"{node.op} ({node.trace.frames[0]})" if node.trace.frames else str(node.op)
                for node in left
            )
            warnings.warn(
                f"{name} : sans noyau du périphérique, sur l’hôte : {', '.join(shown)}",
                stacklevel=5,  # la ligne de l’utilisateur, qui a appelé engine.function
            )

    def program(self, fgraph, backends, name, watchers):
        return DeviceProgram(fgraph, backends, name, watchers)

    def bound(self, call):
        return bound(call)

    def replay(self, program):
        if program.section is None:
            return "rien : le périphérique n’a pas de calcul à lui, ou doit attendre l’hôte"
        return str(program.replayer)


class DeviceProgram(Program):
    """Un programme dont une section, écrite à part, se rejoue d’un bloc sur le périphérique."""

    def __init__(self, fgraph, backends, name, watchers):
        super().__init__(fgraph, backends, name, watchers)
        self.used.add(SECTION)
        self.section, self.replayer = None, None

    def cut(self, cells, n_outputs):
        """Cherche ce que le périphérique peut calculer d’un seul tenant (voir `sections`)."""
        if self.watchers:
            return
        self.section = section = find_section(self.order, self.fgraph.outputs)
        if section is not None:
            self.order = [*section.before, *section.nodes, *section.after]
            cases = {}  # une même valeur pour deux variables : la seconde en reçoit une copie
            for variable, (_, case) in zip(self.fgraph.outputs[n_outputs:], cells, strict=True):
                cases.setdefault(variable, case)
            for position, lent in self.fgraph.device.lent.items():
                cases.setdefault(self.fgraph.outputs[position], OutputPlace(lent))
            self.replayer = Replay([cases[variable] for variable in section.kept])

    def _converter(self, variable, convert):
        """La même conversion, qui laisse sur le périphérique un tableau qui s’y trouve."""
        stays = self._stays(variable)

        def keep(value):
            if not is_foreign(value):
                return convert(value)
            array = accepted(value, variable.type)
            return array if stays else array.to_host()

        return keep

    def _stays(self, variable):
        """Vrai si l’hôte ne lit de cette entrée que la forme : ses valeurs peuvent rester sur le
        périphérique.
        """
        readers = [client for client, _ in self.fgraph.clients[variable]]
        return all(
            isinstance(getattr(reader, "op", None), ToDevice | Shape | ShapeAxis)
            for reader in readers
        )

    def _value_of(self, storage):
        return "data"

    def compute(self):
        section = self.section
        if section is None:
            super().compute()
            return
        last = self._last_readers()
        given = [variable for variable, _ in section.uploaded]
        last |= dict.fromkeys([*given, *section.host], len(self.order))
        starts = len(section.before), len(section.before) + len(section.nodes)
        self._lines_of(section.before, 0, last)
        self._section_lines(section, starts[0], last)
        self._lines_of(section.after, starts[1], last)

    def _section_lines(self, section, start, last):
        """La section, une fonction à part, et la ligne qui l’appelle."""
        for entry in section.host:
            self.argument(entry)
        for _, variable in section.uploaded:
            self.name_it(variable, f"{variable.name or 'v'}_gpu")
        entries = [*(v for _, v in section.uploaded), *section.host, *section.resident]
        leaving = [variable for variable, _ in section.brought]
        last |= dict.fromkeys([*leaving, *section.kept, *section.values], len(self.order))
        outside, self.lines = self.lines, []
        mapped, self.by_line = self.by_line, {}
        self._lines_of(section.nodes, start, last)
        results = [self._row(names) for names in (leaving, section.kept, section.values)]
        self.lines.append(f"    return {', '.join(f'[{text}]' for text in results)}")
        head = f"def {SECTION}({', '.join(self.names[entry] for entry in entries)}):"
        self.before, self.lines = [head, *self.lines, ""], outside
        self.before_by_line, self.by_line = self.by_line, mapped
        for _, variable in section.brought:
            self.name_it(variable, variable.name or "v")
        brought = self._row([variable for _, variable in section.brought])
        given = [[v for v, _ in section.uploaded], section.host, section.resident]
        call = self.bind("rejouer", self.replayer)
        arguments = ", ".join(f"({self._row(row)}{',' if len(row) == 1 else ''})" for row in given)
        names = ", ".join(f"[{text}]" for text in (brought, *results[1:]))
        self.lines.append(f"    {names} = {call}({arguments})")

    def _found(self, node, reuse):
        call = super()._found(node, reuse)
        if hasattr(call, "tier"):
            self.fgraph.device.tiers[node] = call.tier
        if isinstance(node.op, OnDevice):
            call = noting(call, self.fgraph.device.texts.setdefault(node, {}))
        return call

    def finish(self):
        source, step = super().finish()
        if self.section is not None:
            self.replayer.run = self.scope[SECTION]
        return source, step
