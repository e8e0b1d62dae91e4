"""La règle : espaces insécables et apostrophes, là où l’usage français les veut.

U+00A0 dans « » et devant « : », U+202F devant « ; ? ! », U+2019 pour l’apostrophe. Ce qui est entre
accents graves (du code) n’est pas touché.

Source : Lexique des règles typographiques en usage à l’Imprimerie nationale.
"""

import re

NBSP, NNBSP = "\u00a0", "\u202f"

HOLD = "\ue000"  # tient la place d’un passage protégé : usage privé d’Unicode
RULES = [
    (re.compile(rf"(?<=\w)'(?=[^\W\d_]|\u00ab|\*|_|{HOLD})"), "\u2019"),
    (re.compile(r"\u00ab[ \u00a0\u202f]?"), "\u00ab" + NBSP),
    (re.compile(r"[ \u00a0\u202f]?\u00bb"), NBSP + "\u00bb"),
    (re.compile(r"[ \u202f](?=:(?:\s|$))"), NBSP),
    (re.compile(r"[ \u00a0](?=[;?!](?![=\w]))"), NNBSP),
]
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def typeset(text):
    """Rend `text` avec la typographie française ; le code entre accents graves reste tel quel.

    Exemple
        >>> typeset("l'axe « x » : trop long !").replace("\\u00a0", "_").replace("\\u202f", "-")
        'l’axe «_x_»_: trop long-!'
    """
    return apply(RULES, text, CODE)


def apply(rules, text, protected):
    """Applique des couples (motif, remplacement) à `text`, hors de ce que `protected` désigne."""
    kept = []

    def hold(match):
        kept.append(match.group())
        return HOLD

    text = protected.sub(hold, text)
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    pieces = iter(kept)
    return re.sub(HOLD, lambda _: next(pieces), text)
