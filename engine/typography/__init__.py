"""La typographie française : une seule règle, appliquée aux messages, vérifiée dans les carnets.

`rules` : `typeset`, la règle. `files` : la même pour Markdown, Python et carnets.

    python -m engine.typography README.md engine/*.py notebooks/*.ipynb
"""

from engine.typography.rules import NBSP, NNBSP, typeset

__all__ = ["NBSP", "NNBSP", "typeset"]
