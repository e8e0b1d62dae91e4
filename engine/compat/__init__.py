"""Faire tourner, tel quel, un programme écrit pour Theano.

    python -m engine.compat programme.py [arguments]
    python -m engine.compat notebook.ipynb

ou, en tête d’un programme ou d’un notebook :

    import engine.compat
    engine.compat.install()

Après quoi `import theano` trouve nos modules sous leurs anciens noms.

Importe : core, ops, tensor, look.

Ordre de lecture : `table` (où mène chaque nom), `old_config`, `old_calls`, `old_modules`,
`running`.
"""

from engine.compat.old_config import CONFIG
from engine.compat.old_modules import install, uninstall
from engine.compat.running import run
