"""Des programmes tirés au sort, calculés par le moteur et par NumPy, puis comparés.

Le juge ne partage aucun code avec ce qu’il juge. Un programme faux est réduit, puis imprimé, prêt à
être relancé.

- `campaign` : ce que toute campagne partage (graines, comptes, réduction, ligne de commande) ;
- `program` : un programme, une donnée que l’on peut imprimer, exécuter et réduire ;
- `oracle` : le même programme en NumPy, arrondi, large ou perturbé, et ses différences finies ;
- `catalogue` : une ligne une fonction publique, ce qu’elle prend et ce qu’elle vaut en NumPy ;
- `judge` : l’épreuve d’un programme dans tous les modes ;
- `graphs` : tirer des graphes ; `python -m tests.random_programs.graphs --seed 0 --count 1000` ;
- `loop_programs`, `loop_oracle`, `loops` : de même pour des boucles (`scan` et les siens), chacune
  contre la même récurrence faite par NumPy.

Pour ajouter une fonction : une ligne de `catalogue`. Pour un type d’entrée ou une disposition en
mémoire : `program.LAYOUTS`, `graphs.Maker.fresh`. Pour une épreuve de plus : `judge`.
"""
