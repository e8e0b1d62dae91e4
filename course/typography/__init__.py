"""La typographie française : une seule règle, appliquée aux messages, vérifiée dans les carnets.

`rules` : `typeset`, la règle. `files` : la même pour Markdown, Python et carnets.

    python -m course.typography README.md engine/*.py notebooks/*.ipynb
"""

from engine.core.typeset import NBSP, NNBSP, typeset

__all__ = ["NBSP", "NNBSP", "typeset"]
