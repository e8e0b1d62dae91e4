"""MNIST : 70 000 chiffres écrits à la main, lus depuis `datasets/mnist`.

`mnist()` rend `MNIST(train, valid, test)`, trois `Split(x, y)`. Les fichiers sont ceux d’origine
(format idx, gzip) ; chacun est comparé à son empreinte SHA-256 avant d’être lu, si bien qu’un
fichier abîmé est nommé au lieu de fausser un apprentissage.

Source : Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits*, 1998.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

from course.data.shipped import DATASETS, read_shipped, restoring
from engine.core.errors import DataError

FOLDER = DATASETS / "mnist"
N_TRAIN = 50_000  # les 10 000 suivantes valident
UNSIGNED_BYTE = 0x08  # le code du type dans l’en-tête idx


class Split(NamedTuple):
    """Un jeu d’exemples : `x`, une image par ligne, et `y`, son étiquette.

    Champs
        x : float32 de forme (n, 784), valeurs dans [0, 1[, ligne par ligne de l’image 28 × 28.
        y : int64 de forme (n,), chiffres de 0 à 9.
    """

    x: np.ndarray
    y: np.ndarray


class MNIST(NamedTuple):
    """Les trois jeux : entraînement (50 000), validation (10 000), test (10 000)."""

    train: Split
    valid: Split
    test: Split


def mnist(folder=FOLDER):
    """Lit MNIST, pixels divisés par 256, en trois jeux de 50 000, 10 000 et 10 000 images.

    On divise par 256 et non par 255 comme les tutoriels dont le cours est issu : leurs taux
    d’erreur se retrouvent alors à l’identique, et la division est exacte en float32.

    Paramètres
        folder : le dossier des quatre fichiers `.gz` et de `SHA256SUMS`.

    Renvoie
        `MNIST(train, valid, test)`, chacun un `Split(x, y)`.

    Lève
        DataError : un fichier manque ou n’est plus celui d’origine ; l’erreur le nomme.

    Source : LeCun, Bottou, Bengio, Haffner, *Gradient-based learning applied to document
    recognition*, 1998 ; découpage des Deep Learning Tutorials de deeplearning.net.

    Exemple
        >>> train, valid, test = mnist()
        >>> train.x.shape, valid.x.shape, test.y.shape
        ((50000, 784), (10000, 784), (10000,))
        >>> train.y[:5]
        array([5, 0, 4, 1, 9])
    """
    folder = Path(folder)
    full = _read_split(folder, "train")
    return MNIST(
        train=Split(full.x[:N_TRAIN], full.y[:N_TRAIN]),
        valid=Split(full.x[N_TRAIN:], full.y[N_TRAIN:]),
        test=_read_split(folder, "t10k"),
    )


def _read_split(folder, stem):
    pixels = _read_idx(folder / f"{stem}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{stem}-labels-idx1-ubyte.gz")
    x = np.multiply(pixels.reshape(len(pixels), -1), np.float32(1 / 256), dtype=np.float32)
    return Split(x, labels.astype(np.int64))


def _read_idx(path):
    """Le tableau d’un fichier idx.

    En-tête : deux octets nuls, le type, le nombre d’axes, puis leurs tailles en entiers de 32 bits,
    octet fort d’abord.
    """
    data = gzip.decompress(read_shipped(path))
    type_code, ndim = data[2], data[3]
    if type_code != UNSIGNED_BYTE:
        raise DataError(
            f"MNIST : le fichier {path.name} ne contient pas des octets",
            expected=f"type idx 0x{UNSIGNED_BYTE:02x}",
            received=f"type idx 0x{type_code:02x}",
            where=path,
            hint=restoring(path.parent),
        )
    shape = np.frombuffer(data, dtype=">u4", count=ndim, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * ndim).reshape(shape)
