"""Les données du cours, lues depuis `datasets/`, et les flux de minilots.

Des images : `mnist`. Des textes : `communes`, `sentences` et la grammaire qui les tire
(`course_grammar`), `Alphabet` pour en faire des nombres. Des flux : `Batches`, puis `Padded`,
`Prefetched`.
"""

from course.data.alphabet import Alphabet
from course.data.grammar import Grammar, Sentences, course_grammar, sentences
from course.data.mnist_dataset import MNIST, Split, mnist
from course.data.padding import Padded, pad
from course.data.prefetching import Prefetched
from course.data.streams import Batches, Mapped
from course.data.town_names import Communes, communes

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
