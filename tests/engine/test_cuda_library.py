"""Comment cuBLAS lit nos matrices : la colonne j commence au pas j, ses éléments se suivent."""

import itertools

import numpy as np
import pytest

from engine.backends.cuda.library import layout

ROWS_AND_COLUMNS = list(itertools.product((1, 2, 5), repeat=2))


@pytest.mark.parametrize(("rows", "columns"), ROWS_AND_COLUMNS)
@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_the_columns_cublas_reads_are_ours(rows, columns, gap, flip):
    stored = np.arange((rows + gap) * (columns + gap)).reshape(rows + gap, columns + gap)
    x = stored[:rows, :columns]
    x = x.T if flip else x
    transposed, step = layout(x.shape, [s // x.itemsize for s in x.strides])
    height, width = x.shape if transposed else x.shape[::-1]
    assert step >= height
    read = np.array([[stored.ravel()[i + j * step] for j in range(width)] for i in range(height)])
    assert np.array_equal(read if transposed else read.T, x)


@pytest.mark.parametrize("strides", [(6, 2), (-3, 1), (0, 1), (1, 0)])
def test_what_cublas_cannot_read_is_copied(strides):
    assert layout((2, 3), strides) is None
