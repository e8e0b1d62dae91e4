"""L’installation : verrous, environment.yml, demarrer.py, kit, programmes absents, style."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import demarrer
from course.typography import typeset

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "verrous"
HASHED_LOCKS = {  # nom : plus de paquets
    "base.txt": 50, "docs.txt": 50, "dev.txt": 50, "gpu.txt": 8, "gpu12.txt": 8
}  # fmt: skip

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def kit():
    folder = str(LOCKS)
    sys.path.insert(0, folder)
    try:
        import kit  # noqa: PLC0415 - un script, rangé hors de tout paquet
    finally:
        sys.path.remove(folder)
    return kit


def requirements(name):
    """Les exigences d’un verrou, chacune avec le nombre de ses empreintes."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", (LOCKS / name).read_text("utf-8"), flags=re.MULTILINE)
    found = [
        (block.split("\\")[0].split("\n")[0], block.count("--hash=sha256:")) for block in blocks
    ]
    return [(Requirement(line), hashes) for line, hashes in found if re.match("[A-Za-z0-9]", line)]


# -- verrous ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.*")), ids=lambda path: path.name)
def test_locks_name_no_host(path):
    assert not re.search(
        r"://|--index-url|--find-links \S|\.(org|com|net)\b", path.read_text("utf-8")
    )


@pytest.mark.parametrize("name", HASHED_LOCKS)
def test_locks_pin_and_hash_every_package(name):
    locked = requirements(name)
    assert len(locked) > HASHED_LOCKS[name]
    for requirement, hashes in locked:
        assert str(requirement.specifier).startswith("=="), requirement
        assert hashes > 0, requirement


def test_other_locks_follow_base():
    base = {r.name: set() for r, _ in requirements("base.txt")}
    for requirement, _ in requirements("base.txt"):
        base[requirement.name].add(str(requirement.specifier))
    for name in ("docs.txt", "dev.txt", "gpu.txt", "gpu12.txt", "peers.txt"):
        shared = [r for r, _ in requirements(name) if r.name in base]
        assert len(shared) >= 4
        for requirement in shared:
            assert str(requirement.specifier) in base[requirement.name], (name, requirement)


def test_tests_take_the_site_as_its_lock_has_it():
    site = {(r.name, str(r.specifier)) for r, _ in requirements("docs.txt")}
    assert site <= {(r.name, str(r.specifier)) for r, _ in requirements("dev.txt")}


@pytest.mark.parametrize("name", ["base", "docs", "dev", *demarrer.GPU_LOCKS])
def test_lock_holds_what_its_source_asks(name):
    locked = {r.name for r, _ in requirements(f"{name}.txt")}
    lines = (LOCKS / f"{name}.in").read_text("utf-8").splitlines()
    asked = [Requirement(line) for line in lines if re.match("[a-z]", line)]
    assert len(asked) > 3
    assert {r.name.lower() for r in asked} <= locked


def test_project_needs_are_in_the_base_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {r.name: r for r, _ in requirements("base.txt")}
    for requirement in map(Requirement, project["dependencies"]):
        version = str(locked[requirement.name].specifier).removeprefix("==")
        assert version in requirement.specifier
    assert project["requires-python"] == ">=3.11,<3.15"


@pytest.mark.parametrize(
    ("name", "line", "suffix"), [("gpu.txt", "==13.0.", ""), ("gpu12.txt", "==12.9.", "-cu12")]
)
def test_a_gpu_lock_keeps_to_its_line_and_leaves_macs_out(name, line, suffix):
    """La ligne de CUDA que ses pilotes chargent, cuBLAS compris ; trois machines : Linux x86-64 et
    ARM, Windows.
    """
    kept = {f"nvidia-{part}{suffix}" for part in ("cuda-nvrtc", "nvjitlink", "cublas")}
    found = {requirement.name: (requirement, hashes) for requirement, hashes in requirements(name)}
    assert kept < set(found)
    for requirement, hashes in found.values():
        assert not requirement.marker.evaluate({"sys_platform": "darwin"}), requirement
        assert requirement.marker.evaluate({"sys_platform": "win32"}), requirement
        if requirement.name.startswith(("nvidia-", "cuda-bindings")):
            assert str(requirement.specifier).startswith(line), requirement
            assert hashes >= 3, requirement


def test_numba_is_left_out_on_intel_macs_only():
    (numba,) = [r for r, _ in requirements("base.txt") if r.name == "numba"]
    assert not numba.marker.evaluate({"sys_platform": "darwin", "platform_machine": "x86_64"})
    for system, machine in [("darwin", "arm64"), ("linux", "x86_64"), ("win32", "AMD64")]:
        assert numba.marker.evaluate({"sys_platform": system, "platform_machine": machine})


