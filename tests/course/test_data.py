"""Les données livrées avec le cours, et ce qui est dit quand leurs fichiers sont abîmés."""

import shutil

import numpy as np
import pytest

from course.data import mnist
from course.data.mnist_dataset import FOLDER
from engine.core.errors import DataError

TEST_IMAGES = "t10k-images-idx3-ubyte.gz"


@pytest.fixture(scope="module")
def digits():
    return mnist()


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "mnist")


def test_three_splits(digits):
    for split, n in zip(digits, (50_000, 10_000, 10_000), strict=True):
        assert split.x.shape == (n, 784) and split.x.dtype == np.float32
        assert split.y.shape == (n,) and split.y.dtype == np.int64
        assert split.x.min() == 0 and split.x.max() == np.float32(255 / 256)
        assert set(split.y) == set(range(10))


def test_examples_are_in_the_order_of_the_files(digits):
    assert digits.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert digits.valid.y[:5].tolist() == [3, 8, 6, 9, 6]
    assert digits.test.y[:5].tolist() == [7, 2, 1, 0, 4]


def test_pixels_are_the_bytes_over_256(digits):
    # La sixième ligne du premier 5 : les premiers pixels d’encre du fichier.
    row = digits.train.x[0].reshape(28, 28)[5]
    ink = [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]
    np.testing.assert_array_equal(row[12:24] * 256, ink)
    assert not row[:12].any() and not row[24:].any()


def test_rows_can_be_written(digits):
    digits.test.x[0, 0] += 0.5  # les tableaux sont à qui les demande, pas en lecture seule
    digits.test.x[0, 0] -= 0.5


def test_damaged_file_is_named(copy):
    path = copy / TEST_IMAGES
    damaged = bytearray(path.read_bytes())
    damaged[100_000] ^= 1  # un seul bit
    path.write_bytes(damaged)
    with pytest.raises(DataError) as caught:
        mnist(copy)
    error = caught.value
    assert error.where == path
    assert str(error).replace(str(copy), "datasets/mnist").splitlines() == [
        "mnist : le fichier t10k-images-idx3-ubyte.gz est abîmé",
        "  Attendu : SHA-256 1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
        f"  Reçu : {error.received}",
        f"  Où : datasets/mnist/{TEST_IMAGES}",
        "  À essayer : restaurer les fichiers du cours par `git checkout -- datasets/mnist`, "
        "ou retélécharger le cours",
    ]
    assert error.received.endswith("(1616508 octets)")


def test_truncated_file_is_named(copy):
    path = copy / TEST_IMAGES
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=TEST_IMAGES) as caught:
        mnist(copy)
    assert "1000 octets" in caught.value.received
    assert "git checkout -- datasets/mnist" in caught.value.hint


@pytest.mark.parametrize("name", ["SHA256SUMS", TEST_IMAGES, "train-labels-idx1-ubyte.gz"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(DataError, match=name) as caught:
        mnist(copy)
    assert caught.value.where == copy / name
    assert "git checkout -- datasets/mnist" in caught.value.hint
    assert isinstance(caught.value, OSError)  # ce qu’un habitué de Python attraperait


def test_file_absent_from_the_sums_is_refused(copy):
    sums = (copy / "SHA256SUMS").read_text().splitlines()
    (copy / "SHA256SUMS").write_text("\n".join(sums[1:]))
    with pytest.raises(DataError, match=TEST_IMAGES) as caught:
        mnist(copy)
    assert "SHA256SUMS" in caught.value.expected
