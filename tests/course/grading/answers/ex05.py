"""Les réponses essayées à l’exercice 05, justes et fausses (`test_answers`)."""

POINTS = {"q1": 3, "q2": 4, "q3": 3, "q4": 2}
HEAD = (
    "import math\nimport numpy as np\nimport engine\nimport engine.tensor as T\n"
    "from engine.nn.initializers import glorot_normal, glorot_uniform, he_uniform\n"
)
DRAW = HEAD + "def poids_de_depart(n_in, n_out, activation, g):\n"
NORMAL = DRAW + "    v = {variance}\n    return g.normal(0, math.sqrt(v), (n_in, n_out))"
LAYER = HEAD + (
    "def couche_a_porte(n, g):\n"
    "    W, V = glorot_uniform((n, n), g), glorot_uniform((n, n), g)\n"
    "    W, b, V, c = map(engine.shared, (W, np.zeros(n), V, np.full(n, {c})))\n"
    "    def appliquer(x):\n"
    "        t = {gate}\n"
    "        h = T.tanh(T.dot(x, W) + b)\n"
    "        return {mix}\n"
    "    return [{parameters}], appliquer"
)
PARTS = dict(
    c="-2.0",
    gate="T.nnet.sigmoid(T.dot(x, V) + c)",
    mix="t * h + (1 - t) * x",
    parameters="W, b, V, c",
)
MOVE = HEAD + (
    "def inertie(cout, parametres, taux, mu):\n"
    "    regles = []\n"
    "    for p, g in zip(parametres, engine.grad(cout, parametres)):\n"
    "        v = engine.shared(0 * p.get_value())\n"
    "        n = {speed}\n"
    "        regles += {rules}\n"
    "    return regles"
)
RULE = dict(speed="mu * v - taux * g", rules="[(v, n), (p, p + n)]")
SLOPE = HEAD + "def contribution(x, y, g):\n    return "


def normal(variance):
    return NORMAL.format(variance=variance)


def layer(**changes):
    return LAYER.format(**{**PARTS, **changes})


def moving(**changes):
    return MOVE.format(**{**RULE, **changes})


RULES = "2 / n_in if activation == 'relu' else 2 / (n_in + n_out)"