def test_conda_environment_is_the_base_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    python, pip, from_pip = environment["dependencies"]
    assert environment["name"] == "chainage"
    assert python == "python >=3.11,<3.15" and pip == "pip"
    assert from_pip == {"pip": ["-r verrous/base.txt"]}
    assert (ROOT / "verrous/base.txt").is_file()


# -- demarrer.py --------------------------------------------------------------------------------


def test_bootstrap_parses_on_old_pythons_and_needs_nothing():
    tree = ast.parse((ROOT / "demarrer.py").read_text("utf-8"), feature_version=(3, 6))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names if isinstance(node, ast.Import)}
    names |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    assert "sys" in names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", ["demarrer.py", "verrous/kit.py"])
def test_bootstrap_speaks_with_french_typography(name):
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    texts = [
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
    french = [text for text in texts if " " in text]
    assert len(french) > 10
    assert [text for text in french if typeset(text) != text] == []


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 9)])
def test_supported_pythons_are_accepted(version):
    assert demarrer.python_problem(version, True, "linux") is None


def test_old_python_is_refused_in_french(monkeypatch):
    monkeypatch.setattr(demarrer.shutil, "which", lambda name: None)
    assert demarrer.python_problem((3, 8, 10), True, "linux") == (
        "Python 3.11 à 3.14 requis\u202f; celui-ci est un Python 3.8.\n"
        "Installez Python 3.14, puis relancez avec lui."
    )


def test_old_python_is_told_of_a_newer_one(monkeypatch):
    monkeypatch.setattr(demarrer.shutil, "which", lambda name: name == "python3.12")
    assert "python3.12 demarrer.py" in demarrer.python_problem((3, 15, 0), True, "darwin")
    assert "py -3.14 demarrer.py" in demarrer.python_problem((3, 10, 2), True, "win32")


def test_32_bit_python_is_refused():
    assert "64 bits requis" in demarrer.python_problem((3, 12, 1), False, "win32")


def test_missing_venv_package_is_named():
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    assert f"sudo apt install {package}" in demarrer.venv_problem(has_ensurepip=False)
    assert demarrer.venv_problem(has_ensurepip=True) is None


def test_full_disk_is_said_before_starting():
    assert demarrer.space_problem(2e9) is None
    assert demarrer.space_problem(2e8) == (
        "Le disque est presque plein\u00a0: il reste 0,2 Go, il faut 1,5 Go."
    )
    assert "il faut 3,7 Go" in demarrer.space_problem(2e9, 1.5e9 + demarrer.GPU_SPACE)


@pytest.mark.parametrize(
    ("output", "french"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "disque est plein",
        ),
        (
            "WARNING: Retrying ... NewConnectionError('Temporary failure in name resolution')\n"
            "ERROR: No matching distribution found for numpy==2.4.6",
            "réseau ne répond pas",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "verrou"),
        ("OSError: [WinError 5] Access is denied: 'zmq.pyd'", "Fermez JupyterLab"),
        ("HINT: ... does not have Windows Long Path support enabled", "trop long pour Windows"),
        ("ERROR: No matching distribution found for numba==0.68.1", "Un paquet manque"),
    ],
)
def test_failures_of_pip_are_explained(output, french):
    text = demarrer.explain("Collecting numpy\n" + output)
    assert french in text
    assert output.splitlines()[0][:30] in text or output.splitlines()[-1] in text


def test_unknown_failure_keeps_the_last_lines():
    text = demarrer.explain("\n".join(f"ligne {i}" for i in range(100)))
    assert "ligne 99" in text and "ligne 50" not in text


