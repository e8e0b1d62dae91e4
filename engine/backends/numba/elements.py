"""Lire et écrire un élément par son rang, sans vérification ni indice négatif.

Le texte de ce fichier est recopié dans les noyaux : le compilateur y voit des adresses qui se
suivent, et traite plusieurs éléments à la fois.
"""

from numba import types
from numba.extending import intrinsic


@intrinsic
def read(context, array, position):
    """L’élément de rang donné d’un tableau contigu."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        return context.unpack_value(builder, signature.return_type, place)

    return array.dtype(array, types.int64), generate


@intrinsic
def write(context, array, position, value):
    """Écrit l’élément de rang donné d’un tableau contigu."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        context.pack_value(
            builder, signature.args[2], arguments[2], builder.gep(data, [arguments[1]])
        )
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), generate
