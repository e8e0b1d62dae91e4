"""La typographie française : une seule règle, appliquée aux messages, vérifiée dans les carnets.

`typeset`, la règle, est celle des messages du moteur (`engine.core.typeset`). `files` : la même
pour Markdown, Python et carnets, où elle ajoute les espaces oubliées.

    python -m course.typography README.md course/*.py notebooks/*.ipynb
"""

from engine.core.typeset import NBSP, NNBSP, typeset

__all__ = ["NBSP", "NNBSP", "typeset"]
