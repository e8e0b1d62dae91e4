"""Les morceaux de SVG que partagent les dessins des widgets.

Noms publics : `document`, `text`.
"""

import html

from engine.typography import typeset
from engine.viz import palette


def document(width, height, label, body):
    """Renvoie le SVG entier : fond du thème, police du cours, `label` pour les lecteurs d’écran."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:g}" '
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
