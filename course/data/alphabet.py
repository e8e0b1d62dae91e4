"""Des textes aux nombres, et retour : `Alphabet`, un caractère par numéro."""

import numpy as np

from engine.core.errors import DataError

END = "¶"  # le caractère 0 : il commence et finit chaque texte


class Alphabet:
    """Les caractères d’un corpus, numérotés ; le numéro 0, « ¶ », marque le début et la fin.

    Paramètres
        texts : les textes dont on relève les caractères ; aucun ne contient « ¶ ».

    Attributs
        characters : liste des caractères, « ¶ » en tête, puis par ordre Unicode.

    Exemple
        >>> alphabet = Alphabet(["Albi", "Bali"])
        >>> alphabet.characters
        ['¶', 'A', 'B', 'a', 'b', 'i', 'l']
        >>> alphabet.encode("Ali"), alphabet.decode([1, 6, 5, 0])
        (array([0, 1, 6, 5, 0]), 'Ali')
    """

    def __init__(self, texts):
        found = set().union(*texts)
        if END in found:
            raise DataError(f"Alphabet : un texte contient « {END} », qui marque la fin des textes")
        self.characters = [END, *sorted(found)]
        self._ranks = {character: rank for rank, character in enumerate(self.characters)}

    def __len__(self):
        return len(self.characters)

    def encode(self, text, end=True):
        """Les numéros d’un texte, précédés d’un 0 ; suivis d’un 0 si `end`.

        Lève
            DataError : un caractère n’est pas dans l’alphabet.
        """
        unknown = sorted(set(text) - self._ranks.keys())
        if unknown:
            raise DataError(
                f"Alphabet : un caractère n’est pas dans l’alphabet : {' '.join(unknown)}",
                expected=" ".join(self.characters[1:]),
                received=text,
                hint="faites l'alphabet de tous les textes : Alphabet(textes)",
            )
        ranks = [self._ranks[character] for character in text]
        return np.array([0, *ranks, 0] if end else [0, *ranks])

    def decode(self, ranks):
        """Le texte de ces numéros, sans les 0."""
        return "".join(self.characters[rank] for rank in ranks if rank)
