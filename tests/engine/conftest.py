"""Chaque test du moteur retrouve les réglages tels que le précédent les avait trouvés."""

import pytest

from engine import config


@pytest.fixture(autouse=True)
def _settings_are_restored():
    with config.change_flags():
        yield
