"""Les données du cours, lues depuis `datasets/` : `mnist`."""

from engine.data.mnist_dataset import MNIST, Split, mnist

__all__ = ["MNIST", "Split", "mnist"]
