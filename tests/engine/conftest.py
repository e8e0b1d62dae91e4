"""Ce que les tests du moteur partagent : chacun retrouve les réglages tels que le précédent les avait."""

import pytest

from engine import config


@pytest.fixture(autouse=True)
def _settings_are_restored():
    with config.change_flags():
        yield
