"""Ce que chaque noyau consomme, sur chaque architecture, sans GPU.

    python -m tests.device.report                        toutes les architectures, par famille
    python -m tests.device.report sm_80 sm_90a --family dot --details
    python -m tests.device.report --first-use            ce que coûte un premier pas d’apprentissage

Registres, mémoire locale et partagée, instructions en double précision, accès de 128 bits, pour les
noyaux que le moteur demanderait à cette architecture. Un noyau de float32 ne calcule rien en
double, et aucun ne déborde de ses registres : `over_budget` dit lesquels manquent à la règle.

Ordre de lecture : `over_budget`, `read_report`, `reports`, `rows`, `summary`, `first_use`.
"""

import argparse
import collections
import importlib.util
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from engine.core.settings import config
from engine.gpu.kernels.cubins import ARCHITECTURES, cubin
from engine.ops.rng import RandomNormal
from tests.device.parts import everything
from tests.device.programs import ROWS, programs
from tests.device.requests import Recorder, using

REGISTERS = {
    "lesson_tiled_product": 64, "lesson_convolve": 64, "lesson_max_pool": 64,
    "columns": 80, "pool": 96,
    "reduce": 72, "softmax": 64, "lesson_softmax_rows": 64, "likelihood": 64, "logsumexp": 64,
    "elemwise": 72, "pick": 64,
}  # fmt: skip
ELSEWHERE = 48
# Octets par bloc : Numba n’en demande jamais davantage au pilote. Le kilo-octet de plus est celui
# que le pilote se garde, compté parmi les nôtres depuis sm_90.
SHARED = (48 + 1) << 10
# Γ et ses dérivées n’ont pas de forme simple : calculées en double, même pour un float32.
# Un tirage en est proche : logarithme d’un nombre voisin de 1, cumul de probabilités.
DOUBLE_BY_NATURE = (
    *("psi", "polygamma", "gammaln", "gamma", "sin", "cos", "tan"),
    *(str(RandomNormal("float32")), "tirer des rangs"),
)
# Un angle immense se réduit d’après une table en mémoire locale (Payne et Hanek).
LOCAL_BY_NATURE = ("sin", "cos", "tan", *(str(RandomNormal(d)) for d in ("float32", "float64")))
_TOGETHER = 40  # noyaux par processus de compilation : assez pour en oublier le démarrage


def over_budget(request, report):
    """Ce qu’un noyau a de trop, en une phrase ; None s’il tient dans son budget."""
    limit = REGISTERS.get(request.name, ELSEWHERE)
    if (report.spills or report.local) and title(request) not in LOCAL_BY_NATURE:
        return f"{report.spills} accès à la mémoire locale"
    if is_single(request) and report.doubles and title(request) not in DOUBLE_BY_NATURE:
        return f"{report.doubles} instructions en double précision"
    if report.shared > SHARED:
        return f"{report.shared} octets de mémoire partagée, {SHARED} au plus"
    if report.registers > limit:
        return f"{report.registers} registres, {limit} au plus"
    return None


def is_single(request):
    """Le noyau ne touche-t-il à aucun float64 ?"""
    return not any("float64" in word for word in request.signature)


def title(request):
    """Ce que calcule le noyau, d’après la première ligne de son texte."""
    return request.text.split('"""')[1]


def one_of_each(requests):
    """Une demande par famille et type de résultat : de quoi éprouver une architecture."""
    chosen = {}
    for request in requests:
        chosen.setdefault((request.name, request.signature[0]), request)
    return list(chosen.values())


# -- ce que dit un cubin ------------------------------------------------------------------------


class Report(NamedTuple):
    """Ce qu’un noyau consomme : registres, octets par fil et par bloc, instructions."""

    registers: int
    stack: int
    shared: int
    local: int
    spills: int
    doubles: int
    wide: int
    instructions: int


def tool(name):
    """Le chemin de `cuobjdump` ou de `nvdisasm`, apporté par le verrou dev ; None s’il manque."""
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else ()
    for folder in folders:
        for path in (Path(folder, "cu13", "bin", name), Path(folder, "cu13", "bin", f"{name}.exe")):
            if path.exists():
                return str(path)
    return None


def listing(code):
    """Les instructions d’un cubin, telles que `nvdisasm` les écrit."""
    return _read_by("nvdisasm", "-c", code)


