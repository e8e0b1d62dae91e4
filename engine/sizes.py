"""Combien de lignes par dossier, le cœur d’abord : `python -m engine.sizes`.

Compte les lignes de code, de documentation et vides de chaque fichier Python du moteur. Le cœur a
un budget : au-delà, il ne se lirait plus en un week-end.
"""

import io
import tokenize
from pathlib import Path

CORE_BUDGET = 3000  # lignes de code de `engine/core`
ROOT = Path(__file__).parent


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


def folder_size(folder):
    """Rend (fichiers, lignes de code, de prose) d’un dossier."""
    counts = [count(path) for path in sorted(folder.rglob("*.py"))]
    return len(counts), sum(code for code, _ in counts), sum(prose for _, prose in counts)


def folders(root=ROOT):
    """Les dossiers du moteur, le cœur d’abord."""
    found = sorted(path.parent for path in root.glob("*/__init__.py"))
    return sorted(found, key=lambda path: path.name != "core")


def table(root=ROOT):
    """Rend le tableau des tailles, dossier par dossier."""
    lines = [f"{'dossier':12}{'fichiers':>9}{'code':>8}{'prose':>8}"]
    rows = [(folder.name, *folder_size(folder)) for folder in folders(root)]
    faces = [count(path) for path in root.glob("*.py")]
    rows.append(("(faces)", len(faces), *map(sum, zip(*faces, strict=True))))
    rows.append(("total", *map(sum, zip(*(row[1:] for row in rows), strict=True))))
    for name, files, code, prose in rows:
        said = f"   budget {CORE_BUDGET}, reste {CORE_BUDGET - code}" if name == "core" else ""
        lines.append(f"{name:12}{files:>9}{code:>8}{prose:>8}{said}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
