"""L’ordre des passes : une table, étape par étape.

Une passe regarde tout le graphe ; elle compte souvent sur ce qu’une autre a laissé, d’où la raison
écrite à droite. Rien ne dépend de l’ordre des imports : changer une place, c’est changer cette
table. Dans une étape, les passes viennent avant les règles, et les règles dans l’ordre de leur
fichier (`canonicalize`, `stabilize`, `specialize`).
"""

from engine.core.rewriting import PASSES

PASSES.update(
    canonicalize=(
        "branches_paresseuses",  # d’abord : ce qui n’appartient qu’à une branche y est encore seul
        "boucles_jumelles",  # avant d’épurer, qui les rendrait différentes
        "boucle_épurée",
    ),
    stabilize=("sortir_de_la_boucle",),
    specialize=(
        "histoire_oubliée",
        "tranche_d'abord",
        "formes_égales",  # ce qui est sûr,
        "formes_supposées",  # avant ce que l’on suppose
        "table_d'abord",  # lit les longueurs que les deux précédentes ont apprises
        "lecture_dans_la_boucle",
    ),
    fusion=(
        "vraisemblance_fondue",
        "fusion_des_boucles",
        "boucles_réunies",  # après : ce sont des boucles déjà fondues
        "corps_de_boucle",
    ),
    placement=("sur_le_gpu",),
    inplace=("sur_place",),  # en dernier : plus rien ne change ensuite
)
