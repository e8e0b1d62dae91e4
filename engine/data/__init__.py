"""Les données du cours, lues depuis `datasets/`, et les flux de minilots.

Des images : `mnist`. Des textes : `communes`, `sentences` et la grammaire qui les tire
(`course_grammar`), `Alphabet` pour en faire des nombres. Des flux : `Batches`, puis `Padded`,
`Prefetched`.
"""

from engine.data.alphabet import Alphabet
from engine.data.grammar import Grammar, Sentences, course_grammar, sentences
from engine.data.mnist_dataset import MNIST, Split, mnist
from engine.data.padding import Padded, pad
from engine.data.prefetching import Prefetched
from engine.data.streams import Batches, Mapped
from engine.data.town_names import Communes, communes

__all__ = [
    "MNIST",
    "Alphabet",
    "Batches",
    "Communes",
    "Grammar",
    "Mapped",
    "Padded",
    "Prefetched",
    "Sentences",
    "Split",
    "communes",
    "course_grammar",
    "mnist",
    "pad",
    "sentences",
]
