"""Les réponses essayées à l’exercice 11, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 3, "q3": 4, "q4": 3}
HEAD = (
    "import numpy as np\nimport engine\nimport engine.tensor as T\n"
    "from engine.core.graph import toposort\n"
)
COLUMN = HEAD + "def cout_colonne(sortie, y):\n    return "
FAR = HEAD + "def distance_moyenne(a, b):\n    s = ((a - b) ** 2).sum(axis=1)\n    return "
TRAIN = (
    HEAD + "def entrainement(x, y, W, b, epoque):\n"
    "    cout = ((T.dot(x, W) + b - y) ** 2).mean()\n"
    "    gW, gb = engine.grad(cout, [W, b])\n"
    "    taux = {rate}\n"
    "    pas = [(W, {w}), (b, {b})]\n"
    "    return engine.function([x, y, epoque], {output}, updates=pas)\n"
)
BIRTH = (
    HEAD + "def naissance_du_nan(entree, sortie, valeur):\n"
    "    noeuds = toposort([sortie]){order}\n"
    "    f = engine.function([entree], [n.out for n in noeuds], mode={mode})\n"
    "    for n, v in zip(noeuds, f(valeur)):\n"
    "        if {test}:\n"
    "            return {name}\n"
    "    return {nothing}\n"
)


def training(**changes):
    parts = dict(
        rate="np.float32(0.1) / (1 + epoque.astype('float32'))",
        w="W - taux * gW",
        b="b - taux * gb",
        output="cout",
    )
    return TRAIN.format(**{**parts, **changes})


def birth(**changes):
    parts = dict(
        order="",
        mode="engine.Mode(optimizer=None)",
        test="np.isnan(v).any()",
        name="str(n.op)",
        nothing="''",
    )
    return BIRTH.format(**{**parts, **changes})


RIGHT = {
    "colonne retirée": ("q1", COLUMN + "((sortie - y[:, 0]) ** 2).mean()"),
    "axe ajouté": ("q1", COLUMN + "T.mean(T.sqr(sortie.dimshuffle(0, 'x') - y))"),
    "aplatie": ("q1", COLUMN + "((y.flatten() - sortie) ** 2).mean()"),
    "ligne transposée": ("q1", COLUMN + "((sortie - y.T) ** 2).mean()"),
    "petit nombre dans la racine": ("q2", FAR + "T.sqrt(s + 1e-12).mean()"),
    "borne": ("q2", FAR + "T.sqrt(T.maximum(s, 1e-14)).mean()"),
    "aiguillage après": ("q2", FAR + "T.switch(s > 0, T.sqrt(s), 0.0).mean()"),
    "deux aiguillages": (
        "q2",
        FAR + "T.switch(s > 0, T.sqrt(T.switch(s > 0, s, 1.0)), 0.0).mean()",
    ),
    "taux converti": ("q3", training()),
    "diviseur converti": ("q3", training(rate="0.1 / T.cast(1 + epoque, 'float32')")),
    "mise à jour convertie": (
        "q3",
        training(
            rate="0.1 / (1 + epoque)",
            w="(W - taux * gW).astype('float32')",
            b="T.cast(b - taux * gb, 'float32')",
        ),
    ),
    "parcours": ("q4", birth()),
    "isnan de la somme": ("q4", birth(test="np.isnan(np.min(v))")),
    "une fonction par nœud": (
        "q4",
        HEAD + "def naissance_du_nan(entree, sortie, valeur):\n"
        "    for n in toposort([sortie]):\n"
        "        f = engine.function([entree], n.out, mode=engine.Mode('numpy', None))\n"
        "        if np.isnan(f(valeur)).any():\n            return str(n.op)\n    return ''",
    ),
    "la garde du moteur": (
        "q4",
        HEAD + "from engine.look.debug import NanGuardMode\n"
        "def naissance_du_nan(entree, sortie, valeur):\n"
        "    garde = NanGuardMode(True, False, False, optimizer=None)\n"
        "    try:\n        engine.function([entree], sortie, mode=garde)(valeur)\n"
        "    except engine.core.errors.BadValueError as e:\n"
        "        return e.summary.split(' contient')[0]\n    return ''",
    ),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "encore malade": ("q1", COLUMN + "((sortie - y) ** 2).mean()", 0, "toutes les réponses"),
    "somme": ("q1", COLUMN + "((sortie - y[:, 0]) ** 2).sum()", 0, "la moyenne sur le lot"),
    "sans carré": ("q1", COLUMN + "abs(sortie - y[:, 0]).mean()", 0, "manque le carré"),
    "axe du mauvais côté": (
        "q1",
        COLUMN + "((sortie.dimshuffle('x', 0) - y) ** 2).mean()",
        0,
        "toutes les réponses",
    ),
    "moyennes comparées": ("q1", COLUMN + "(sortie.mean() - y.mean()) ** 2", 0, "Pour"),
    "première réponse": ("q1", COLUMN + "((sortie - y[0, 0]) ** 2).mean()", 0, "Pour"),
    "sans moyenne": ("q1", COLUMN + "(sortie - y[:, 0]) ** 2", 0, "erreur"),
    "encore NaN": ("q2", FAR + "T.sqrt(s).mean()", 2, "NaN"),
    "petit nombre dehors": ("q2", FAR + "(T.sqrt(s) + 1e-12).mean()", 2, "NaN"),
    "trop grand": ("q2", FAR + "T.sqrt(s + 1e-2).mean()", 0, "le coût"),
    "carrés": ("q2", FAR + "s.mean()", 1, "manque la racine"),
    "somme des distances": ("q2", FAR + "T.sqrt(s + 1e-12).sum()", 0, "on veut la moyenne"),
    "autre axe": (
        "q2",
        HEAD + "def distance_moyenne(a, b):\n"
        "    return T.sqrt(((a - b) ** 2).sum(axis=0) + 1e-12).mean()",
        0,
        "Pour",
    ),
    "gradient coupé": (
        "q2",
        HEAD + "from engine.gradient import zero_grad\n"
        "def distance_moyenne(a, b):\n"
        "    return zero_grad(T.sqrt(((a - b) ** 2).sum(axis=1)).mean()) + 0 * a.sum()",
        1,
        "la dérivée",
    ),
    "encore float64": ("q3", training(rate="0.1 / (1 + epoque)"), 0, "UpdateError"),
    "signe gardé": ("q3", training(w="W + taux * gW"), 2, "monte encore"),
    "biais de W": ("q3", training(b="b - taux * gW.mean()"), 2, "le sien"),
    "deux fautes": ("q3", training(w="W + taux * gW", b="b - taux * gW.mean()"), 1, "monte encore"),
    "biais oublié": (
        "q3",
        training(b="b").replace(", (b, b)", ""),
        2,
        "pas bougé",
    ),
    "taux constant": ("q3", training(rate="np.float32(0.1) + 0 * epoque.astype('float32')"), 3, ""),
    "un de trop": ("q3", training(rate="0.1 / (2 + epoque.astype('float32'))"), 1, ""),
    "sans coût": ("q3", training(output="[]"), 3, "le coût"),
    "expression": (
        "q3",
        HEAD + "def entrainement(x, y, W, b, epoque): return [(W, W)]",
        0,
        "erreur",
    ),
    "dernier nœud": ("q4", birth(order="[::-1]"), 1, "le premier"),
    "graphe réécrit": ("q4", birth(mode="None"), 2, "sans réécriture"),
    "infini compris": ("q4", birth(test="not np.isfinite(v).all()"), 1, "un infini"),
    "tout NaN": ("q4", birth(test="np.isnan(v).all()"), 1, ""),
    "le nœud": ("q4", birth(name="n"), 1, "autre chose"),
    "la variable": ("q4", birth(name="str(n.inputs[0])"), 1, ""),
    "rang": ("q4", birth(name="noeuds.index(n)"), 1, "un nom"),
    "rien dit": ("q4", birth(nothing="'aucun'"), 2, ""),
    "toujours log": ("q4", "def naissance_du_nan(entree, sortie, valeur): return 'log'", 0, ""),
}
