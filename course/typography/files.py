"""La règle appliquée à des fichiers, où s’ajoutent les espaces oubliées (« quoi ? »).

`typeset_markdown` laisse intacts code, formules TeX, balises et adresses ; `typeset_python` ne
touche que docstrings et commentaires ; `typeset_notebook` traite les cellules de l’un et de
l’autre ; `typeset_file` choisit d’après le suffixe. La commande est dans `__main__`.
"""

import ast
import io
import json
import re
import tokenize
from pathlib import Path

from engine.core.typeset import CODE, HOLD, NBSP, NNBSP, RULES, apply

_FORGOTTEN = (re.compile(rf"(?<=[\w»)\]…{HOLD}])(?=[;?!](?:[\s*_»)]|$))"), NNBSP)
_FORGOTTEN_COLON = (re.compile(rf"(?<=[^\W\d_])(?=:(?:\s|$))|(?<={HOLD})(?=:(?:\s|$))"), NBSP)

_MARKDOWN = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)[`~]*\s*?$"  # blocs de code
    r"|(?P<ticks>`+).*?(?P=ticks)"  # code en ligne
    r"|\$\$.*?\$\$|\$[^$\n]+?\$|\\begin\{(\w+\*?)\}.*?\\end\{\3\}"  # TeX
    r"|<!--.*?-->|</?[A-Za-z][^>]*>|&\w+;|&#\w+;"  # HTML
    r"|!\[|\]\([^)]*\)|https?://\S+",  # images, liens, adresses
    re.DOTALL | re.MULTILINE,
)
_DOCTEST = re.compile(r"^[ \t]*>>> .*?(?=^[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_DOCSTRING = re.compile(f"{_DOCTEST.pattern}|{CODE.pattern}", re.DOTALL | re.MULTILINE)
_TOOL_COMMENT = re.compile(r"#!|#+ *(?:noqa|type|ruff|fmt|pragma|%%|BEGIN |END )")


def typeset_markdown(text):
    """La même règle pour du Markdown : code, TeX, balises et adresses restent tels quels.

    Exemple
        >>> typeset_markdown("Vu? Oui: `a ?` et $x ;$").replace("\\u00a0", "_")
        'Vu\\u202f? Oui_: `a ?` et $x ;$'
    """
    return apply([*RULES, _FORGOTTEN, _FORGOTTEN_COLON], text, _MARKDOWN)


def typeset_python(source):
    """Rend le programme `source` avec ses docstrings et ses commentaires mis en forme."""
    lines = source.splitlines(keepends=True)
    starts = _docstring_starts(source)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        if token.type == tokenize.COMMENT and not _TOOL_COMMENT.match(token.string):
            protected = CODE
        elif token.type == tokenize.STRING and token.start in starts:
            protected = _DOCSTRING
        else:
            continue
        _splice(lines, token, apply([*RULES, _FORGOTTEN], token.string, protected))
    return "".join(lines)


def typeset_notebook(text):
    """Rend le carnet (le JSON de son fichier) avec ses cellules mises en forme."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source = typeset_markdown(source)
        elif cell["cell_type"] == "code":
            source = _typeset_cell(source)
        cell["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def typeset_file(path):
    """Le texte du fichier `path`, mis en forme selon son suffixe (.md, .py ou .ipynb)."""
    text = Path(path).read_text(encoding="utf-8")
    kinds = {".md": typeset_markdown, ".py": typeset_python, ".ipynb": typeset_notebook}
    return kinds[Path(path).suffix](text)


def _docstring_starts(source):
    """Les positions (ligne, colonne) des docstrings de `source`."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    firsts = [n.body[0] for n in ast.walk(ast.parse(source)) if isinstance(n, holders) and n.body]
    return {
        (first.lineno, first.col_offset)
        for first in firsts
        if isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    }


def _splice(lines, token, replacement):
    (first, start), (last, end) = token.start, token.end
    whole = lines[first - 1][:start] + replacement + lines[last - 1][end:]
    lines[first - 1 : last] = whole.splitlines(keepends=True)


def _typeset_cell(source):
    try:
        return typeset_python(source)
    except (SyntaxError, tokenize.TokenError):  # une commande magique de Jupyter
        return source
