"""`python -m course.zoo` : les modèles livrés ; avec des leçons, réapprend leurs poids."""

import sys
from pathlib import Path

from course.typography import typeset
from course.zoo.remaking import remake
from course.zoo.storage import cards
from engine.core.errors import EngineError


def show():
    """Une ligne par modèle : nom, taille, nombre de paramètres, ce qui en est dit."""
    for name, card in cards().items():
        about = " ; ".join(f"{key} : {value}" for key, value in card.about.items())
        print(typeset(f"{name} ({card.size / 1000:.0f} ko) : {about}"))


def main(paths):
    """La commande ; voir l’en-tête."""
    try:
        for path in map(Path, paths):
            remake(path)
        show()
    except EngineError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
