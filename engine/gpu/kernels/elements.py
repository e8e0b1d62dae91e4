"""Un élément, en mémoire et dans un calcul : les booléens et les nombres de 16 bits.

Un booléen est un octet. Un float16 se convertit, au pair le plus proche. Un bfloat16, que Numba ne
connaît pas, est un mot de 16 bits : la tête d’un float32. Les deux se calculent en float32
(`dtypes.widened`).

Le texte d’un noyau contient les fonctions qu’il appelle, prises dans `FUNCTIONS` : celles du
processeur, et celles d’ici, qui sont propres au GPU.

Ordre de lecture : `loaded`, `stored`, `FUNCTIONS`.
"""

import re

from engine.backends.scalar_text import POLYNOMIALS

_FROM = {"bool": "({} != 0)", "float16": "float32({})", "bfloat16": "from_brain({})"}
_TO = {"float16": "np.float16({})", "bfloat16": "to_brain({})"}


def loaded(text, dtype):
    """Le texte de la valeur d’un élément lu en mémoire, dans `widened(dtype)`.

    Exemple
        >>> loaded("x[i]", "float16"), loaded("x[i]", "bool"), loaded("x[i]", "float32")
        ('float32(x[i])', '(x[i] != 0)', 'x[i]')
    """
    return _FROM.get(dtype, "{}").format(text)


def stored(text, dtype):
    """Le texte de ce qu’on range en mémoire, d’une valeur de `widened(dtype)`.

    Exemple
        >>> stored("total", "bfloat16"), stored("total", "int32")
        ('to_brain(total)', 'total')
    """
    return _TO.get(dtype, "{}").format(text)


_OWN = '''
def float_of(bits):
    """Le float32 que disent ces 32 bits."""
    return cuda.libdevice.int_as_float(bits)


def bits_of(x):
    """Les 32 bits d’un float32."""
    return cuda.libdevice.float_as_int(x)


def rint32(x):
    """L’entier le plus proche, le pair au milieu de deux."""
    return cuda.libdevice.rintf(x)


def from_brain(word):
    """Le float32 d’un bfloat16 : ses 16 bits, puis des zéros."""
    return float_of(int32(int32(word) << int32(16)))


def to_brain(x):
    """Les 16 premiers bits de x, arrondi au bfloat16 pair le plus proche ; un NaN le reste."""
    bits = uint32(bits_of(x))
    if x != x:
        return uint16(bits >> uint32(16) | uint32(64))
    even = bits >> uint32(16) & uint32(1)
    return uint16((bits + uint32(0x7FFF) + even) >> uint32(16))
'''
FUNCTIONS = POLYNOMIALS | {  # nom -> texte
    re.match(r"def (\w+)", text)[1]: f"{text}\n" for text in _OWN.strip().split("\n\n\n")
}
