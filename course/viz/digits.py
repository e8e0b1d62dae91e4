"""Un dessin à la main, préparé comme ceux de MNIST.

Les auteurs de MNIST mettaient chaque chiffre dans une boîte de 20 pixels sans le déformer, puis
plaçaient son centre de masse au milieu d’une image de 28 × 28 ; les gris viennent de la réduction.
Un réseau qui n’a vu que de telles images se trompe sur les autres.

Nom public : `prepare_digit`.

Source : Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits*, 1998.
"""

import numpy as np

SIDE, BOX = 28, 20
FAINT = 0.1  # une encre plus pâle n’agrandit pas la boîte


def prepare_digit(ink):
    """Ramène un dessin de taille quelconque à une image de MNIST.

    Paramètres
        ink : tableau (lignes, colonnes), de 0 (papier) à 1 (encre).

    Renvoie
        un tableau float32 (28, 28), de 0 à 255/256 ; tout à zéro si rien n’est dessiné.

    Exemple
        >>> ink = np.zeros((140, 140))
        >>> ink[10:110, 30:40] = 1  # un trait droit, loin du milieu
        >>> rows, columns = np.nonzero(prepare_digit(ink))
        >>> rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()
        (4, 23, 14, 15)
    """
    ink = np.asarray(ink, dtype=np.float64)
    rows, columns = np.nonzero(ink > FAINT)
    if not rows.size:
        return np.zeros((SIDE, SIDE), np.float32)
    spans = [(axis.min(), axis.max() + 1) for axis in (rows, columns)]
    pixel = max(high - low for low, high in spans) / BOX  # côté d’un pixel de l’arrivée
    down, across = (
        _averages(ink.sum(axis=1 - axis), span, pixel) for axis, span in enumerate(spans)
    )
    levels = np.clip(np.rint(256 * (down @ ink @ across.T)), 0, 255)
    return (levels / 256).astype(np.float32)


def _averages(profile, span, pixel):
    """La matrice qui moyenne, le long d’un axe, ce que couvre chacun des 28 pixels d’arrivée.

    Réduire, déplacer et couper se font ainsi en un seul produit. La boîte avance d’un nombre entier
    de pixels, qui amène le centre de masse au plus près du pixel 14 : dans MNIST, il est toujours
    entre 13,5 et 14,5.
    """
    low, high = span
    centre = np.average(np.arange(low, high) + 0.5, weights=profile[low:high])
    shift = np.rint(SIDE / 2 + 0.5 - (centre - low) / pixel)
    shift = np.clip(shift, 0, SIDE - np.ceil((high - low) / pixel))  # la boîte reste dans l’image
    edges = (low + pixel * (np.arange(SIDE + 1) - shift))[:, None]
    cells = np.arange(len(profile))
    shared = np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)
    return np.maximum(shared, 0) / pixel
