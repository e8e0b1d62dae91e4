"""Regarder : imprimer, dessiner, déboguer, mesurer, éprouver.

Importe : core, ops.

Ordre de lecture : `printing`, `profiling`, `contract`, `testing` (`check_op`, `check_grads`,
`verify_grad`), `debug` (`DebugMode`, `NanGuardMode`) ; `drawing` et `d3viz` sont l’entrée des
dessins, que le cours fait.

On y vient changer ce qu’un graphe imprimé montre (`printing`), ajouter un `Watcher` (`debug`), ou
une vérification d’op (`testing`).
"""
