"""Un vrai JupyterLab et un vrai navigateur, partagés par les tests de ce dossier.

`browser` est Chromium. `lab` démarre une fois JupyterLab sur la boucle locale, avec ses propres
dossiers de réglages ; `lab.open(path, theme)` ouvre un notebook et rend une `NotebookPage` :
`run_all()`, `wait_for(...)`, `screenshot(name)`, `violations()`. Les captures vont dans le dossier
nommé par CHAINAGE_CAPTURES, sinon dans un dossier temporaire.
"""

import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
START_SECONDS = 60
CELL_MS = 180_000


@pytest.fixture(scope="session")
def browser(require_program):
    """Chromium, un seul pour toute la session de tests."""
    path = require_program(*BROWSERS)
    playwright = pytest.importorskip("playwright.sync_api", reason="programme absent : playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def captures(tmp_path_factory):
    """Le dossier où vont les captures d’écran."""
    named = os.environ.get("CHAINAGE_CAPTURES")
    folder = pathlib.Path(named) if named else tmp_path_factory.mktemp("captures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab(browser, captures, tmp_path_factory):
    """JupyterLab, un seul pour toute la session de tests."""
    server = Lab(tmp_path_factory.mktemp("jupyter"), captures, browser)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def violations_in():
    """violations_in(page, sélecteur) : les fautes d’accessibilité qu’axe-core y trouve."""
    return axe_violations


def axe_violations(page, selector):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="programme absent : axe-playwright-python",
    )
    found = axe.Axe().run(page, context=selector).response["violations"]
    return [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found]


class Lab:
    """Le serveur : son dossier de travail, son adresse, son navigateur."""

    def __init__(self, home, captures, browser):
        self.work = home / "travail"
        self.captures = captures
        self.browser = browser
        self.contexts = {}
        self.work.mkdir()
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folders = {
            f"JUPYTER_{name}_DIR": str(home / name.lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        }
        folders |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
        folders |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
        folders |= {"IPYTHONDIR": str(home / "ipython")}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false}'
        )
        self.log_path = home / "jupyter.log"
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "jupyterlab",
                        "--no-browser",
                        "--expose-app-in-browser",
                    ),
                    *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"),
                    *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.work}"),
                    *("--ServerApp.allow_root=True", f"--IdentityProvider.token={self.token}"),
                ],
                env={**os.environ, **folders, "PYTHONPATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.work,
            )

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        address = f"http://127.0.0.1:{self.port}/api/status?token={self.token}"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(address, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise RuntimeError("JupyterLab ne démarre pas :\n" + self.log_path.read_text()[-3000:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def context(self, theme):
        """Renvoie le contexte du thème, gardé : les programmes de JupyterLab y restent en cache."""
        if theme not in self.contexts:
            self.contexts[theme] = self.browser.new_context(
                viewport={"width": 1300, "height": 1000}, locale="fr-FR"
            )
        return self.contexts[theme]

    def open(self, path, theme="light"):
        """Ouvre un notebook (copié dans le dossier de travail s’il est ailleurs)."""
        path = pathlib.Path(path)
        target = self.work / path.name
        if path.resolve() != target.resolve():
            shutil.copy(path, target)
        return NotebookPage(self, target.name, theme)

    def notebook(self, name, *cells):
        """Écrit un notebook fait des cellules de code données et renvoie son chemin."""
        path = self.work / f"{name}.ipynb"
        path.write_text(json.dumps(as_notebook(cells)), encoding="utf-8")
        return path


def as_notebook(cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cellule{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


class NotebookPage:
    """Un notebook ouvert dans le navigateur ; se ferme avec `with`."""

    def __init__(self, server, name, theme):
        self.server, self.name, self.theme = server, name, theme
        self.page = server.context(theme).new_page()
        self.errors = []
        self.page.on("pageerror", self._note)
        workspace = f"{pathlib.Path(name).stem}-{theme}"
        self.page.goto(
            f"http://127.0.0.1:{server.port}/lab/workspaces/{workspace}/tree/{name}"
            f"?token={server.token}&reset"
        )
        self.page.wait_for_function("window.jupyterapp !== undefined", timeout=60_000)
        self.page.evaluate("() => window.jupyterapp.restored")
        self.command("apputils:change-theme", theme=THEMES[theme])
        self.page.wait_for_selector(
            f"body[data-jp-theme-light='{'true' if theme == 'light' else 'false'}']",
            state="attached",
        )
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
        self._accept_kernel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.command("kernelmenu:shutdown")
        self.page.close()

    def _note(self, error):
        """Retient les erreurs de nos programmes (servis en `blob:`), pas celles de JupyterLab."""
        stack = error.stack or ""
        if "blob:" in stack or "/static/lab/" not in stack:
            self.errors.append(f"{error}\n{stack}")

    def command(self, name, **arguments):
        """Exécute une commande de JupyterLab."""
        script = "([name, args]) => { window.jupyterapp.commands.execute(name, args); }"
        self.page.evaluate(script, [name, arguments])

    def _accept_kernel(self):
        """Attend un noyau prêt ; accepte le choix proposé si JupyterLab demande lequel."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            dialog = self.page.locator(".jp-Dialog .jp-mod-accept")
            if dialog.count():
                dialog.first.click()
            state = self.page.evaluate(
                "() => window.jupyterapp.shell.currentWidget?.sessionContext?.kernelDisplayStatus"
            )
            if state == "idle":
                return
            self.page.wait_for_timeout(200)
        raise RuntimeError("le noyau n’est pas prêt :\n" + self.server.log_path.read_text()[-2000:])

    def run_all(self, timeout=CELL_MS):
        """Exécute toutes les cellules et attend la fin ; renvoie les erreurs de cellules."""
        self.command("runmenu:run-all")
        self.page.wait_for_function(
            """() => {
              const model = window.jupyterapp.shell.currentWidget.content.model;
              const cells = [...model.cells].filter((c) => c.type === "code"
                && c.sharedModel.getSource().trim());
              return cells.every((c) => c.executionCount !== null && c.executionState !== "running")
                || cells.some((c) => [...Array(c.outputs.length).keys()]
                     .some((i) => c.outputs.get(i).type === "error"));
            }""",
            timeout=timeout,
        )
        return self.page.evaluate(
            """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
              .filter((c) => c.type === "code")
              .flatMap((c) => c.outputs.toJSON())
              .filter((o) => o.output_type === "error")
              .map((o) => o.ename + ": " + o.evalue)"""
        )

    def outputs(self):
        """Renvoie les sorties du notebook, cellule par cellule, comme elles s’écriraient."""
        return self.page.evaluate(
            """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
              .map((c) => c.type === "code" ? c.outputs.toJSON() : [])"""
        )

    def run_python(self, code):
        """Exécute du Python dans le noyau du notebook, et rend ce qu’il imprime."""
        return self.page.evaluate(
            """async (code) => {
              const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const future = kernel.requestExecute({ code, store_history: false });
              let text = "";
              future.onIOPub = (m) => {
                if (m.header.msg_type === "stream") text += m.content.text;
                if (m.header.msg_type === "error") text += m.content.traceback.join("\\n");
              };
              await future.done;
              return text.trim();
            }""",
            code,
        )

    def show_cell(self, rank):
        """Fait défiler jusqu’à la cellule `rank` ; JupyterLab retire celles qu’on ne voit pas."""
        self.page.evaluate(
            """async (rank) => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = rank;
              await notebook.scrollToItem(rank, "start");
            }""",
            rank,
        )
        return self.page.locator(f".jp-Notebook [data-windowed-list-index='{rank}']")

    def screenshot(self, name, selector=".chainage"):
        """Enregistre une capture de `selector` et renvoie son chemin."""
        path = self.server.captures / f"{name}-{self.theme}.png"
        target = self.page.locator(selector).first
        target.scroll_into_view_if_needed()
        target.screenshot(path=path)
        return path

    def violations(self, selector=".chainage"):
        """Renvoie les fautes d’accessibilité qu’axe-core trouve dans `selector`."""
        return axe_violations(self.page, selector)