RIGHT = {
    "gaussienne": ("q1", normal(RULES)),
    "uniforme": (
        "q1",
        DRAW + f"    a = math.sqrt(3 * ({RULES}))\n    return g.uniform(-a, a, (n_in, n_out))",
    ),
    "celles du moteur": (
        "q1",
        DRAW + "    regle = he_uniform if activation == 'relu' else glorot_normal\n"
        "    return regle((n_in, n_out), g)",
    ),
    "standard, puis à l’échelle": (
        "q1",
        DRAW + f"    return g.standard_normal((n_in, n_out)) * ({RULES}) ** 0.5",
    ),
    "la formule": ("q2", layer()),
    "factorisée": ("q2", layer(mix="x + t * (h - x)")),
    "sigmoïde par tanh": ("q2", layer(gate="(1 + T.tanh((T.dot(x, V) + c) / 2)) / 2")),
    "la définition": ("q3", moving()),
    "gradients cumulés": (
        "q3",
        moving(speed="mu * v + g", rules="[(v, n), (p, p - taux * n)]"),
    ),
    "dictionnaire, dans l’autre ordre": (
        "q3",
        moving()
        .replace("regles = []", "regles = {}")
        .replace("regles += [(v, n), (p, p + n)]", "regles[p] = p + n; regles[v] = n"),
    ),
    "valeur précédente au lieu de vitesse": (
        "q3",
        moving(speed="p + mu * (p - v) - taux * g", rules="[(v, p), (p, n)]").replace(
            "0 * p.get_value()", "p.get_value()"
        ),
    ),
    "celle du moteur": (
        "q3",
        HEAD + "from engine.nn import optimizers\n"
        "def inertie(cout, parametres, taux, mu):\n"
        "    return optimizers.momentum(cout, parametres, taux, mu)",
    ),
    "implicite": ("q4", SLOPE + "g / (1 + 3 * y**2)"),
    "par x": ("q4", SLOPE + "g * y / (3 * x - 2 * y)"),
    "puissance": ("q4", SLOPE + "g * (1 + 3 * T.sqr(y)) ** -1.0"),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "variance pour écart type": (
        "q1",
        DRAW + f"    return g.normal(0, {RULES}, (n_in, n_out))",
        1,
        "racine carrée",
    ),
    "bornes pour écart type": (
        "q1",
        DRAW + f"    a = math.sqrt({RULES})\n    return g.uniform(-a, a, (n_in, n_out))",
        1,
        "√3",
    ),
    "activation ignorée": ("q1", normal("2 / (n_in + n_out)"), 2, "règle de tanh"),
    "toujours relu": ("q1", normal("2 / n_in"), 2, "règle de relu"),
    "règles échangées": ("q1", normal(RULES.replace("relu", "tanh")), 1, "règle de relu"),
    "un sur n": ("q1", normal("1 / n_in"), 1, "1 / √entrées"),
    "sorties": ("q1", normal(RULES.replace("2 / n_in", "2 / n_out")), 2, "Échangez"),
    "forme retournée": (
        "q1",
        DRAW + f"    return g.normal(0, math.sqrt({RULES}), (n_out, n_in))",
        2,
        "une colonne par sortie",
    ),
    "zéros": ("q1", DRAW + "    return np.zeros((n_in, n_out))", 0, "jumelles"),
    "un tirage par unité": (
        "q1",
        DRAW + f"    return g.normal(0, math.sqrt({RULES}), (n_in, 1)) * np.ones((1, n_out))",
        2,
        "jumelles",
    ),
    "tirage d’ailleurs": (
        "q1",
        DRAW + f"    return np.random.normal(0, math.sqrt({RULES}), (n_in, n_out))",
        2,
        "de lui seul",
    ),
    "graine à soi": (
        "q1",
        DRAW + "    g = np.random.default_rng(0)\n"
        f"    return g.normal(0, math.sqrt({RULES}), (n_in, n_out))",
        2,
        "deux graines",
    ),
    "moyenne non nulle": (
        "q1",
        DRAW + f"    return g.normal(0.1, math.sqrt({RULES}), (n_in, n_out))",
        1,
        "voisine de zéro",
    ),
    "porte à l’envers": ("q2", layer(mix="(1 - t) * h + t * x"), 1, "à l’envers"),
    "sans porte": ("q2", layer(mix="h + 0 * t"), 1, "manque la porte"),
    "x oublié": ("q2", layer(mix="t * h"), 1, "laisse de x"),
    "x entier": ("q2", layer(mix="t * h + x"), 1, "multiplié par"),
    "porte seule": ("q2", layer(mix="t + 0 * h"), 1, "porte seule"),
    "W dans la porte": ("q2", layer(gate="T.nnet.sigmoid(T.dot(x, W) + c)"), 1, "attendu"),
    "c oublié": ("q2", layer(gate="T.nnet.sigmoid(T.dot(x, V))"), 1, "attendu"),
    "porte ouverte": ("q2", layer(c="0.0"), 3, "à moitié ouverte"),
    "autre ordre": ("q2", layer(parameters="W, V, b, c"), 0, "formes"),
    "trois paramètres": ("q2", layer(parameters="W, b, V"), 0, "formes"),
    "W et V communs": (
        "q2",
        layer().replace("engine.shared, (W, np.zeros(n), V", "engine.shared, (W, np.zeros(n), W"),
        3,
        "sont égaux",
    ),
    "porte sans gradient": (
        "q2",
        layer(gate="engine.gradient.zero_grad(T.nnet.sigmoid(T.dot(x, V) + c))"),
        3,
        "gradient",
    ),
    "tableaux, non variables partagées": (
        "q2",
        layer(parameters="W.get_value(), b, V, c"),
        0,
        "variable partagée",
    ),
    "sans inertie": ("q3", moving(speed="0 * v - taux * g"), 1, "sans inertie"),
    "vitesse non gardée": ("q3", moving(rules="[(p, p + n)]"), 1, "sans inertie"),
    "ancienne vitesse": ("q3", moving(rules="[(v, n), (p, p + v)]"), 0, "pas bougé"),
    "monte": ("q3", moving(speed="mu * v + taux * g"), 0, "monte la pente"),
    "taux oublié": ("q3", moving(speed="mu * v - g"), 0, "taux"),
    "Nesterov": ("q3", moving(rules="[(v, n), (p, p - taux * g + mu * n)]"), 0, "Nesterov"),
    "moyenne": ("q3", moving(speed="mu * v - (1 - mu) * taux * g"), 0, "1 − mu"),
    "vitesse seule": ("q3", moving(rules="[(v, n)]"), 0, "pas bougé"),
    "une vitesse pour tous": (
        "q3",
        moving().replace("    regles = []\n", "    regles = []\n    parametres = parametres[:1]\n"),
        2,
        "pas bougé",
    ),
    "inverse oublié": ("q4", SLOPE + "g * (1 + 3 * y**2)", 0, "l’inverse"),
    "1 oublié": ("q4", SLOPE + "g / (3 * y**2)", 0, "vaut 1"),
    "pente en x": ("q4", SLOPE + "g / (1 + 3 * x**2)", 0, "en y"),
    "g oublié": ("q4", SLOPE + "1 / (1 + 3 * y**2) + 0 * g", 0, "manque g"),
    "signe": ("q4", SLOPE + "-g / (1 + 3 * y**2)", 0, "signe"),
    "identité": ("q4", SLOPE + "g", 0, "identité"),
    "sans suite": (
        "q4",
        SLOPE + "g / (1 + 3 * engine.gradient.zero_grad(y) ** 2)",
        1,
        "dérivée seconde",
    ),
}
