"""Chaque test, doctests compris, retrouve les réglages du moteur tels qu’au démarrage."""

import pytest

from engine.settings import config


@pytest.fixture(autouse=True)
def _restore_settings():
    with config.change_flags():
        yield
