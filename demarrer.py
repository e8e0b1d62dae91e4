#!/usr/bin/env python3
"""Chaînage : installe le cours, puis l’ouvre.

    python3 demarrer.py                     installe ce qui manque et ouvre le cours dans JupyterLab
    python3 demarrer.py --sans-navigateur   installe ce qui manque et s’arrête
    python3 demarrer.py gpu                 ajoute de quoi calculer sur un GPU NVIDIA (1,3 Go)
    python3 demarrer.py tests [...]         teste, un processus par cœur ; la suite va à pytest
    python3 demarrer.py site [...]          écrit le site du cours ; la suite va à Sphinx
    python3 demarrer.py kit [...]           télécharge dans roues/ de quoi installer sans réseau
    python3 demarrer.py verrous [...]       recalcule les verrous avec uv ; la suite va à uv

Sous Windows, écrire « py demarrer.py ». Tout va dans le dossier .venv du cours : l’effacer
désinstalle. Si le dossier roues/ contient des paquets, rien n’est demandé au réseau.
"""

# Bibliothèque standard seulement, et une syntaxe que Python 3.6 sait lire : un Python trop vieux
# doit pouvoir afficher pourquoi il est refusé.

import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCKS = ROOT / "verrous"
WHEELS = ROOT / "roues"
OLDEST, NEWEST = (3, 11), (3, 14)
NEEDED_SPACE = 1.5e9  # octets : base et dev occupent 0,9 Go, le cache de pip le reste
GPU_SPACE = 2.2e9  # de plus, pour gpu (1,2 Go une fois installé) ou gpu12 (1,4 Go)
GPU_LOCKS = ("gpu", "gpu12")  # l’un ou l’autre : leurs bibliothèques ne se mêlent pas
OLDEST_CARD = 75  # que connaisse CUDA 13 : les GTX 16 et RTX 20, de 2018
STARTING_POINTS = ("notebooks/00_bienvenue.ipynb", "notebooks")

OVERRIDES = {
    "@jupyterlab/translation-extension:plugin": {"locale": "fr_FR"},
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    # Le glossaire s’ouvre mis en page, pas en source.
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}

# Ce que pip dit en anglais -> ce que l’on en dit ; le premier motif trouvé l’emporte.
DIAGNOSES = (
    (
        r"No space left on device|Errno 28|WinError 112|not enough space|Disk quota exceeded",
        "Le disque est plein. Libérez environ {space}, puis relancez : l’installation reprendra.",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "Un paquet reçu n’est pas celui du verrou (fichier abîmé, ou remplacé en chemin).\n"
        "Relancez ; si cela persiste : « {python} -m pip cache purge », ou un autre réseau.",
    ),
    (
        r"Long Path support",
        "Le chemin du cours est trop long pour Windows.\n"
        "Déplacez le dossier près de la racine, par exemple dans C:\\chainage, et relancez.",
    ),
    (
        r"Permission denied|Errno 13|WinError (5|32)\b|Access is denied",
        "Un fichier de .venv est pris ou protégé. Fermez JupyterLab s’il tourne, puis relancez.",
    ),
    (
        r"NewConnectionError|NameResolutionError|name resolution|getaddrinfo|ConnectTimeout"
        r"|ReadTimeout|timed out|ProxyError|Network is unreachable"
        r"|Connection (broken|reset|aborted)|SSLError|RemoteDisconnected|ProtocolError",
        "Le réseau ne répond pas (ou un proxy le bloque). Relancez plus tard : l’installation\n"
        "reprendra. Sans réseau du tout : copiez ici un dossier roues/ préparé ailleurs par\n"
        "« python3 demarrer.py kit », puis relancez.",
    ),
    (
        r"No matching distribution|Could not find a version",
        "Un paquet manque pour ce Python ou cette machine.\n{wheels_hint}",
    ),
)


class Trouble(Exception):
    """Un empêchement, dit en français à la personne qui installe."""


def say(text):
    print(text, flush=True)


def size_text(octets):
    return "{:.1f} Go".format(octets / 1e9).replace(".", ",")


# -- ce qu’il faut avant de commencer ----------------------------------------------------------


def python_problem(version=sys.version_info, is_64bit=sys.maxsize > 2**32, platform=sys.platform):
    """Ce qui empêche ce Python de servir, ou None."""
    found = "{}.{}".format(*version[:2])
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        message = "Python 3.11 à 3.14 requis ; celui-ci est un Python " + found + "."
        if platform == "win32":
            return message + "\nEssayez « py -3.14 demarrer.py », ou installez Python 3.14."
        for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
            if shutil.which("python3.{}".format(minor)):
                return message + "\nEssayez « python3.{} demarrer.py ».".format(minor)
        return message + "\nInstallez Python 3.14, puis relancez avec lui."
    if not is_64bit:
        return "Python 64 bits requis ; celui-ci est un Python {} 32 bits.".format(found)
    return None


