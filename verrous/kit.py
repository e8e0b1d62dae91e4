"""Télécharge dans roues/ les paquets du verrou, pour une classe sans réseau.

    python3 demarrer.py kit                                     pour cette machine et ce Python
    python3 demarrer.py kit --plateformes windows-x64 macos-arm64 --pythons 3.12 3.13
    python3 demarrer.py kit --avec-tests                        avec les paquets des tests

Plateformes : windows-x64, macos-arm64, macos-x64, linux-x64, linux-arm64. On copie ensuite le
dossier du cours, roues/ compris, sur chaque machine : `demarrer.py` y prendra tout.

`pip download --platform` choisit les bonnes roues mais juge les marqueurs du verrou
(`; sys_platform == 'win32'`) pour la machine où il tourne : on les juge donc ici.
"""

import re
import sys
import tempfile
from itertools import product
from pathlib import Path

from packaging.markers import Marker

from demarrer import LOCKS, WHEELS, Trouble, run_pip, say  # .venv a le cours sur son chemin

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def _linux(machine):
    # De glibc 2.28 (Debian 10, RHEL 8) en descendant : ce que ces systèmes savent charger.
    return [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [
        f"manylinux2014_{machine}",
    ]


# nom -> (étiquettes de roues acceptées, ce que valent les marqueurs là-bas)
PLATFORMS = {
    "windows-x64": (
        ["win_amd64"],
        {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
    ),
    "macos-arm64": (
        ["macosx_12_0_arm64"],
        {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
    ),
    "macos-x64": (
        ["macosx_12_0_x86_64"],
        {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "x86_64"},
    ),
    "linux-x64": (
        _linux("x86_64"),
        {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
    ),
    "linux-arm64": (
        _linux("aarch64"),
        {"sys_platform": "linux", "os_name": "posix", "platform_machine": "aarch64"},
    ),
}


def read_options(arguments):
    """Les listes qui suivent --plateformes, --pythons et --avec-tests (vides si absentes)."""
    allowed = {"--plateformes": PLATFORMS, "--pythons": PYTHONS, "--avec-tests": ()}
    options, current = {}, None
    for word in arguments:
        if word in allowed:
            current = word
            options[current] = []
        elif current and word in allowed[current]:
            options[current].append(word)
        else:
            choices = ", ".join(allowed[current] if current else allowed)
            raise Trouble(f"« {word} » n’est pas reconnu ici ; au choix : {choices}.")
    return options


def full_version(python):
    return python + ".9"  # une version corrigée quelconque, pas la toute première


def for_target(lock_text, platform, python):
    """Le verrou réduit à ce qui sert sur cette plateforme et ce Python, sans marqueurs."""
    environment = {
        **PLATFORMS[platform][1],
        "python_version": python,
        "python_full_version": full_version(python),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    kept = []
    for block in re.split(r"^(?=[A-Za-z0-9])", lock_text, flags=re.MULTILINE):
        head, newline, hashes = block.partition("\n")
        requirement, _, marker = head.rstrip("\\ ").partition(";")
        if marker and not Marker(marker).evaluate(environment):
            continue
        end = " \\" if head.endswith("\\") else ""  # les empreintes suivent
        kept.append(requirement.rstrip() + end + newline + hashes)
    return "".join(kept)


def download_command(lock, platform=None, python=None):
    """La commande pip qui télécharge un verrou ; sans plateforme, celle de cette machine."""
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--progress-bar=off", "--dest", str(WHEELS), "-r", str(lock)]
    if platform:
        command += ["--implementation", "cp", "--python-version", full_version(python)]
        command += [word for tag in PLATFORMS[platform][0] for word in ("--platform", tag)]
    return command


def download(name, platform, python):
    lock = LOCKS / f"{name}.txt"
    say(f"Verrou « {name} », {platform or 'cette machine'}, Python {python}…")
    if platform is None:
        return run_pip(download_command(lock), lock)
    with tempfile.TemporaryDirectory() as folder:
        reduced = Path(folder) / lock.name
        text = for_target(lock.read_text(encoding="utf-8"), platform, python)
        reduced.write_text(text, encoding="utf-8")
        return run_pip(download_command(reduced, platform, python), reduced)


def main(arguments):
    here = "{}.{}".format(*sys.version_info[:2])
    try:
        options = read_options(arguments)
        platforms = options.get("--plateformes") or [None]
        pythons = options.get("--pythons") or [here]
        if platforms == [None] and pythons != [here]:
            raise Trouble("--pythons demande aussi --plateformes.")
        names = ["base", "dev"] if "--avec-tests" in options else ["base"]
        for platform, python, name in product(platforms, pythons, names):
            download(name, platform, python)
    except Trouble as trouble:
        sys.exit(f"\n{trouble}")
    wheels = list(WHEELS.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) // 1_000_000
    say(f"{len(wheels)} roues, {size} Mo, dans roues/. Copiez le dossier du cours avec elles.")


if __name__ == "__main__":
    main(sys.argv[1:])
