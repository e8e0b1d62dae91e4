"""Une image fixe et son texte de remplacement, qui restent visibles partout.

Un SVG écrit tel quel disparaît d’un notebook non approuvé, et les métadonnées `alt` des images
sont ignorées par JupyterLab comme par nbconvert ; un `<img alt="..." src="data:...">` dans
`text/html` reste, avec son texte. C’est ce que rend `Picture`.

Noms publics : `Picture`, `SideBySide`, `Placeholder`, `decimal`.
"""

import base64
import html
import math
import pathlib

from course.typography import typeset

_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Picture:
    """Image fixe (SVG ou PNG), avec son texte de remplacement obligatoire.

    Paramètres
        content : le texte SVG, ou les octets d’un PNG.
        alt : ce que l’image montre, en une ou deux phrases.
        kind : "svg" ou "png".
        width : largeur affichée en pixels, ou None pour celle de l’image.

    Exemple
        >>> Picture("<svg/>", alt="Rien du tout.")
        <image : Rien du tout.>
    """

    def __init__(self, content, alt, kind="svg", width=None):
        if not alt or not alt.strip():
            raise ValueError(typeset("une image du cours a un texte de remplacement : alt=..."))
        self.content = content.encode() if isinstance(content, str) else bytes(content)
        self.alt = typeset(alt.strip())
        self.kind = kind
        self.width = width

    def __repr__(self):
        return f"<image\u00a0: {self.alt}>"

    def _repr_html_(self):
        source = base64.b64encode(self.content).decode("ascii")
        width = f"width:{self.width}px;" if self.width else ""
        return (
            f'<img alt="{html.escape(self.alt)}" src="data:{_TYPES[self.kind]};base64,{source}" '
            f'style="{width}max-width:100%;height:auto;"/>'
        )

    def save(self, path):
        """Écrit l’image dans `path` ; le suffixe doit être celui de sa nature (.svg, .png)."""
        path = pathlib.Path(path)
        if path.suffix != f".{self.kind}":
            raise ValueError(typeset(f"cette image s’écrit en .{self.kind}, pas en {path.suffix}"))
        path.write_bytes(self.content)


class SideBySide:
    """Des images côte à côte, l’une sous l’autre si la page est étroite.

    Exemple
        >>> pair = SideBySide(Picture("<svg/>", "Avant."), Picture("<svg/>", "Après."))
        >>> pair._repr_html_().count("<img")
        2
    """

    def __init__(self, *pictures):
        self.pictures = pictures

    def __repr__(self):
        return " ".join(map(repr, self.pictures))

    def _repr_html_(self):
        style = "display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start"
        cells = "".join(
            f'<div style="flex:1 1 320px">{p._repr_html_()}</div>' for p in self.pictures
        )
        return f'<div style="{style}">{cells}</div>'


class Placeholder:
    """Une phrase à la place d’une image qui n’existe pas encore.

    Exemple
        >>> Placeholder("Rien encore.")._repr_html_()
        '<p>Rien encore.</p>'
    """

    def __init__(self, text):
        self.text = typeset(text)

    def __repr__(self):
        return f"<{self.text}>"

    def _repr_html_(self):
        return f"<p>{html.escape(self.text)}</p>"


def decimal(number, digits=3):
    """Écrit un nombre à la française : virgule décimale, signe moins, `digits` chiffres utiles.

    Exemple
        >>> decimal(3.14159), decimal(-12345.6), decimal(0.00001234)
        ('3,14', '−12346', '1,23·10⁻⁵')
    """
    number = float(number) + 0.0  # un zéro négatif devient un zéro
    if math.isnan(number):
        return "non défini"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    text = f"{number:.{digits}g}"
    if "e" in text and 1 <= abs(number) < 1e6:
        text = f"{number:.0f}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return text.replace(".", ",").replace("-", "−")
