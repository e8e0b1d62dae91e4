"""Le zoo de modèles : des poids appris par les cellules mêmes du cours, livrés avec lui.

    >>> from course import zoo
    >>> sorted(zoo.cards()) == sorted(path.stem for path in zoo.FOLDER.glob("*.safetensors"))
    True

`storage` : `save`, `load`, `weights`, `cards`. `remaking` : refaire les poids d’une leçon,

    python -m course.zoo                                          les modèles livrés
    python -m course.zoo notebooks/07_reseau_convolutif.ipynb     réapprend ceux d’une leçon
"""

from course.zoo.storage import FOLDER, Card, cards, load, save, weights

__all__ = ["FOLDER", "Card", "cards", "load", "save", "weights"]
