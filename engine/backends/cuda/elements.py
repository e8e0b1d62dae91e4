"""Un élément, en mémoire et dans un calcul : les booléens et les nombres de 16 bits.

Un booléen est un octet ; un float16 ou un bfloat16, un mot de 16 bits, qui se calcule en float32.

Ordre de lecture : `computed`, `loaded`, `stored`.
"""

_FROM = {"bool": "({} != 0)", "float16": "from_half({})", "bfloat16": "from_brain({})"}
_TO = {"float16": "to_half({})", "bfloat16": "to_brain({})"}
HALVES = tuple(_TO)


def computed(dtype):
    """Le dtype dans lequel un élément de ce dtype se calcule.

    Exemple
        >>> computed("bfloat16"), computed("int32")
        ('float32', 'int32')
    """
    return "float32" if dtype in HALVES else dtype


def loaded(text, dtype):
    """Le texte de la valeur d’un élément lu en mémoire, dans `computed(dtype)`.

    Exemple
        >>> loaded("x[i]", "float16"), loaded("x[i]", "bool"), loaded("x[i]", "float32")
        ('from_half(x[i])', '(x[i] != 0)', 'x[i]')
    """
    return _FROM.get(dtype, "{}").format(text)


def stored(text, dtype):
    """Le texte de ce qu’on range en mémoire, d’une valeur de `computed(dtype)`.

    Exemple
        >>> stored("total", "bfloat16"), stored("total", "int32")
        ('to_brain(total)', 'total')
    """
    return _TO.get(dtype, "{}").format(text)
