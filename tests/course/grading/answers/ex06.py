"""Les réponses essayées à l’exercice 06, justes et fausses (`test_answers`)."""

POINTS = {"q1": 3, "q2": 3, "q3": 4}
DTYPES = {0: "float64", 1: "float32", 2: "float32"}
HEAD = "import engine\nimport engine.tensor as T\n"
COST = HEAD + "def log_vraisemblance_negative(p, y):\n    return "
MOVE = HEAD + "def mises_a_jour(cout, parametres, taux):\n"
SLOPES = MOVE + "    g = engine.grad(cout, parametres)\n    return "
STOP = (
    "def iteration_d_arret(erreurs, periode, patience, augmentation, seuil):\n"
    "    meilleure = float('inf')\n"
    "    for rang, erreur in enumerate(erreurs, {first}):\n"
    "        i = rang * periode\n"
    "        if {progress}:\n"
    "            patience = {longer}\n"
    "        if {better}:\n"
    "            meilleure = erreur\n"
    "        if {done}:\n"
    "            return {answer}\n"
    "    return len(erreurs) * periode\n"
)
RULE = dict(
    first=1,
    progress="erreur < seuil * meilleure",
    longer="max(patience, i * augmentation)",
    better="erreur < meilleure",
    done="patience <= i",
    answer="i",
)


def stopping(**changes):
    return STOP.format(**{**RULE, **changes})


RIGHT = {
    "logarithme, puis indice": ("q1", COST + "-T.mean(T.log(p)[T.arange(y.shape[0]), y])"),
    "indice, puis logarithme": ("q1", COST + "-T.log(p[T.arange(p.shape[0]), y]).mean()"),
    "somme divisée": ("q1", COST + "-T.sum(T.log(p)[T.arange(y.shape[0]), y]) / y.shape[0]"),
    "logarithme de l’inverse": ("q1", COST + "T.mean(T.log(1 / p)[T.arange(y.shape[0]), y])"),
    "un seul vrai": (
        "q1",
        COST + "-T.mean(T.sum(T.eq(T.arange(p.shape[1]), y[:, None]) * T.log(p), axis=1))",
    ),
    "toute faite": ("q1", COST + "T.nnet.categorical_crossentropy(p, y).mean()"),
    "compréhension": ("q2", SLOPES + "[(p, p - taux * d) for p, d in zip(parametres, g)]"),
    "dictionnaire": ("q2", SLOPES + "{p: p - taux * d for p, d in zip(parametres, g)}"),
    "à l’envers": ("q2", SLOPES + "[(p, p - d * taux) for p, d in zip(parametres, g)][::-1]"),
    "listes": ("q2", SLOPES + "[[p, p + (-taux) * d] for p, d in zip(parametres, g)]"),
    "un gradient à la fois": (
        "q2",
        MOVE + "    return [(p, p - taux * engine.grad(cout, p)) for p in parametres]",
    ),
    "la règle": ("q3", stopping()),
    "gain relatif": ("q3", stopping(progress="not erreur >= meilleure * seuil")),
    "sans max": ("q3", stopping(longer="sorted([patience, i * augmentation])[1]")),
    "meilleure par min": ("q3", stopping(better="min(erreur, meilleure) == erreur")),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "somme": ("q1", COST + "-T.sum(T.log(p)[T.arange(y.shape[0]), y])", 1, "la moyenne"),
    "moins oublié": ("q1", COST + "T.mean(T.log(p)[T.arange(y.shape[0]), y])", 0, "signe"),
    "logarithme oublié": ("q1", COST + "-T.mean(p[T.arange(y.shape[0]), y])", 0, "logarithme"),
    "toutes les classes": ("q1", COST + "-T.mean(T.log(p))", 0, "toutes les classes"),
    "moyenne sur les classes aussi": (
        "q1",
        COST + "-T.mean(T.eq(T.arange(p.shape[1]), y.dimshuffle(0, 'x')) * T.log(p))",
        0,
        "aussi sur les classes",
    ),
    "indices retournés": ("q1", COST + "-T.mean(T.log(p)[y, T.arange(y.shape[0])])", 1, "Pour"),
    "colonnes entières": ("q1", COST + "-T.mean(T.log(p)[:, y])", 1, "Pour"),
    "pas de moyenne": ("q1", COST + "-T.log(p)[T.arange(y.shape[0]), y]", 0, "un seul nombre"),
    "classe la plus probable": ("q1", COST + "-T.mean(T.log(T.max(p, axis=1)))", 1, "Pour"),
    "logarithme de la moyenne": (
        "q1",
        COST + "-T.log(T.mean(p[T.arange(y.shape[0]), y]))",
        1,
        "avant la moyenne",
    ),
    "un nombre, pas une expression": ("q1", COST + "0.5", 0, "Pour"),
    "signe +": ("q2", SLOPES + "[(p, p + taux * d) for p, d in zip(parametres, g)]", 0, "monté"),
    "taux oublié": ("q2", SLOPES + "[(p, p - d) for p, d in zip(parametres, g)]", 0, "taux"),
    "le pas seul": ("q2", SLOPES + "[(p, -taux * d) for p, d in zip(parametres, g)]", 0, "le pas"),
    "b oublié": ("q2", SLOPES + "[(parametres[0], parametres[0] - taux * g[0])]", 1, "pas bougé"),
    "liste vide": ("q2", MOVE + "    return []", 0, "pas bougé"),
    "gradients échangés": (
        "q2",
        SLOPES + "[(p, p - taux * d) for p, d in zip(parametres, g[::-1])]",
        0,
        "Pour",
    ),
    "gradient du premier pour tous": (
        "q2",
        SLOPES + "[(p, p - taux * g[0].sum()) for p in parametres]",
        0,
        "Pour",
    ),
    "deux paramètres en dur": (
        "q2",
        SLOPES + "[(parametres[k], parametres[k] - taux * g[k]) for k in (0, 1)]",
        2,
        "IndexError",
    ),
    "expressions sans leur paramètre": (
        "q2",
        SLOPES + "[p - taux * d for p, d in zip(parametres, g)]",
        0,
        "Pour",
    ),
    "la patience telle quelle": (
        "q3",
        "def iteration_d_arret(erreurs, periode, patience, *reglages): return patience",
        0,
        "n’a pas allongé",
    ),
    "patience jamais allongée": ("q3", stopping(longer="patience"), 2, "n’a pas allongé"),
    "seuil ignoré": ("q3", stopping(progress="erreur < meilleure"), 2, "seuil"),
    "patience raccourcie": ("q3", stopping(longer="i * augmentation"), 1, ""),
    "meilleure figée": ("q3", stopping(better="erreur < seuil * meilleure"), 3, ""),
    "patience < i": ("q3", stopping(done="patience < i"), 2, "trop tard"),
    "mesures comptées de 0": ("q3", stopping(first=0), 2, ""),
    "patience + i": ("q3", stopping(longer="patience + i"), 2, ""),
    "au premier recul": ("q3", stopping(done="erreur > meilleure"), 2, ""),
    "rang de la mesure": ("q3", stopping(answer="rang"), 1, "rang de la mesure"),
    "seuil de l’autre côté": ("q3", stopping(progress="seuil * erreur < meilleure"), 3, ""),
}
