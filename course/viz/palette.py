"""Les couleurs du cours : une couleur par notion, lisible par tous, dans les deux thèmes.

La base est la palette d’Okabe et Ito, distinguable par les daltoniens ; une couleur ne va jamais
seule : chaque notion a aussi son pointillé (`dash`). Trois teintes par notion : `fill` (aplats,
celle d’Okabe et Ito), `light` et `dark` (traits, contraste d’au moins 3 sur fond clair et sur fond
sombre : critère WCAG 1.4.11).

Noms publics : `CONCEPTS`, `concept`, `variable`, `css_variables`, `contrast`, et les couleurs
neutres `TEXT`, `MUTED`, `BACKGROUND`, `BORDER` (variables CSS de JupyterLab, avec repli clair).

Source : M. Okabe et K. Ito, « Color Universal Design », 2008.
"""

from typing import NamedTuple

TEXT = "var(--jp-ui-font-color1, #222222)"
MUTED = "var(--jp-ui-font-color2, #595959)"
BACKGROUND = "var(--jp-layout-color0, #ffffff)"
BORDER = "var(--jp-border-color1, #bdbdbd)"
FONT = "var(--jp-ui-font-family, system-ui, 'DejaVu Sans', sans-serif)"


class Concept(NamedTuple):
    """Une notion du cours et la façon de la montrer."""

    label: str
    fill: str
    light: str
    dark: str
    dash: str  # comme stroke-dasharray ; vide : trait plein


CONCEPTS = {
    "input":      Concept("entrée",                "#56B4E9", "#2E8FC9", "#56B4E9", ""),
    "parameter":  Concept("paramètre",             "#E69F00", "#B87A00", "#E69F00", ""),
    "activation": Concept("sortie",                "#009E73", "#009E73", "#009E73", ""),
    "gradient":   Concept("gradient",              "#D55E00", "#D55E00", "#D55E00", "2 3"),
    "cost":       Concept("coût",                  "#CC79A7", "#B85C91", "#CC79A7", "8 3"),
    "training":   Concept("jeu d’entraînement",    "#0072B2", "#0072B2", "#3D94D0", ""),
    "validation": Concept("jeu de validation",     "#F0E442", "#8A7F00", "#F0E442", "7 4"),
    "test":       Concept("jeu de test",           "#222222", "#222222", "#EEEEEE", "2 3"),
    "constant":   Concept("constante",             "#999999", "#767676", "#9E9E9E", "4 3"),
}  # fmt: skip


def concept(name):
    """Renvoie la notion `name` ; une faute de frappe reçoit la liste des notions."""
    try:
        return CONCEPTS[name]
    except KeyError:
        raise KeyError(f"notion inconnue : {name} ; connues : {', '.join(CONCEPTS)}") from None


def variable(name):
    """Renvoie la couleur de trait de `name` en variable CSS, avec la teinte claire pour repli."""
    return f"var(--chainage-{name}, {concept(name).light})"


def css_variables():
    """Renvoie le début de la feuille de style : les teintes claires, puis les sombres."""

    def block(selector, theme):
        rows = (f"  --chainage-{name}: {getattr(c, theme)};" for name, c in CONCEPTS.items())
        return "\n".join([selector + " {", *rows, "}"])

    light = block(".chainage", "light")
    dark = block('[data-jp-theme-light="false"] .chainage', "dark")
    return f"{light}\n{dark}\n"


def contrast(first, second):
    """Renvoie le contraste de deux couleurs `#rrggbb`, de 1 à 21.

    Source : WCAG 2.2, « contrast ratio ».

    Exemple
        >>> round(contrast("#000000", "#ffffff"))
        21
    """

    def luminance(colour):
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
