"""`lecture/lenet.py` est un programme : test_lenet l’exécute, la collecte des doctests non."""

collect_ignore = ["lecture/lenet.py"]
