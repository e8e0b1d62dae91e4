"""Les données du cours, lues depuis `datasets/` (`mnist`), et les flux de minilots."""

from engine.data.mnist_dataset import MNIST, Split, mnist
from engine.data.padding import Padded, pad
from engine.data.prefetching import Prefetched
from engine.data.streams import Batches, Mapped

__all__ = ["MNIST", "Batches", "Mapped", "Padded", "Prefetched", "Split", "mnist", "pad"]