def venv_problem(has_ensurepip=None):
    """Debian et Ubuntu rangent venv dans un paquet à part : dire lequel, ou None."""
    if has_ensurepip is None:
        has_ensurepip = find_spec("ensurepip") is not None and find_spec("venv") is not None
    if has_ensurepip:
        return None
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    return (
        "Ce Python ne sait pas créer d’environnement : le paquet {0} manque.\n"
        "Installez-le, puis relancez : sudo apt install {0}".format(package)
    )


def space_problem(free, needed=NEEDED_SPACE):
    if free >= needed:
        return None
    return "Le disque est presque plein : il reste {}, il faut {}.".format(
        size_text(free), size_text(needed)
    )


def refuse(problem):
    if problem:
        raise Trouble(problem)


# -- l’environnement ----------------------------------------------------------------------------


class Environment:
    """L’endroit où tout est installé : .venv, ou l’environnement conda du cours s’il est actif."""

    def __init__(self, variables=os.environ):
        self.is_conda = variables.get("CONDA_DEFAULT_ENV") == "chainage"
        self.folder = Path(variables["CONDA_PREFIX"]) if self.is_conda else ROOT / ".venv"
        program = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python = sys.executable if self.is_conda else str(self.folder / program)
        self.stamp = self.folder / "chainage.json"

    def site_packages(self):
        base = str(self.folder)
        variables = {"base": base, "platbase": base}
        scheme = "nt" if os.name == "nt" else "posix_prefix"
        return Path(sysconfig.get_path("purelib", scheme, variables))

    def installed(self):
        """Les empreintes des verrous installés ; vide si ce Python n’est pas celui d’alors."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        same = stamp.get("python") == python_name() and Path(self.python).exists()
        return stamp.get("verrous", {}) if same else {}

    def create(self):
        """Crée .venv, ou le garde si une installation interrompue l’a laissé en état de servir."""
        usable = Path(self.python).exists() and self.site_packages().exists()
        if usable and subprocess.call([self.python, "-c", "import pip"], stderr=subprocess.DEVNULL):
            usable = False
        if usable or self.is_conda:
            return
        refuse(venv_problem())
        say("Création de l’environnement .venv…")
        command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Trouble(explain(done.stdout.decode(errors="replace")))

    def sweep(self):
        """Oublie les paquets dont l’installation a été coupée : pip les croirait complets."""
        for folder in self.site_packages().glob("*.dist-info"):
            if not (folder / "INSTALLER").exists():
                shutil.rmtree(str(folder))

    def configure(self):
        """Met le cours sur le chemin de Python et règle JupyterLab (français, pas de nouvelles)."""
        site = self.site_packages()
        # Relatif dans .venv : le dossier du cours peut être déplacé, son chemin porter des accents.
        root = str(ROOT) if self.is_conda else os.path.relpath(str(ROOT), str(site))
        (site / "chainage.pth").write_text(root + "\n")
        settings = self.folder / "share" / "jupyter" / "lab" / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "overrides.json").write_text(json.dumps(OVERRIDES, indent=2) + "\n")


def python_name():
    return "{}.{}".format(*sys.version_info[:2])


def fingerprint(lock):
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def has_wheels():
    return any(WHEELS.glob("*.whl"))


def install_command(python, lock, offline):
    """La commande pip d’un verrou : empreintes exigées, aucun paquet à compiler."""
    command = [python, "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--progress-bar=off", "--retries=3", "-r", str(lock)]
    return command + (["--no-index", "--find-links", str(WHEELS)] if offline else [])


def packages(name):
    """Les paquets d’un verrou."""
    text = (LOCKS / (name + ".txt")).read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Za-z0-9][^= ]*)==", text, re.MULTILINE))


def without_rival(environment, name, installed):
    """Ôte ce qu’apportait l’autre verrou du GPU ; renvoie les verrous qui restent installés."""
    for other in set(GPU_LOCKS) & set(installed):
        if name in GPU_LOCKS and other != name:
            extra = sorted(packages(other) - packages(name))
            call([environment.python, "-m", "pip", "uninstall", "--quiet", "--yes"] + extra)
            installed = {key: mark for key, mark in installed.items() if key != other}
    return installed


def prepare(*names, offline=None):
    """Installe les verrous nommés s’ils ont changé, et règle l’environnement."""
    offline = has_wheels() if offline is None else offline
    environment = Environment()
    wanted = {name: fingerprint(LOCKS / (name + ".txt")) for name in names}
    installed = environment.installed()
    if any(installed.get(name) != wanted[name] for name in names):
        needed = NEEDED_SPACE + (GPU_SPACE if set(names) & set(GPU_LOCKS) else 0)
        refuse(space_problem(shutil.disk_usage(str(ROOT)).free, needed))
        environment.create()
        environment.sweep()
        for name in names:
            if installed.get(name) == wanted[name]:
                continue
            lock = LOCKS / (name + ".txt")
            installed = without_rival(environment, name, installed)
            origin = "depuis roues/" if offline else "depuis le réseau"
            say("Installation du verrou « {} » {}…".format(name, origin))
            run_pip(install_command(environment.python, lock, offline), lock)
            installed = dict(installed, **{name: wanted[name]})
            stamp = {"python": python_name(), "verrous": installed}
            environment.stamp.write_text(json.dumps(stamp, indent=2) + "\n")
    environment.configure()
    return environment


def run_pip(command, lock):
    """Lance pip, compte les paquets en français, explique un échec."""
    total = len(re.findall(r"^[A-Za-z0-9].*==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUTF8="1")
    seen, lines = 0, []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        lines.append(line)
        found = re.match(
            r"(?:Collecting|Processing|Ignoring|Requirement already satisfied:) (\S+)", line
        )
        if found:
            seen += 1
            name = re.split(r"[/\\]", found.group(1))[-1].split("=")[0]
            if sys.stdout.isatty():
                print("\r  {}/{}  {:<40}".format(seen, total, name[:40]), end="", flush=True)
            elif seen % 25 == 0:
                say("  {}/{} paquets".format(seen, total))
        elif line.startswith("Installing collected packages"):
            say(("\n" if sys.stdout.isatty() else "") + "  Mise en place des paquets…")
    if process.wait():
        raise Trouble(explain("\n".join(lines), offline="--no-index" in command))


def explain(output, offline=False):
    """Le français de ce que pip ou venv a dit ; ses dernières lignes si l’on ne sait pas."""
    wheels_hint = "Python 3.11 à 3.14, 64 bits, sous Windows, macOS ou Linux : voyez le README."
    if offline:
        wheels_hint = (
            "Le dossier roues/ n’a pas été préparé pour cette machine (ou pas pour les tests :\n"
            "« kit --avec-tests »). Refaites-le, ou retirez-le pour passer par le réseau."
        )
    for pattern, message in DIAGNOSES:
        if re.search(pattern, output):
            last = [line for line in output.splitlines() if re.search(pattern, line)][-1]
            text = message.format(
                space=size_text(NEEDED_SPACE), python=Environment().python, wheels_hint=wheels_hint
            )
            return text + "\n\nCe qu’a dit pip : " + last.strip()[:300]
    return "L’installation a échoué. Les dernières lignes de pip :\n" + "\n".join(
        "  " + line for line in output.splitlines()[-15:]
    )


# -- les commandes ------------------------------------------------------------------------------


def call(command, **options):
    """Lance un programme dans le dossier du cours ; Ctrl-C est pour lui, on attend sa fin."""
    process = subprocess.Popen(command, cwd=str(ROOT), **options)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def lab_command(python):
    start = next((name for name in STARTING_POINTS if (ROOT / name).exists()), "")
    command = [python, "-m", "jupyterlab", "--log-level=WARN", "--ServerApp.answer_yes=True"]
    command += ["--ServerApp.root_dir=" + str(ROOT), "--LabApp.default_url=/lab/tree/" + start]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # dans un conteneur, souvent
    return command + (["--allow-root"] if is_root else [])


def open_course(arguments):
    if arguments not in ([], ["--sans-navigateur"]):
        raise Trouble("Option inconnue : {}\n\n{}".format(" ".join(arguments), __doc__.strip()))
    environment = prepare("base")
    if arguments:
        say("Tout est prêt : « python3 demarrer.py » ouvrira le cours.")
        return 0
    say("Le cours s’ouvre dans le navigateur. Pour l’arrêter : Ctrl-C dans cette fenêtre.")
    # Le noyau de .venv d’abord, même si un autre Jupyter est installé pour cette personne.
    variables = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1")
    return call(lab_command(environment.python), env=variables)


def driver_and_cards():
    """La version de CUDA que le pilote connaît, comme 12040 (None : pas de pilote), et la
    génération de chaque carte, comme 75.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None, []
    version, count, major, minor = (ctypes.c_int() for _ in range(4))
    driver.cuDriverGetVersion(ctypes.byref(version))
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return version.value, []
    cards = []
    for rank in range(count.value):
        driver.cuDeviceGetAttribute(ctypes.byref(major), 75, rank)
        driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, rank)
        cards.append(10 * major.value + minor.value)
    return version.value, cards


