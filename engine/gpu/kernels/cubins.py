"""Du texte d’un noyau au code machine d’un GPU (un *cubin*), avec ou sans GPU.

numba-cuda fait du texte un code intermédiaire, que l’éditeur de liens de CUDA finit d’optimiser
pour une architecture ; rien n’y demande de pilote. Le cubin est rangé dans le cache des noyaux avec
les versions qui l’ont fait : d’autres versions le refont, et une machine où numba-cuda manque prend
tel quel ce qu’un dossier préparé ailleurs contient.

Ordre de lecture : `Request`, `cubin`, `architecture_of`.
"""

import functools
import importlib
import re
from importlib import metadata
from typing import NamedTuple

from engine.backends import cache
from engine.core.errors import ModeError

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a")
_TOOLS = (  # ceux de CUDA 13, puis de CUDA 12
    *("numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"),
    *("nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12"),
)
_STORED = {"bool": "uint8", "bfloat16": "uint16"}  # tels qu’en mémoire


class Request(NamedTuple):
    """Ce qu’il faut compiler : nom de famille, texte, signature, fils d’un bloc."""

    name: str
    text: str
    signature: tuple
    block: int

    def key(self, architecture):
        """L’empreinte du cubin."""
        return cache.key_of(architecture, self.text, self.signature, self.block)


def cubin(request, architecture):
    """Le point d’entrée et le code machine d’un noyau, pris au cache ou compilés.

    Lève
        ModeError : le cubin n’est pas dans le cache et numba-cuda n’est pas installé, ou ne connaît
            pas cette architecture.
    """
    name, key, tools = f"cuda_{request.name}", request.key(architecture), toolchain()
    stored = cache.read(name, key)
    if stored is None and not tools:
        raise ModeError(
            f"le noyau « {request.name} » n'est pas compilé pour {architecture}",
            expected="numba-cuda, ou un dossier de noyaux préparé sur une autre machine",
            hint="python3 demarrer.py gpu ; ou ENGINE_FLAGS='cache_dir=DOSSIER'",
        )
    if tools and (stored is None or not stored.startswith(tools + b"\0")):
        stored = tools + b"\0" + _compile(request, architecture)
        cache.write(name, key, stored)
    _, entry, code = stored.split(b"\0", 2)
    return entry.decode(), code


@functools.cache
def toolchain():
    """Les paquets qui compilent, et leurs versions ; vide s’ils manquent."""
    installed = {}
    for name in _TOOLS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found = ", ".join(f"{name} {version}" for name, version in installed.items())
    return found.encode() if "numba-cuda" in installed else b""


def has_cubins():
    """Y a-t-il, dans le dossier du cache, des noyaux compilés ailleurs ?"""
    return any(cache.directory().glob("cuda_*"))


def architecture_of(major, minor):
    """Le nom de l’architecture d’un GPU, d’après sa génération.

    Exemple
        >>> architecture_of(8, 9), architecture_of(12, 0)
        ('sm_89', 'sm_120a')
    """
    return f"sm_{major}{minor}" + "a" * (major >= 9)


def _compile(request, architecture):
    cuda, core = (importlib.import_module(name) for name in ("numba.cuda", "cuda.core"))
    major, minor, letter = re.fullmatch(r"sm_(\d+)(\d)(a?)", architecture).groups()
    _check_known(architecture, 10 * int(major) + int(minor))
    # À part, une fonction voudrait l’architecture d’un GPU présent ; recopiée où elle sert, non.
    text = request.text.replace("(device=True)", '(device=True, inline="always")')
    scope = {}
    exec(compile(text, f"<{request.name}>", "exec"), scope)
    code, _ = cuda.compile(
        scope["kernel"], tuple(_kind(word, cuda.types) for word in request.signature),
        device=False, abi="numba", output="ltoir", cc=(int(major), int(minor), letter),
        # un bloc au moins : sans ce mot, des registres débordent pour que davantage y tiennent
        launch_bounds=(request.block, 1),
    )  # fmt: skip
    options = core.LinkerOptions(arch=architecture, link_time_optimization=True)
    linked = core.Linker(core.ObjectCode.from_ltoir(code), options=options).link("cubin").code
    # le nom que Numba a donné au noyau : seul un noyau a une zone de paramètres
    return re.search(rb"\.nv\.constant0\.(\w+)\0", linked)[1] + b"\0" + linked


def _check_known(architecture, generation):
    nvrtc = importlib.import_module("cuda.bindings.nvrtc")
    _, known = nvrtc.nvrtcGetSupportedArchs()
    if generation not in known:
        old = generation < min(known)
        raise ModeError(
            f"ce GPU est {'plus ancien' if old else 'plus récent'} que le CUDA installé",
            expected=f"de sm_{min(known)} à sm_{max(known)}",
            received=architecture,
            hint="python3 demarrer.py gpu choisit le CUDA d’après le pilote et la carte"
            if old else "une version plus récente du cours ; ou config.device = 'cpu'",
        )  # fmt: skip


def _kind(word, kinds):
    """Le type Numba d’un mot de signature.

    « uint32 » est un nombre ; « float32[:,:] », un tableau, avec sa forme et ses pas ;
    « float32[::1] », un tableau contigu ; « bool[::1] », des octets.
    """
    dtype, axes, _ = word.partition("[")
    if not axes:
        return getattr(kinds, dtype.replace("bool", "boolean"))
    kind = getattr(kinds, _STORED.get(dtype, dtype))
    return kinds.Array(kind, word.count(",") + 1, "C" if "::1" in word else "A")
