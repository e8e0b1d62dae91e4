"""Combien de lignes par étage : `python -m engine.sizes`.

Compte les lignes de code, de documentation et vides de chaque fichier Python du moteur.
"""

import io
import tokenize
from pathlib import Path

FLOORS = {
    "F0  réglages, erreurs": (
        "settings", "turns", "dtypes", "errors", "contract", "files", "named_arrays", "typography",
        "trace",
    ),
    "F1a graphe, types": (
        "graph", "types", "sharedvalue", "updates", "fgraph", "printing", "scalars", "polynomials",
    ),
    "F1b ops": ("ops",),
    "F2  tensor": ("tensor",),
    "F3  gradient": ("dead_gradients", "gradient", "exact_types"),
    "F4  boucles et branches": ("control",),
    "F5  réécriture": ("rewriting",),
    "F5  dos de calcul": ("backends",),
    "F6  compilation": ("modes", "profiling", "sections", "emission", "compiler"),
    "F7  vérification": ("testing", "debug"),
    "F8  le cours": (
        "nn", "data", "book", "drawing", "viz", "d3viz", "grading", "zoo", "compat", "io",
        "cache", "sizes",
    ),
}  # fmt: skip


def count(path):
    """Rend (lignes de code, lignes de documentation et commentaires) d’un fichier."""
    text = path.read_text(encoding="utf-8")
    code, prose = set(), set()
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        rows = range(token.start[0], token.end[0] + 1)
        if token.type in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        docstring = token.type == tokenize.STRING and previous in (
            tokenize.NEWLINE,
            tokenize.INDENT,
        )
        if token.type == tokenize.COMMENT or docstring:
            prose.update(rows)
        elif token.type != tokenize.NEWLINE:
            code.update(rows)
        previous = token.type
    return len(code), len(prose - code)


def table(root=Path(__file__).parent):
    """Rend le tableau des tailles, étage par étage, fichier par fichier."""
    lines = [f"{'étage':26}{'fichiers':>9}{'code':>7}{'prose':>7}"]
    total = [0, 0, 0]
    for floor, names in FLOORS.items():
        files = [file for name in names for file in _files(root, name)]
        counts = [count(file) for file in files]
        row = [len(files), sum(code for code, _ in counts), sum(prose for _, prose in counts)]
        total = [a + b for a, b in zip(total, row, strict=True)]
        lines.append(f"{floor:26}{row[0]:>9}{row[1]:>7}{row[2]:>7}")
    lines.append(f"{'total':26}{total[0]:>9}{total[1]:>7}{total[2]:>7}")
    return "\n".join(lines)


def _files(root, name):
    path = root / name
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


if __name__ == "__main__":
    print(table())
