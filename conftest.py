"""Chaque test, doctests compris, retrouve les réglages du moteur tels qu’au démarrage.

Aucun ne lit ni n’écrit la progression de la personne qui les lance, même dans un autre processus.
"""

import os

import pytest

from course.grading.progress import NONE, VARIABLE
from engine.core.settings import config

os.environ[VARIABLE] = NONE


@pytest.fixture(autouse=True)
def _restore_settings():
    with config.change_flags():
        yield
