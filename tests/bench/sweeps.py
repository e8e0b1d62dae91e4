"""Comment le coût croît : un travail, une taille que l’on fait varier, une figure."""

import tempfile
from typing import NamedTuple

from matplotlib import pyplot as plt

from course.viz.figures import picture_of, use_course_style
from course.viz.picture import decimal
from tests.bench.measure import ROOT, measure

PICTURES = ROOT / "docs" / "images"
NAMES = ("engine", "torch", "jax")
LABELS = {"engine": "Chaînage", "torch": "PyTorch", "jax": "JAX"}


class Sweep(NamedTuple):
    """Un balayage : le travail, la taille qui varie et ses valeurs.

    `sizes` : fonction valeur -> tailles du travail ; `compile` : montrer le temps de compilation à
    froid plutôt que celui d’un pas.
    """

    file: str
    folder: str
    title: str
    axis: str
    values: tuple
    sizes: object
    compile: bool = False


SWEEPS = {
    sweep.file: sweep
    for sweep in (
        Sweep(
            "cout_minilot",
            "dense",
            "Régression softmax : un pas selon le minilot",
            "images par minilot",
            (1, 10, 50, 200, 1000, 4000),
            lambda n: {"batch": n, "n_batches": 4, "steps": 200},
        ),
        Sweep(
            "cout_largeur",
            "lstm",
            "LSTM : un pas selon le nombre d’unités",
            "unités",
            (16, 32, 64, 128, 256),
            lambda n: {"units": n, "n_batches": 2, "steps": 5},
        ),
        Sweep(
            "cout_profondeur",
            "dense",
            "Couches denses de 128 : un pas selon leur nombre",
            "couches cachées",
            (1, 2, 4, 8, 16, 32),
            lambda n: {"batch": 100, "hidden": (128,) * n, "n_batches": 4, "steps": 100},
        ),
        Sweep(
            "cout_longueur",
            "lstm",
            "LSTM de 50 unités : un pas selon la longueur des suites",
            "caractères par suite",
            (10, 30, 100, 300, 1000),
            lambda n: {"length": n, "n_batches": 2, "steps": 5},
        ),
        Sweep(
            "cout_graphe",
            "fused_chain",
            "Chaîne de fonctions : compiler selon la taille du graphe",
            "maillons de cinq opérations",
            (1, 3, 10, 30, 100),
            lambda n: {"size": 1000, "links": n, "steps": 20},
            compile=True,
        ),
    )
}


def draw_sweep(sweep, homes, threads, rounds):
    """Mesure, écrit la figure (SVG) et rend les nombres en texte."""
    curves = {name: [] for name in NAMES}
    lines = [f"{sweep.title} ({'s' if sweep.compile else 'ms'})"]
    lines.append(f"{sweep.axis:>34}" + "".join(f"{name:>12}" for name in NAMES))
    run = (NAMES, homes, threads, rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as shared:
        cache = None if sweep.compile else shared  # un noyau déjà compilé sert aux autres tailles
        for value in sweep.values:
            line = f"{value:34d}"
            for row in measure(sweep.folder, sweep.sizes(value), *run, check=False, cache=cache):
                if row.absent:
                    line += f"{'-':>12}"
                    continue
                found = row.cold if sweep.compile else row.median * 1e3
                curves[row.name].append((value, found))
                line += f"{found:12.4f}"
            lines.append(line)
    path = PICTURES / f"{sweep.file}.svg"
    sweep_picture(sweep, curves).save(path)
    return "\n".join([*lines, f"-> {path.relative_to(ROOT)}"])


def sweep_picture(sweep, curves):
    """La figure d’un balayage ; `curves` : concurrent -> liste de (valeur, mesure)."""
    use_course_style()
    figure, axes = plt.subplots()
    for name, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=LABELS[name])
    axes.set(xscale="log", yscale="log", title=sweep.title)
    axes.set_xlabel(f"{sweep.axis} (échelle log.)")
    what, unit = ("jusqu’au premier pas", "s") if sweep.compile else ("temps d’un pas", "ms")
    axes.set_ylabel(f"{what} ({unit}, échelle log.)")
    axes.set_xticks(sweep.values, [str(value) for value in sweep.values], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: decimal(value, 4))
    axes.yaxis.set_minor_formatter("")
    axes.legend()
    plt.close(figure)
    said = [
        f"{LABELS[name]}, de {decimal(points[0][1], 3)} à {decimal(points[-1][1], 3)} {unit}"
        for name, points in curves.items()
        if points
    ]
    return picture_of(figure, alt=f"{sweep.title}. {' ; '.join(said)}.")
