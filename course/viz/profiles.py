"""Le profil d’une fonction en figure : quels ops, quels nœuds prennent le temps et la mémoire.

Nom public : `profile_figure`.
"""

from matplotlib.figure import Figure

from course.typography import typeset
from course.viz.figures import picture_of
from course.viz.palette import CONCEPTS
from course.viz.picture import decimal
from engine.core.errors import InputError

WIDTH = 8.0  # pouces
ROW = 0.3  # hauteur d’une barre, en pouces
LONGEST = 30  # caractères du nom d’un op
_TIMES = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
_SIZES = (("Go", 1e9), ("Mo", 1e6), ("ko", 1e3), ("o", 1.0))


def profile_figure(f, n_rows=10, alt=None):
    """Montre le profil d’une fonction : par op en haut, par nœud en bas.

    Une barre donne le temps total ; à côté sont écrites sa part dans le temps de tous les nœuds, et
    la mémoire allouée au dernier appel.

    Paramètres
        f : une fonction compilée avec `profile=True` et appelée au moins une fois.
        n_rows : nombre maximal de lignes de chaque côté.
        alt : texte de remplacement ; à défaut, les premiers de chaque liste.

    Renvoie
        une `Picture` en SVG.

    Lève
        InputError : la fonction n’a pas été mesurée.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dvector("x")
        >>> f = function([x], T.exp(x).sum(), profile=True)
        >>> _ = f([1.0, 2.0])
        >>> profile_figure(f).alt.split(",")[0]
        'Profil de f'
    """
    profile = f.profile
    if profile is None or not profile.calls:
        raise InputError(
            f"{f.name} : aucune mesure à montrer",
            expected="une fonction compilée avec profile=True et appelée au moins une fois",
            received="profile=False" if profile is None else "aucun appel",
            hint="f = function(..., profile=True) ; f(...) ; profile_figure(f)",
        )
    panels = (("Par op", profile.by_op(), _op_label), ("Par nœud", profile.by_node(), _node_label))
    heights = [min(len(rows), n_rows) + 3.5 for _, rows, _ in panels]
    size = (WIDTH, ROW * (sum(heights) + 1))
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    figure.suptitle(_title(f), weight="bold", size=12)
    drawn = figure.subplots(2, 1, height_ratios=heights)
    for axes, (title, rows, label) in zip(drawn, panels, strict=True):
        _panel(axes, profile, title, rows, n_rows, label)
    return picture_of(figure, alt or _alt(f, panels))


def _panel(axes, profile, title, rows, n_rows, label):
    shown, rest = rows[:n_rows], rows[n_rows:]
    unit, scale = _unit(_TIMES, max((row.seconds for row in rows), default=0.0))
    times = [row.seconds / scale for row in shown]
    positions = list(range(len(shown)))
    axes.barh(positions, times, color=CONCEPTS["training"].fill, height=0.62)
    longest = max(times, default=1.0) or 1.0
    for position, row, time in zip(positions, shown, times, strict=True):
        text = f"{decimal(100 * profile.share(row), 2)} % · {_memory(row.memory)}"
        if row.calls != profile.calls:
            text += f" · {row.calls} appels"
        axes.text(time + 0.02 * longest, position, typeset(text), va="center", size=9)
    axes.set_yticks(positions, [label(row) for row in shown], parse_math=False)
    axes.set(xlim=(0, 1.5 * longest), xlabel=typeset(f"temps total ({unit})"))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    left_out = f", les {len(shown)} premiers sur {len(rows)}" if rest else ""
    axes.set_title(typeset(f"{title} : part du temps · mémoire{left_out}"), size=10.5, loc="left")


def _title(f):
    unit, scale = _unit(_TIMES, f.profile.seconds)
    seconds = f"{decimal(f.profile.seconds / scale)} {unit}"
    return typeset(f"Profil de {f.name} : {f.profile.calls} appel(s), {seconds}")


def _alt(f, panels):
    parts = []
    for title, rows, label in panels:
        first = [f"{label(row)} ({decimal(100 * f.profile.share(row), 2)} %)" for row in rows[:3]]
        parts.append(f"{title.lower()} : {', '.join(first)}")
    return f"Profil de {f.name}, {' ; '.join(parts)}."


def _unit(units, largest):
    return next(((name, scale) for name, scale in units if largest >= scale), units[-1])


def _memory(octets):
    unit, scale = _unit(_SIZES, octets)
    return f"{decimal(octets / scale)} {unit}"


def _op_label(row):
    return row.label if len(row.label) <= LONGEST else row.label[: LONGEST - 1] + "…"


def _node_label(row):
    frames = row.node.trace.frames
    return _op_label(row) + (f" (ligne {frames[0].line})" if frames else "")
