"""Du texte d’un noyau au code machine d’un GPU (un *cubin*), avec ou sans GPU.

Un cubin dépend du texte, de la signature, de l’architecture et des fils d’un bloc ; il est rangé
dans le cache des noyaux. Un dossier de cache peut donc être préparé ici, puis emporté sur une
machine où numba-cuda manque. Avec `intrinsics`, ce fichier est seul à toucher à l’intérieur de
numba-cuda.

Deux précautions : les tableaux deviennent des adresses C (ni pas, ni indices négatifs), et la
compilation passe par un autre processus quand celui-ci a déjà chargé le simulateur.

Ordre de lecture : `Request`, `cubin`, `build`, `Report`, `read_report`.
"""

import functools
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path
from typing import NamedTuple

from engine.backends import cache
from engine.core.errors import ModeError
from engine.gpu.kernels import intrinsics
from engine.gpu.kernels.intrinsics import ROUNDINGS, compiled_functions

TOOLCHAIN = "numba-cuda 0.30, CUDA 13.0"  # entre dans le nom du cubin : le verrou gpu la fixe
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90a")
_STORED = {"bool": "uint8", "float16": "uint16", "bfloat16": "uint16"}  # tels qu’en mémoire
_OLDEST = re.compile(r"^ *# à partir de (sm_\d+a?)$", re.MULTILINE)
_SIMULATED = "from engine.gpu.kernels.device import cuda"
_COMPILED = "from numba import cuda"


class Request(NamedTuple):
    """Ce qu’il faut compiler : nom de famille, texte, signature, fils d’un bloc."""

    name: str
    text: str
    signature: tuple
    block: int

    def key(self, architecture):
        """L’empreinte du cubin."""
        parts = architecture, self.text, self.signature, self.block
        return cache.key_of(TOOLCHAIN, _intrinsics(), *parts)

    def runs_on(self, architecture):
        """Dit si le noyau tourne sur cette architecture : son texte peut porter une ligne
        « # à partir de sm_80 », s’il emploie des instructions que les GPU plus anciens n’ont pas.

        Exemple
            >>> recent = Request("essai", "# à partir de sm_80\\n", (), 32)
            >>> recent.runs_on("sm_75"), recent.runs_on("sm_90a")
            (False, True)
        """
        oldest = _OLDEST.search(self.text)
        return not oldest or _capability(architecture) >= _capability(oldest[1])


@functools.cache
def _intrinsics():
    """Le texte de ce que les noyaux appellent sans le contenir."""
    return Path(intrinsics.__file__).read_text("utf-8")


def cubin(request, architecture):
    """Le point d’entrée et le code machine d’un noyau, pris au cache ou compilés.

    Lève
        ModeError : le cubin n’est pas dans le cache et numba-cuda n’est pas installé.
    """
    name, key = f"cuda_{request.name}", request.key(architecture)
    stored = cache.read(name, key)
    if stored is None and not has_compiler():
        raise ModeError(
            f"le noyau « {request.name} » n'est pas compilé pour {architecture}",
            expected="numba-cuda, ou un dossier de noyaux préparé sur une autre machine",
            hint="python3 demarrer.py gpu ; ou ENGINE_FLAGS='cache_dir=DOSSIER'",
        )
    if stored is None and _simulator_is_loaded():
        build([request], architecture)
        stored = cache.read(name, key)
    if stored is None:
        stored = _compile(request, architecture)
        cache.write(name, key, stored)
    entry, _, code = stored.partition(b"\0")
    return entry.decode(), code


def has_compiler():
    """numba-cuda est-il installé ?"""
    return importlib.util.find_spec("numba_cuda") is not None


def has_cubins():
    """Y a-t-il, dans le dossier du cache, des noyaux compilés ailleurs ?"""
    return any(cache.directory().glob("cuda_*"))


def build(requests, architecture):
    """Compile des noyaux dans un processus à part ; renvoie les échecs, [(demande, message)]."""
    missing = [r for r in requests if cache.read(f"cuda_{r.name}", r.key(architecture)) is None]
    if not missing:
        return []
    work = json.dumps({"architecture": architecture, "requests": missing})
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}
    environment["ENGINE_FLAGS"] = f"cache_dir={cache.directory()}"
    done = subprocess.run(
        [sys.executable, "-m", "engine.gpu.kernels.cubins"],
        input=work, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ModeError("la compilation des noyaux a échoué", received=done.stderr[-2000:])
    return [(missing[k], message) for k, message in json.loads(done.stdout)]


def _simulator_is_loaded():
    loaded = sys.modules.get("numba.cuda")
    return loaded is not None and "simulator" in loaded.jit.__module__


@functools.cache
def _compiler(architecture):
    """Les modules de numba-cuda, réglés pour compiler sans GPU."""
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="numba")
    compiler = importlib.import_module("numba.cuda.compiler")
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    kinds = importlib.import_module("numba.cuda.types")
    # une fonction `device=True` demande l’architecture du GPU présent ; il n’y en a peut-être pas
    present = types.SimpleNamespace(compute_capability=_capability(architecture)[:2])
    dispatcher.get_current_device = lambda: present
    return compiler, kinds


