"""Une campagne : beaucoup de programmes, une graine chacun, des comptes, 0 faux attendu."""

import argparse
import sys
import time
from collections import Counter, defaultdict


class Wrong(AssertionError):
    """Un résultat faux. `kind` le résume : la réduction ne change pas de faute en chemin."""

    def __init__(self, kind, message):
        super().__init__(f"{kind} : {message}")
        self.kind = kind


class Counts:
    """Combien de fois chaque chose est arrivée, par rubrique."""

    def __init__(self):
        self.sections = defaultdict(Counter)

    def add(self, section, *keys):
        """Compte une fois chaque clé."""
        self.sections[section].update(keys)

    def __str__(self):
        lines = []
        for section, counter in self.sections.items():
            items = ", ".join(f"{key} {count}" for key, count in counter.most_common())
            lines.append(f"{section} ({len(counter)}) : {items}")
        return "\n".join(lines)


def minimise(program, smaller, is_wrong):
    """Remplace le programme par un plus petit tant que l’un d’eux est faux de la même façon.

    Paramètres
        smaller : programme -> programmes plus petits, les plus petits d’abord.
        is_wrong : programme -> booléen.
    """
    while True:
        program, before = next(filter(is_wrong, smaller(program)), program), program
        if program is before:
            return program


def run(make, check, reduce, counts, seeds, report=print, until=None):
    """Éprouve un programme par graine ; rend les graines fausses, {graine: réduction}.

    Paramètres
        make : graine -> programme.
        check : (programme, counts) -> None, ou lève `Wrong`.
        reduce : (programme, faute) -> le texte d’un programme plus petit, faux de la même façon.
        until : l’heure (`time.monotonic`) où s’arrêter.
    """
    failures, started, told = {}, time.monotonic(), time.monotonic()
    for done, seed in enumerate(seeds, start=1):
        program = make(seed)
        try:
            check(program, counts)
        except Wrong as wrong:
            failures[seed] = reduce(program, wrong)
            report(f"\n# graine {seed}, {wrong.kind}\n{failures[seed]}\n", flush=True)
        if time.monotonic() - told > 30:
            told = time.monotonic()
            rate = done / (time.monotonic() - started)
            report(
                f"... {done} programmes, {len(failures)} faux, {rate:.1f} par seconde", flush=True
            )
        if until is not None and time.monotonic() > until:
            report(f"arrêt à l’heure dite, après {done} programmes")
            break
    return failures


def main(name, make, check, reduce):
    """La ligne de commande d’une campagne ; sort avec 1 si un programme est faux."""
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--seed", type=int, default=0, help="la première graine")
    parser.add_argument("--count", type=int, default=1000, help="combien de programmes")
    parser.add_argument("--minutes", type=float, help="s’arrêter après ce temps")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    until = arguments.minutes and time.monotonic() + 60 * arguments.minutes
    counts, started = Counts(), time.monotonic()
    failures = run(make, check, reduce, counts, seeds, until=until)
    print(counts)
    print(
        f"{name}, graines {seeds.start} à {seeds.stop - 1} : {len(failures)} faux, "
        f"{time.monotonic() - started:.0f} s"
    )
    if failures:
        print("graines fausses :", *failures)
    sys.exit(bool(failures))
