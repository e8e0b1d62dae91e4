"""Sur une machine qui a un GPU : les noyaux vérifiés, les programmes chronométrés, un tableau.

    python -m tests.device                        tout, une partie après l’autre
    python -m tests.device --only verify          une partie : verify, elementwise, products,
                                                  reductions, convolutions, programs, host ;
                                                  ou profile : la durée de chaque nœud
    python -m tests.device --pack DOSSIER         ici, sans GPU : les noyaux à emporter
    python -m tests.device --kernels DOSSIER      là-bas : s’en servir
    python -m tests.device --table FICHIER…       le tableau de plusieurs rapports
    python -m tests.device --dry                  une répétition sur le faux pilote
    compute-sanitizer --tool racecheck python -m tests.device --only verify
                                                  (ou memcheck, initcheck) : les fautes d’accès
    python -m tests.device.exchange               les tableaux passés à PyTorch et CuPy, et retour

Chaque partie a son processus : une faute du GPU n’arrête qu’elle, et une ligne en échec n’arrête
pas les autres. Le rapport, `device.json`, s’écrit dans le dossier OUT après chaque ligne et
s’ajoute à celui qui s’y trouve. La répétition vérifie que tout s’appelle, et rien d’autre : le faux
pilote ne calcule pas.

Ordre de lecture : `main`, `examine`, `measured`, puis `parts`, `works`, `rivals`, `table`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tqdm import tqdm

from engine.core.settings import config
from engine.gpu.kernels import blas, driver
from engine.gpu.kernels.calls import api, checked
from engine.gpu.kernels.machines import machine, why_simulated
from engine.gpu.kernels.products import product_tier
from tests.device import table
from tests.device.clocks import Ours, Theirs
from tests.device.parts import PARTS, everything
from tests.device.programs import profiles
from tests.device.report import compiled
from tests.device.rivals import allowing, forget, load, megabytes
from tests.device.verify import verify
from tests.device.works import NotHereError

_REHEARSING = "CHAINAGE_REHEARSAL"  # dit au processus lancé qu’il a le faux pilote
_REPEATS = 20
_LIMIT = 240  # secondes : au-delà, une partie est arrêtée, et ce qu’elle a mesuré est gardé


def main():
    chosen = options()
    if chosen.kernels:
        config.cache_dir = chosen.kernels
    if chosen.pack:
        return pack(chosen.pack, chosen.architecture)
    if chosen.table:
        report = table.merged(*map(table.read, chosen.table))
        print(*table.render(report), sep="\n")
        return table.missed(report)
    if chosen.dry and _REHEARSING not in os.environ:
        return rehearse(sys.argv[1:])
    why = why_simulated()
    if why is not None:
        print(f"{why}, rien à vérifier ici (--dry répète sur le faux pilote)")
        return 1
    if chosen.dry:
        # le faux pilote prend n’importe quoi pour un noyau
        driver.cubin = lambda request, architecture: (request.name, b"")
        blas.candidates = lambda names, folders: ()  # une vraie cuBLAS n’y survit pas
        warnings.simplefilter("error", UserWarning)  # une réécriture qui échoue, un nœud sans noyau
    if chosen.only:
        return examine(chosen.only, chosen.dry)
    return in_turn(chosen)


def options():
    parser = argparse.ArgumentParser(prog="python -m tests.device")
    parser.add_argument("--only", choices=["verify", *PARTS, "profile"], help="une seule partie")
    parser.add_argument("--pack", metavar="DOSSIER", help="prépare les noyaux dans ce dossier")
    parser.add_argument("--architecture", default="sm_90a")
    parser.add_argument("--kernels", metavar="DOSSIER", help="des noyaux préparés par --pack")
    parser.add_argument("--table", nargs="+", metavar="FICHIER", help="des rapports à réunir")
    parser.add_argument("--dry", action="store_true", help="petites tailles, faux pilote")
    return parser.parse_args()


# -- sans GPU ------------------------------------------------------------------------------------


def pack(folder, architecture):
    """Compile dans `folder` tout ce que le script demandera, et en dit le compte."""
    config.cache_dir, start = folder, time.perf_counter()
    wanted, failures = everything(architecture), 0
    for request in tqdm(wanted, unit="noyau"):
        try:
            compiled(request, architecture)
        except RuntimeError as problem:
            failures += 1
            print(f"échec : {problem}")
    manifest = [
        {"noyau": f"cuda_{r.name}_{r.key(architecture)}.noyau", "signature": r.signature}
        for r in wanted
    ]
    Path(folder, "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    total = sum(path.stat().st_size for path in Path(folder).glob("*.noyau"))
    spent = time.perf_counter() - start
    print(f"{len(wanted)} noyaux pour {architecture}, {total / 1e6:.1f} Mo, {spent:.0f} s")
    return failures


def rehearse(arguments):
    """Se relance sur le faux pilote, compilé pour l’occasion."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(__file__).with_name("libcuda.c"), Path(folder, "libcuda.so.1")
        compile_it = ["cc", "-shared", "-fPIC", "-w", str(source), "-o", str(library), "-ldl"]
        subprocess.run(compile_it, check=True)
        environment = {"OUT": folder, **os.environ, "LD_LIBRARY_PATH": folder, _REHEARSING: "1"}
        command = [sys.executable, "-m", "tests.device", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


# -- avec un GPU ---------------------------------------------------------------------------------


def in_turn(chosen):
    """Chaque partie dans son processus, puis le tableau ; renvoie combien ont échoué."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        environment = {"OUT": folder, **os.environ}
        for part in ("verify", *PARTS):
            command = [sys.executable, "-m", "tests.device", "--only", part]
            command += ["--dry"] * chosen.dry
            command += ["--kernels", chosen.kernels] if chosen.kernels else []
            try:
                done = subprocess.run(command, env=environment, check=False, timeout=_LIMIT)
                failed += done.returncode != 0
            except subprocess.TimeoutExpired:
                failed += 1
                print(f"{part} : arrêtée après {_LIMIT} s", flush=True)
        report = table.read(Path(environment["OUT"], "device.json"))
    print(*table.render(report), sep="\n")
    return failed


def examine(part, dry):
    """Une partie : ce qu’elle mesure s’écrit au fur et à mesure."""
    device, start = machine(), time.perf_counter()
    folder = os.environ.get("OUT")
    path = Path(folder, "device.json") if folder else None
    print(f"{part} : {device.name}, {device.architecture}, {product_tier()}", flush=True)
    report = {"lignes": {}, "parties": {}}
    if part == "verify":
        report["noyaux"] = verify(judged=not dry)
        print(*table.render(report), sep="\n")
    elif part == "profile":
        for name, profile in profiles(dry):
            print(f"\n{name}\n{profile}", flush=True)
    else:
        print(table.heading([device.name]))
        for name, make in PARTS[part]().items():
            report["lignes"][name] = measured(make, dry)
            print(*table.lines(name, report["lignes"]), sep="\n", flush=True)
            if path:
                table.write(report, path)
    report["parties"][part] = round(time.perf_counter() - start, 1)
    if path:
        table.write(report, path)
    print(f"{part} : {report['parties'][part]} s", flush=True)
    return table.missed(report)


def measured(make, dry):
    """Les mesures d’une ligne : un dictionnaire ; son « échec » dit pourquoi il n’y en a pas."""
    device = machine()
    row = {"gpu": device.name, "tolérance": 0, "essai": dry}
    try:
        device.pool.release()
        before = free_bytes()
        case = make(small=dry)
        row["tolérance"] = case.tolerance
        if case.tier:
            row["niveau"] = case.tier
        case.run()
        if case.gap and not dry:
            row["écart"] = case.gap()
        row["µs"] = spent = Ours(device, 1 if dry else _REPEATS).time(case.way, case.run)
        row["Mo"] = round((before - free_bytes()) / 1e6, 1)
    except NotHereError as why:
        return {**row, "absent": str(why)}
    except Exception as problem:
        return {**row, "échec": f"{type(problem).__name__} : {problem}"[:400]}
    if case.operations:
        row["Top/s"] = case.operations / spent / 1e6
    if case.bytes:
        row["Go/s"] = case.bytes / spent / 1e3
    torch = load()
    if torch is not None and not dry:
        row["rivaux"], row["Mo des rivaux"] = {}, {}
        for name, rival in case.rivals.items():
            row["rivaux"][name], row["Mo des rivaux"][name] = _faced(torch, rival, case.way)
    return row


def free_bytes():
    """La mémoire libre du GPU."""
    return checked(api.cuMemGetInfo(), "lire la place libre")[0]


def _faced(torch, rival, way):
    """(durée d’un rival, ou pourquoi il n’en a pas ; ses mégaoctets)"""
    forget(torch)
    try:
        with allowing(torch, rival.precision):
            return Theirs(torch, _REPEATS).time(way, rival.make(torch)), megabytes(torch)
    except Exception as problem:
        return f"{type(problem).__name__} : {problem}"[:200], None


if __name__ == "__main__":
    sys.exit(main())
