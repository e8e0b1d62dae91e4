"""Le cache des noyaux du GPU, le temps d’un fichier de tests."""

import pytest

from engine import config


@pytest.fixture(scope="module")
def kernels_folder(tmp_path_factory):
    """Un dossier de cubins pour tout un fichier de tests."""
    return str(tmp_path_factory.mktemp("cubins"))


@pytest.fixture
def kernels_of_the_file(kernels_folder):
    """Le temps d’un test, le cache des noyaux est ce dossier."""
    with config.change_flags(cache_dir=kernels_folder):
        yield
