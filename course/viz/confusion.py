"""La matrice de confusion : ce qui était écrit, ce qui a été lu, combien de fois.

Nom public : `confusion_image`.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from course.typography import typeset
from course.viz.figures import picture_of
from course.viz.palette import CONCEPTS

ERRORS = LinearSegmentedColormap.from_list("erreurs", ["#FFFFFF", CONCEPTS["gradient"].fill])


def confusion_image(counts, title, alt, names=None):
    """Dessine une matrice de confusion ; seules les erreurs sont teintées.

    Paramètres
        counts : tableau (n, n) d’entiers : ligne, la vraie classe ; colonne, la classe lue.
        title : ce que la planche montre.
        alt : texte de remplacement.
        names : le nom des classes ; à défaut, leur numéro.

    Renvoie
        Une `Picture` SVG.

    Exemple
        >>> confusion_image(np.eye(2, dtype=int), "Sans faute", "Deux réussites, aucune erreur.")
        <image : Deux réussites, aucune erreur.>
    """
    counts = np.asarray(counts)
    errors = counts - np.diag(np.diag(counts))
    names = [str(k) for k in range(len(counts))] if names is None else list(names)
    side = 0.5 * len(counts) + 1.0
    fig = Figure(figsize=(side, side + 0.3), facecolor="white")
    fig.set_layout_engine("constrained")
    axes = fig.subplots()
    axes.imshow(errors, cmap=ERRORS, vmin=0, vmax=max(1, errors.max()) * 1.25)
    for (row, column), count in np.ndenumerate(counts):
        right = row == column
        if count:
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=9,
                color="#595959" if right else "#000000",
                fontweight="normal" if right else "bold",
            )
    ticks = np.arange(len(counts))
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.set_xlabel(typeset("lu"))
    axes.set_ylabel(typeset("écrit"))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(typeset(title), fontsize=12, fontweight="bold")
    return picture_of(fig, alt)
