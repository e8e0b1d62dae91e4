"""Les morceaux de SVG que partagent les dessins des widgets.

Noms publics : `document`, `text`.
"""

import html

from course.typography import typeset
from course.viz import palette


def document(width, height, label, body, role="img"):
    """Renvoie le SVG entier : fond du thème, police du cours, `label` pour les lecteurs d’écran.

    `role` vaut "group" quand le dessin contient des nœuds que le clavier atteint.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="{role}" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" font-family="{palette.FONT}" '
        f'font-size="13" aria-label="{html.escape(typeset(label))}">'
        f'<rect width="{width:g}" height="{height:g}" fill="{palette.BACKGROUND}"/>'
        f"{''.join(body)}</svg>"
    )


def text(x, y, content, *, size=13, anchor="middle", weight="normal", colour=palette.TEXT, slot=""):
    """Renvoie un texte ; `slot` nomme la case que le JavaScript remplira (`data-slot`)."""
    slot = f' data-slot="{slot}"' if slot else ""
    return (
        f'<text{slot} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}">{html.escape(typeset(content))}</text>'
    )


def vertical(x, y, content, **options):
    """Renvoie un texte qui monte, centré en (x, y) : le nom d’un axe."""
    return f'<g transform="rotate(-90 {x:g} {y:g})">{text(x, y, content, **options)}</g>'


def dashes(concept):
    """Renvoie l’attribut du pointillé d’une notion ; rien pour un trait plein."""
    dash = palette.concept(concept).dash
    return f' stroke-dasharray="{dash}"' if dash else ""


def arrowhead(name, colour):
    """Renvoie une pointe de flèche, à mettre dans `<defs>` et à poser par `marker-end`."""
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" '
        f'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0,0.5 L8,4 L0,7.5 z" fill="{colour}"/></marker>'
    )