def read_report(code):
    """Lit un cubin : ce que ses fils consomment, et ses instructions remarquables."""
    used = _read_by("cuobjdump", "-res-usage", code)
    found = re.findall(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", used)[-1]
    operations = re.findall(
        r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", listing(code)
    )
    return Report(
        *map(int, found),
        spills=sum(op.startswith(("LDL", "STL")) for op in operations),
        doubles=sum(
            op.startswith(("DFMA", "DMUL", "DADD", "DSETP", "F2F.F64")) for op in operations
        ),
        wide=sum(".128" in op for op in operations),
        instructions=len(operations),
    )


def _read_by(program, option, code):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "noyau.cubin")
        path.write_bytes(code)
        command = [tool(program), option, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# -- tous les noyaux ----------------------------------------------------------------------------


def reports(wanted, processes=1, shown=False):
    """{(architecture, demande): rapport}, chaque noyau compilé s’il le faut.

    Paramètres
        wanted : {architecture: demandes}.
        processes : combien de processus compilent ; 1, celui-ci.

    Lève
        RuntimeError : un noyau ne compile pas.
    """
    works = [
        (config.cache_dir, architecture, part[start : start + _TOGETHER])
        for architecture, part in wanted.items()
        for start in range(0, len(part), _TOGETHER)
    ]
    found = {}
    with tqdm(total=sum(map(len, wanted.values())), unit="noyau", disable=not shown) as bar:

        def gather(parts):
            for part in parts:
                found.update(part)
                bar.update(len(part))

        if processes == 1:
            gather(map(_compiled, works))
        else:
            spawning = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(processes, spawning) as pool:
                gather(pool.map(_compiled, works))
    return found


def _compiled(work):
    """Les rapports d’une part des noyaux, dans un processus ou un autre."""
    folder, architecture, requests = work
    with config.change_flags(cache_dir=folder):
        return {(architecture, r): read_report(compiled(r, architecture)) for r in requests}


def compiled(request, architecture):
    """Le code machine d’un noyau.

    Lève
        RuntimeError : il ne compile pas.
    """
    try:
        return cubin(request, architecture)[1]
    except Exception as problem:
        where = f"{request.name} ({title(request)}), {architecture}"
        raise RuntimeError(f"{where} : {type(problem).__name__} : {problem}"[:1500]) from problem


def rows(requests, architecture):
    """(demande, rapport) de chaque noyau, pour une seule architecture."""
    found = reports({architecture: requests})
    return [(request, report) for (_, request), report in found.items()]


def summary(found):
    """Une ligne par famille : ses noyaux, leurs plus grands nombres, architecture par architecture
    pour les registres.
    """
    architectures = list(dict.fromkeys(architecture for architecture, _ in found))
    families = collections.defaultdict(list)
    for (architecture, request), report in found.items():
        families[request.name].append((architecture, request, report))
    columns = "".join(f"{architecture:>8}" for architecture in architectures)
    yield f"{'':21} registres, au plus"
    yield f"famille      noyaux {columns}  partagée  locale  doubles  128 bits  hors budget"
    for name, rows in families.items():
        registers = dict.fromkeys(architectures, 0)
        for architecture, _, report in rows:
            registers[architecture] = max(registers[architecture], report.registers)
        columns = "".join(f"{number or '—':>8}" for number in registers.values())
        over = len({request for _, request, report in rows if over_budget(request, report)})
        yield (
            f"{name:12}{len({request for _, request, _ in rows}):7} {columns}"
            f"{max(report.shared for *_, report in rows):10}"
            f"{max(report.spills for *_, report in rows):8}"
            f"{len({q for _, q, report in rows if report.doubles and is_single(q)}):9}"
            f"{len({q for _, q, report in rows if report.wide}):10}{over or '':>13}"
        )


def detail(architecture, request, report):
    """La ligne d’un noyau."""
    over = over_budget(request, report)
    return (
        f"{architecture:7} {request.name:10} {title(request)[:44]:44} {report.registers:4}"
        f" {report.stack:5} {report.shared:6} {report.local:4} {report.doubles:4} {report.wide:4}"
        f" {report.instructions:6}  {'' if over is None else 'TROP : ' + over}"
    )


# -- le premier pas -----------------------------------------------------------------------------


def first_use(architecture):
    """Une ligne par programme : les noyaux que lance son premier pas, les secondes de processeur
    que prend leur compilation, dans un processus neuf et sans rien au cache.
    """
    spawning = multiprocessing.get_context("spawn")
    for name in ROWS:
        with ProcessPoolExecutor(1, spawning) as pool:
            count, spent = pool.submit(_first_use, name, architecture).result()
        yield f"{name:40} {count:3} noyaux, {spent:5.1f} s"


def _first_use(name, architecture):
    with using(Recorder(architecture)) as recorder:
        programs()[name](small=False).run()
    wanted = dict.fromkeys(recorder.requests)
    with tempfile.TemporaryDirectory() as folder, config.change_flags(cache_dir=folder):
        start = time.process_time()
        for request in wanted:
            compiled(request, architecture)
        return len(wanted), time.process_time() - start


def main():
    options = argparse.ArgumentParser(prog="python -m tests.device.report")
    options.add_argument("architectures", nargs="*", default=ARCHITECTURES)
    options.add_argument("--family", help="une seule famille : dot, conv, elemwise…")
    options.add_argument("--details", action="store_true", help="une ligne par noyau")
    options.add_argument("--sample", action="store_true", help="un noyau par famille et type")
    options.add_argument("--first-use", action="store_true", help="le premier pas des programmes")
    options.add_argument("--processes", type=int, default=2)
    chosen, start = options.parse_args(), time.perf_counter()
    if chosen.first_use:
        print(*first_use("sm_89"), sep="\n")
        return 0
    wanted = {
        architecture: [r for r in everything(architecture) if chosen.family in (None, r.name)]
        for architecture in chosen.architectures
    }
    if chosen.sample:
        wanted = {architecture: one_of_each(asked) for architecture, asked in wanted.items()}
    found = reports(wanted, chosen.processes, shown=True)
    over = [key for key, report in found.items() if over_budget(key[1], report)]
    if found and (chosen.details or over):
        print(
            "archi., famille, noyau, registres, pile, partagée, locale, doubles, 128 bits, instr."
        )
    for key, report in found.items():
        if chosen.details or key in over:
            print(detail(*key, report))
    print(*summary(found), sep="\n")
    print(f"{len(found)} noyaux, {len(over)} hors budget, {time.perf_counter() - start:.0f} s")
    return len(over)


if __name__ == "__main__":
    sys.exit(main())
