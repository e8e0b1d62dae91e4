"""Un élément, en mémoire et dans un calcul : les booléens et les nombres de 16 bits.

Un booléen est un octet ; un float16 ou un bfloat16, un mot de 16 bits, qui se calcule en float32
(`dtypes.widened`).

Ordre de lecture : `loaded`, `stored`.
"""

_FROM = {"bool": "({} != 0)", "float16": "from_half({})", "bfloat16": "from_brain({})"}
_TO = {"float16": "to_half({})", "bfloat16": "to_brain({})"}


def loaded(text, dtype):
    """Le texte de la valeur d’un élément lu en mémoire, dans `widened(dtype)`.

    Exemple
        >>> loaded("x[i]", "float16"), loaded("x[i]", "bool"), loaded("x[i]", "float32")
        ('from_half(x[i])', '(x[i] != 0)', 'x[i]')
    """
    return _FROM.get(dtype, "{}").format(text)


def stored(text, dtype):
    """Le texte de ce qu’on range en mémoire, d’une valeur de `widened(dtype)`.

    Exemple
        >>> stored("total", "bfloat16"), stored("total", "int32")
        ('to_brain(total)', 'total')
    """
    return _TO.get(dtype, "{}").format(text)