def test_install_command_goes_offline_with_wheels():
    lock = LOCKS / "base.txt"
    online = demarrer.install_command("python", lock, offline=False)
    offline = demarrer.install_command("python", lock, offline=True)
    assert "--require-hashes" in online and "--no-index" not in online
    assert offline == [*online, "--no-index", "--find-links", str(ROOT / "roues")]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Un environnement factice : `demarrer.Environment` sans rien installer."""
    monkeypatch.setattr(demarrer, "ROOT", tmp_path)
    environment = demarrer.Environment(variables={})
    environment.site_packages().mkdir(parents=True)
    Path(environment.python).parent.mkdir(exist_ok=True)
    Path(environment.python).touch()
    return environment


def test_configuration_of_jupyterlab_and_of_the_path(elsewhere):
    elsewhere.configure()
    overrides = elsewhere.folder / "share/jupyter/lab/settings/overrides.json"
    assert json.loads(overrides.read_text()) == {
        "@jupyterlab/translation-extension:plugin": {"locale": "fr_FR"},
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
        "@jupyterlab/docmanager-extension:plugin": {
            "defaultViewers": {"markdown": "Markdown Preview"}
        },
    }
    site = elsewhere.site_packages()
    assert (site / (site / "chainage.pth").read_text().strip()).resolve() == elsewhere.folder.parent


def test_stamp_of_another_python_is_void(elsewhere):
    stamp = {"python": demarrer.python_name(), "verrous": {"base": "abc"}}
    elsewhere.stamp.write_text(json.dumps(stamp))
    assert elsewhere.installed() == {"base": "abc"}
    elsewhere.stamp.write_text(json.dumps({**stamp, "python": "3.1"}))
    assert elsewhere.installed() == {}
    elsewhere.stamp.write_text("{coupé")
    assert elsewhere.installed() == {}


def test_packages_cut_short_are_forgotten(elsewhere):
    site = elsewhere.site_packages()
    for name in ("whole-1.dist-info", "cut-1.dist-info"):
        (site / name).mkdir()
    (site / "whole-1.dist-info" / "INSTALLER").write_text("pip")
    elsewhere.sweep()
    assert [folder.name for folder in site.glob("*.dist-info")] == ["whole-1.dist-info"]


def test_active_conda_environment_serves_in_place_of_venv(tmp_path):
    variables = {"CONDA_DEFAULT_ENV": "chainage", "CONDA_PREFIX": str(tmp_path)}
    environment = demarrer.Environment(variables)
    assert environment.folder == tmp_path and environment.python == sys.executable
    assert demarrer.Environment({**variables, "CONDA_DEFAULT_ENV": "base"}).folder == ROOT / ".venv"


def test_course_opens_on_its_first_page(tmp_path, monkeypatch):
    monkeypatch.setattr(demarrer, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    assert "--LabApp.default_url=/lab/tree/notebooks" in demarrer.lab_command("python")
    (tmp_path / "notebooks/00_bienvenue.ipynb").touch()
    url = "--LabApp.default_url=/lab/tree/notebooks/00_bienvenue.ipynb"
    assert url in demarrer.lab_command("python")


@pytest.mark.parametrize(
    ("words", "parallel"),
    [
        ([], True),
        (["-x", "--no-header", "tests/core"], True),
        (["-n0"], False),
        (["-n", "3"], False),
        (["--numprocesses=3"], False),
    ],
)
def test_tests_run_in_parallel_unless_told_how(words, parallel, monkeypatch):
    given = []
    monkeypatch.setattr(demarrer, "prepare", lambda *_: demarrer.Environment({}))
    monkeypatch.setattr(demarrer, "call", given.extend)
    demarrer.run_tests(words)
    assert given[1:3] == ["-m", "pytest"] and given[len(given) - len(words) :] == words
    assert (given[3:6] == ["-n", str(min(os.cpu_count() + 1, 8)), "--dist=worksteal"]) == parallel


@pytest.mark.parametrize(
    ("version", "cards", "lock", "word"),
    [
        (None, [], "gpu", "Pas de pilote"),
        (13000, [75, 120], "gpu", "CUDA 13.0"),
        (13010, [], "gpu", "CUDA 13.1"),
        (12040, [75], "gpu12", "CUDA 12.4"),
        (13000, [89, 61], "gpu12", "2018"),
    ],
)
def test_the_gpu_lock_follows_the_driver_and_its_cards(version, cards, lock, word):
    chosen, why = demarrer.gpu_lock(version, cards)
    assert chosen == lock and word in why


def test_the_driver_is_asked(tmp_path, require_program):
    """Un pilote 12.4 et deux cartes, joués par le faux pilote."""
    if sys.platform != "linux":
        pytest.skip("le faux pilote est une bibliothèque Linux")
    source, library = ROOT / "tests/device/libcuda.c", tmp_path / "libcuda.so.1"
    command = [require_program("cc"), "-shared", "-fPIC", "-w", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True)
    ask = "import demarrer; print(demarrer.driver_and_cards())"
    more = {"LD_LIBRARY_PATH": str(tmp_path), "CHAINAGE_VERSION": "12040", "CHAINAGE_COUNT": "2"}
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, cwd=ROOT, check=True,
        env={**os.environ, **more},
    )  # fmt: skip
    assert done.stdout == "(12040, [90, 90])\n"


def test_one_gpu_lock_takes_the_place_of_the_other(elsewhere, monkeypatch):
    commands = []
    monkeypatch.setattr(demarrer, "call", commands.append)
    marks = {"base": "a", "gpu": "b"}
    assert demarrer.without_rival(elsewhere, "base", marks) == marks
    assert demarrer.without_rival(elsewhere, "gpu", marks) == marks and not commands
    assert demarrer.without_rival(elsewhere, "gpu12", marks) == {"base": "a"}
    assert {"uninstall", "nvidia-cublas", "nvidia-nvvm"} < set(commands[0])
    assert not {"numpy", "numba-cuda", "cuda-bindings"} & set(commands[0])


def test_unknown_option_is_refused(capsys):
    assert demarrer.main(["--sans-navigateurs"]) == 1
    assert "Option inconnue\u00a0: --sans-navigateurs" in capsys.readouterr().err


def test_help_lists_every_command(capsys):
    assert demarrer.main(["--aide"]) == 0
    text = capsys.readouterr().out
    for command in [*demarrer.COMMANDS, "--sans-navigateur"]:
        assert f"demarrer.py {command}" in text


# -- kit ----------------------------------------------------------------------------------------


def test_kit_keeps_what_the_target_needs(kit):
    lock = (LOCKS / "base.txt").read_text("utf-8")
    windows = kit.for_target(lock, "windows-x64", "3.12")
    assert re.search(r"^pywinpty==\S+ \\\n +--hash=sha256:", windows, re.MULTILINE)
    assert "appnope" not in windows and "ptyprocess==" not in windows
    mac = kit.for_target(lock, "macos-arm64", "3.11")
    assert re.search(r"^appnope==", mac, re.MULTILINE) and "pywinpty==" not in mac
    assert "numba==" in mac and "numba==" not in kit.for_target(lock, "macos-x64", "3.11")
    for platform in kit.PLATFORMS:
        for python in kit.PYTHONS:
            reduced = kit.for_target(lock, platform, python)
            names = re.findall(r"^([a-z0-9-]+)==", reduced, re.MULTILINE)
            assert len(names) == len(set(names)) > 90, (platform, python)


def test_kit_asks_pip_for_the_platform(kit):
    command = kit.download_command("base.txt", "macos-arm64", "3.13")
    assert "--platform macosx_12_0_arm64" in " ".join(command)
    assert "--python-version 3.13" in " ".join(command) and "--only-binary=:all:" in command
    assert "--platform" not in kit.download_command("base.txt")


def test_kit_options(kit):
    words = ["--plateformes", "linux-x64", "windows-x64", "--pythons", "3.12", "--avec-tests"]
    assert kit.read_options(words) == {
        "--plateformes": ["linux-x64", "windows-x64"],
        "--pythons": ["3.12"],
        "--avec-tests": [],
    }
    for words in (["--plateformes", "beos"], ["linux-x64"], ["--pythons", "2.7"]):
        with pytest.raises(demarrer.Trouble, match=words[-1]):
            kit.read_options(words)


# -- programmes absents, style ------------------------------------------------------------------

ABSENT_TESTS = """
    import pytest

    def test_function(require_program):
        require_program("programme-inconnu", "autre-inconnu")

    @pytest.mark.skipif(True, reason="programme absent : autre")
    def test_mark():
        pass

    @pytest.mark.skipif(True, reason="pas de GPU")
    def test_gpu():
        pass

    def test_present(require_program):
        assert require_program("programme-inconnu", "python3", "python")
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [
        ("", {"passed": 1, "skipped": 3}),
        ("false", {"passed": 1, "skipped": 3}),
        ("true", {"passed": 1, "skipped": 1, "failed": 1, "errors": 1}),
    ],
)
def test_absent_program_fails_under_ci_only(pytester, monkeypatch, ci, outcomes):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text("utf-8"))
    pytester.makepyfile(ABSENT_TESTS)
    result = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(**outcomes)
    line = "*programme absent*programme-inconnu ou autre-inconnu*"
    result.stdout.fnmatch_lines([line])


@pytest.mark.parametrize(
    "line",
    [
        "pytest.skip('programme absent : dot', allow_module_level=True)",
        "pytest.importorskip('bibliotheque_inconnue')",
    ],
)
def test_absence_at_the_top_of_a_file_fails_under_ci(pytester, monkeypatch, line):
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text("utf-8"))
    pytester.makepyfile(f"import pytest\n{line}")
    pytester.runpytest_inprocess().assert_outcomes(errors=1)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=lambda words: words[0])
def test_ruff(command):
    run = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "--output-format=concise", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