def _capability(architecture):
    major, minor, letter = re.fullmatch(r"sm_(\d+)(\d)(a?)", architecture).groups()
    return int(major), int(minor), letter


def _compile(request, architecture):
    compiler, kinds = _compiler(architecture)
    scope = dict(compiled_functions())
    text = _as_compiled(request.text)
    exec(compile(text, f"<{request.name}>", "exec"), scope)
    arguments = tuple(_kind(word, kinds) for word in request.signature)
    capability = _capability(architecture)
    # un texte peut demander que plusieurs blocs tiennent ensemble : leurs registres sont comptés
    bounds = (request.block, scope.get("RESIDENTS", 1))
    library, _ = compiler._compile_pyfunc_with_fixup(
        scope["kernel"], arguments, device=False, abi="numba", cc=capability, lto=True,
        launch_bounds=bounds,
    )  # fmt: skip
    library._lto = True
    library._nvvm_options.pop("gen-lto", None)
    code = library.get_cubin(cc=capability).code
    return library._entry_name.encode() + b"\0" + code


def _kind(word, kinds):
    """Le type Numba d’un mot de signature : « float32* », « uint32 », « bool* » (des octets).

    « float32[:,:] » est un tableau de Numba, avec sa forme et ses pas ; « float32[:,::1] », un
    tableau contigu.
    """
    dtype, axes, _ = word.partition("[")
    if axes:
        kind = getattr(kinds, _STORED.get(dtype, dtype))
        return kinds.Array(kind, word.count(",") + 1, "C" if "::1" in word else "A")
    if word.endswith("*"):
        return kinds.CPointer(getattr(kinds, _STORED.get(word[:-1], word[:-1])))
    return getattr(kinds, word.replace("bool", "boolean"))


def _as_compiled(text):
    """Le texte tel que numba-cuda le comprend : ce qui lui manque, remplacé."""
    text = re.sub(rf"\bnp\.({'|'.join(ROUNDINGS)})\(", r"rounding_\1(", text)
    text = re.sub(r"\bcuda\.atomic\.(add|max)\(", r"\1_at(", text)
    # un accès de 128 bits veut une adresse multiple de 16 : le simulateur ignore ce mot
    text = re.sub(r"cuda\.shared\.array\(([^()]+)\)", r"cuda.shared.array(\1, alignment=16)", text)
    return text.replace(_SIMULATED, _COMPILED)


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
    """Le chemin de `cuobjdump` ou de `nvdisasm`, apporté par le verrou gpu ; None s’il manque."""
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else ()
    for folder in folders:
        for path in (Path(folder, "cu13", "bin", name), Path(folder, "cu13", "bin", f"{name}.exe")):
            if path.exists():
                return str(path)
    return None


def read_report(code):
    """Lit un cubin : ce que ses fils consomment, et ses instructions remarquables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "noyau.cubin")
        path.write_bytes(code)
        used = _run(tool("cuobjdump"), "-res-usage", path)
        listing = _run(tool("nvdisasm"), "-c", path)
    found = re.findall(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", used)[-1]
    operations = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", listing)
    return Report(
        *map(int, found),
        spills=sum(op.startswith(("LDL", "STL")) for op in operations),
        doubles=sum(
            op.startswith(("DFMA", "DMUL", "DADD", "DSETP", "F2F.F64")) for op in operations
        ),
        wide=sum(".128" in op for op in operations),
        instructions=len(operations),
    )


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _main():
    """Le processus de compilation : des demandes sur l’entrée, les échecs sur la sortie."""
    work, failures = json.load(sys.stdin), []
    for position, row in enumerate(work["requests"]):
        name, text, signature, block = row
        try:
            cubin(Request(name, text, tuple(signature), block), work["architecture"])
        except Exception as error:
            failures.append((position, f"{type(error).__name__} : {error}"[-1500:]))
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    _main()
