"""Les textes livrés avec le cours, et leur passage en nombres."""

import shutil
from itertools import chain

import numpy as np
import pytest

from course.data import Alphabet, communes
from course.data.town_names import PATH
from engine.core.errors import DataError


@pytest.fixture(scope="module")
def names():
    return communes()


def test_each_name_is_in_one_split_only(names):
    assert list(map(len, names)) == [26_189, 3_273, 3_273]
    assert len({*names.train, *names.valid, *names.test}) == sum(map(len, names)) == 32_735
    assert {"Paris", "L'Haÿ-les-Roses", "Y"} <= {*names.train, *names.valid, *names.test}


def test_the_seed_decides_the_split(names):
    assert communes() == names
    other = communes(seed=1)
    assert other.test != names.test and {*chain(*other)} == {*chain(*names)}


def test_a_damaged_file_is_named(tmp_path):
    folder = shutil.copytree(PATH.parent, tmp_path / "communes")
    path = folder / PATH.name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=PATH.name) as caught:
        communes(path)
    assert "git checkout -- datasets/communes" in caught.value.hint


def test_encoding_is_undone_by_decoding(names):
    alphabet = Alphabet(names.train)
    for name in names.train[:200]:
        code = alphabet.encode(name)
        assert code[0] == code[-1] == 0 and len(code) == len(name) + 2
        assert alphabet.decode(code) == name
        assert np.array_equal(alphabet.encode(name, end=False), code[:-1])
    assert len(alphabet) == len(alphabet.characters) == len(set(alphabet.characters))


def test_unknown_characters_are_named():
    alphabet = Alphabet(["abc"])
    with pytest.raises(DataError, match="é ü"):
        alphabet.encode("aéüé")
    with pytest.raises(DataError, match="¶"):
        Alphabet(["ab¶c"])