def gpu_lock(version, cards):
    """Le verrou du GPU qui convient, et pourquoi celui-là."""
    if version is None:
        return "gpu", "Pas de pilote NVIDIA ici, donc le CUDA le plus récent"
    if version < 13000:
        name = "Pilote CUDA {}.{}".format(version // 1000, version % 1000 // 10)
        return "gpu12", name + ", d’avant CUDA 13 (un pilote 580 ou plus récent lève cette limite)"
    if min(cards, default=OLDEST_CARD) < OLDEST_CARD:
        return "gpu12", "Carte d’avant 2018, que CUDA 13 ne connaît plus"
    return "gpu", "Pilote CUDA {}.{}".format(version // 1000, version % 1000 // 10)


def add_gpu(arguments):
    if arguments:
        raise Trouble("« gpu » ne prend pas d’option : {}".format(" ".join(arguments)))
    if sys.platform == "darwin":
        raise Trouble("Pas de GPU NVIDIA sous macOS : les noyaux y tournent dans le simulateur.")
    lock, why = gpu_lock(*driver_and_cards())
    say("{} : verrou « {} ».".format(why, lock))
    prepare("base", lock)
    say("Tout est prêt : config.device = 'cuda' calculera sur le GPU, si la machine en a un.")
    return 0


def parallel_options(arguments):
    """Un processus de plus que de cœurs (l’un attend souvent un navigateur), huit au plus (pour la
    mémoire), sauf si -n en dit un autre nombre.
    """
    if any(word.startswith(("-n", "--numprocesses")) for word in arguments):
        return []
    # Un processus reçoit des fichiers qui se suivent, et ce qu’ils préparent sert à tous leurs
    # tests ; celui qui a fini prend la moitié de ce qui reste à un autre.
    return ["-n", str(min((os.cpu_count() or 1) + 1, 8)), "--dist=worksteal"]


def run_tests(arguments):
    command = [prepare("base", "dev").python, "-m", "pytest"]
    return call(command + parallel_options(arguments) + arguments)


def site_command(python, folder):
    """La commande Sphinx qui écrit le site dans `folder` ; un avertissement est une faute."""
    command = [python, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["--doctree-dir", str(folder) + ".cache", "-c", str(ROOT / "docs" / "site")]
    return command + [str(ROOT), str(folder)]


def write_site(arguments):
    python, folder = prepare("base", "docs").python, ROOT / "build" / "site"
    say("Écriture du site…")
    if call(site_command(python, folder) + arguments):
        raise Trouble("Le site n’est pas complet (voir plus haut).")
    say("Le site est écrit : ouvrez {}.".format(folder / "index.html"))
    return 0


def make_kit(arguments):
    # Juger les marqueurs d’une autre plateforme demande la bibliothèque packaging : dans .venv.
    # Un dossier roues/ périmé se refait ainsi : l’installation passe par le réseau.
    return call([prepare("base", offline=False).python, str(LOCKS / "kit.py")] + arguments)


def compile_locks(arguments):
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(Environment().python).parent))
    if uv is None:
        raise Trouble("uv manque : « {} -m pip install uv ».".format(Environment().python))
    options = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-header"]
    options += ["--no-emit-index-url", "--no-emit-find-links", "--quiet"] + arguments
    for name in ("base", "docs", "dev") + GPU_LOCKS:  # chacun prend les versions de ceux d’avant
        say("Calcul de verrous/{}.txt…".format(name))
        source, lock = "verrous/{}.in".format(name), "verrous/{}.txt".format(name)
        if call([uv, "pip", "compile", source, "--output-file", lock] + options):
            raise Trouble("uv n’a pas trouvé de versions qui s’accordent (voir plus haut).")
    return 0


COMMANDS = {
    "gpu": add_gpu,
    "tests": run_tests,
    "site": write_site,
    "kit": make_kit,
    "verrous": compile_locks,
}


def main(arguments):
    for stream in (sys.stdout, sys.stderr):  # une console Windows peut ignorer l’espace fine
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if arguments[:1] in (["-h"], ["--help"], ["--aide"]):
        say(__doc__.strip())
        return 0
    try:
        refuse(python_problem())
        command = COMMANDS.get(arguments[0]) if arguments else None
        return command(arguments[1:]) if command else open_course(arguments)
    except Trouble as trouble:
        print("\n" + str(trouble), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrompu. Relancez la même commande : elle reprendra.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
