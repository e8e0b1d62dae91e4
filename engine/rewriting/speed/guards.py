"""Ce qu’un programme suppose des formes de ses arguments, et vérifie à l’appel."""

from engine.rewriting.speed.lengths import leaves, value_of

MAX_SHAPES = 1000  # formes d’arguments que l’on se rappelle avoir vérifiées


class Guards:
    """Les couples de longueurs que des clés (voir `lengths`) supposent égales, si une passe s’en
    est servie : elle peut venir après celle qui les a supposées.
    """

    def __init__(self, lengths):
        self._lengths = lengths

    def __bool__(self):
        return self._lengths.relied and bool(self._lengths.assumed)

    def write(self, program, careful):
        """Écrit, au début d’un programme, ce qui vérifie des formes qui ne l’ont pas encore été et
        passe la main à `careful()` si ce que l’on supposait est faux.
        """
        pairs = list(dict.fromkeys(self._lengths.assumed))
        used = set().union(*(leaves(key) for pair in pairs for key in pair))
        order = [*program.fgraph.inputs, *program.fgraph.shared]
        variables = [variable for variable in order if variable in used]
        variables += sorted(used.difference(order), key=str)
        text = ", ".join(f"{_name(program, variable)}.shape" for variable in variables)
        known, others = set(), []

        def check(*args):
            given, args = args[: len(variables)], args[len(variables) :]
            found = dict(zip(variables, given, strict=True))
            if all(value_of(a, found) == value_of(b, found) for a, b in pairs):
                if len(known) >= MAX_SHAPES:
                    known.clear()
                known.add(given)
                return program.scope["step"](*args)
            if not others:
                others.append(careful())
            return others[0](*args)

        seen, again = program.bind("formes_vérifiées", known), program.bind("vérifier", check)
        program.lines.append(f"    if ({text},) not in {seen}:")
        program.lines.append(f"        return {again}({', '.join([text, *program.arguments])})")


def _name(program, variable):
    if variable in program.names:
        return program.names[variable]
    return f"{program.case(variable.name, variable.storage)}.data"
