"""Les réponses essayées à l’exercice 04, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 3, "q3": 2, "q4": 2, "q5": 3}
SEEDS = range(10)
HEAD = "import math\nimport numpy as np\nimport engine\nimport engine.tensor as T\n"
SUM = HEAD + "def log_somme_exp(z):\n    "
LOSS = HEAD + "def perte_stable(z, y):\n    "
NAMES = HEAD + "def regles_employees(f):\n    "
PAIR = HEAD + "def motif():\n    return "
RULE = (
    HEAD + "from engine.core.rewriting import scalar_value\n"
    "def log_d_une_puissance(noeud):\n"
    "    dedans = noeud.inputs[0].owner\n"
    "    if {known}str(dedans.op) != 'pow':\n        return None\n"
    "    x, n = dedans.inputs\n"
    "    valeur = scalar_value(n)\n"
    "    if {constant}:\n        return None\n"
    "    if {even}:\n        return {if_even}\n"
    "    return {if_odd}\n"
)
PARTS = dict(
    known="dedans is None or ",
    constant="valeur is None",
    even="valeur % 2 == 0",
    if_even="[n * T.log(abs(x))]",
    if_odd="[n * T.log(x)]",
)


def ruled(**changes):
    return RULE.format(**{**PARTS, **changes})


RIGHT = {
    "maximum en facteur": (
        "q1",
        SUM + "m = max(z); return m + math.log(sum(math.exp(v - m) for v in z))",
    ),
    "numpy": (
        "q1",
        SUM + "z = np.array(z); m = z.max()\n    return m + np.log(np.exp(z - m).sum())",
    ),
    "logaddexp": ("q1", SUM + "return np.logaddexp.reduce(z)"),
    "terme à terme": (
        "q1",
        SUM + "t = z[0]\n    for v in z[1:]:\n"
        "        t = max(t, v) + math.log1p(math.exp(-abs(t - v)))\n    return t",
    ),
    "softplus": ("q2", LOSS + "return T.mean(T.nnet.softplus(z) - y * z)"),
    "deux softplus": (
        "q2",
        LOSS + "return (y * T.nnet.softplus(-z) + (1 - y) * T.nnet.softplus(z)).mean()",
    ),
    "signe": ("q2", LOSS + "return T.nnet.softplus((1 - 2 * y) * z).mean()"),
    "switch": (
        "q2",
        LOSS + "return T.mean(T.switch(y > 0.5, T.nnet.softplus(-z), T.nnet.softplus(z)))",
    ),
    "log1p et maximum": (
        "q2",
        LOSS + "return (T.maximum(z, 0) - y * z + T.log1p(T.exp(-abs(z)))).mean()",
    ),
    "toute faite": ("q2", LOSS + "return T.nnet.sigmoid_binary_crossentropy(z, y).mean()"),
    "somme divisée": ("q2", LOSS + "return (T.nnet.softplus(z) - y * z).sum() / z.shape[0]"),
    "dictionnaire": ("q3", NAMES + "return list(dict.fromkeys(r.reason for r in f.fgraph.log))"),
    "boucle": (
        "q3",
        NAMES + "noms = []\n    for ligne in f.fgraph.log:\n"
        "        if ligne[0] not in noms: noms.append(ligne[0])\n    return noms",
    ),
    "n-uplet": ("q3", NAMES + "return tuple({r.reason: 0 for r in f.fgraph.log})"),
    "fonctions de T": (
        "q4",
        PAIR + "(lambda a, b: T.exp(a) * T.exp(b), lambda a, b: T.exp(a + b))",
    ),
    "méthodes": ("q4", PAIR + "[lambda u, v: u.exp() * v.exp(), lambda u, v: (v + u).exp()]"),
    "fonctions nommées": (
        "q4",
        HEAD + "def motif():\n    def cherche(p, q): return T.exp(q) * T.exp(p)\n"
        "    def remplace(p, q): return T.exp(p + q)\n    return cherche, remplace",
    ),
    "la règle": ("q5", ruled()),
    "isinstance": ("q5", ruled(even="int(valeur) == valeur and int(valeur) % 2 == 0")),
    "méthode": ("q5", ruled(if_even="[abs(x).log() * n]", if_odd="[x.log() * float(valeur)]")),
    "moitié du carré": ("q5", ruled(if_even="[n * T.log(T.maximum(x, -x))]")),
}

WRONG = {
    "formule ordinaire": ("q1", SUM + "return math.log(sum(map(math.exp, z)))", 0.5, "Overflow"),
    "formule de NumPy": (
        "q1",
        SUM + "with np.errstate(all='ignore'): return np.log(np.exp(z).sum())",
        0.5,
        "a débordé",
    ),
    "maximum oublié": (
        "q1",
        SUM + "m = max(z); return math.log(sum(math.exp(v - m) for v in z))",
        0,
        "rajouter le maximum",
    ),
    "maximum seul": ("q1", SUM + "return max(z)", 0, "maximum seul"),
    "plus grande valeur absolue": (
        "q1",
        SUM + "m = max(map(abs, z))\n    with np.errstate(all='ignore'):\n"
        "        return m + np.log(sum(np.exp(v - m) for v in z))",
        1.5,
        "avec son signe",
    ),
    "moyenne": (
        "q1",
        SUM + "m = max(z); return m + math.log(sum(math.exp(v - m) for v in z) / len(z))",
        0,
        "on veut la somme",
    ),
    "somme des scores": ("q1", SUM + "return sum(z)", 0, "ne se défont pas"),
    "naïve": (
        "q2",
        LOSS + "p = 1 / (1 + T.exp(-z))\n"
        "    return -(y * T.log(p) + (1 - y) * T.log(1 - p)).mean()",
        1,
        "infini",
    ),
    "epsilon": (
        "q2",
        LOSS + "p = T.nnet.sigmoid(z); e = 1e-12\n"
        "    return -(y * T.log(p + e) + (1 - y) * T.log(1 - p + e)).mean()",
        1,
        "attendu",
    ),
    "bornes": (
        "q2",
        LOSS + "p = T.clip(T.nnet.sigmoid(z), 1e-15, 1 - 1e-15)\n"
        "    return -(y * T.log(p) + (1 - y) * T.log(1 - p)).mean()",
        1,
        "attendu",
    ),
    "log de un plus exp": ("q2", LOSS + "return (T.log(1 + T.exp(z)) - y * z).mean()", 1, "infini"),
    "sans log1p": (
        "q2",
        LOSS + "return (T.maximum(z, 0) - y * z + T.log(1 + T.exp(-abs(z)))).mean()",
        2.5,
        "log1p",
    ),
    "somme": ("q2", LOSS + "return (T.nnet.softplus(z) - y * z).sum()", 0.5, "la moyenne"),
    "signe": ("q2", LOSS + "return (y * z - T.nnet.softplus(z)).mean()", 0, "signe"),
    "étiquettes échangées": (
        "q2",
        LOSS + "return T.mean(T.nnet.softplus(-z) + y * z)",
        0,
        "échangées",
    ),
    "un coût par exemple": (
        "q2",
        LOSS + "return T.nnet.softplus(z) - y * z",
        0.5,
        "un seul nombre",
    ),
    "avec les répétitions": (
        "q3",
        NAMES + "return [r.reason for r in f.fgraph.log]",
        1,
        "une fois",
    ),
    "triés": ("q3", NAMES + "return sorted({r.reason for r in f.fgraph.log})", 1, "alphabet"),
    "à l’envers": (
        "q3",
        NAMES + "return list(dict.fromkeys(r.reason for r in f.fgraph.log))[::-1]",
        0,
        "de la première à la dernière",
    ),
    "les remplacements": ("q3", NAMES + "return list(f.fgraph.log)", 0, "autre chose"),
    "par cœur": ("q3", NAMES + "return ['log_un_plus', 'log1p_exp']", 1, "attendu"),
    "produit dans l’exponentielle": (
        "q4",
        PAIR + "(lambda a, b: T.exp(a) * T.exp(b), lambda a, b: T.exp(a * b))",
        0.5,
        "attendu",
    ),
    "somme seule": (
        "q4",
        PAIR + "(lambda a, b: T.exp(a) * T.exp(b), lambda a, b: a + b)",
        0.5,
        "Il manque l’exponentielle",
    ),
    "cherche une somme": (
        "q4",
        PAIR + "(lambda a, b: T.exp(a) + T.exp(b), lambda a, b: T.exp(a + b))",
        0,
        "ne s’est pas déclenchée",
    ),
    "un seul joker": (
        "q4",
        PAIR + "(lambda a: T.exp(a) * T.exp(a), lambda a: T.exp(2 * a))",
        0.5,
        "ne s’est pas déclenchée",
    ),
    "une expression au lieu d’une fonction": (
        "q4",
        PAIR + "(lambda a, b: T.exp(a) * T.exp(b), T.exp(T.dscalar()))",
        0.5,
        "erreur",
    ),
    "sans valeur absolue": ("q5", ruled(if_even="[n * T.log(x)]"), 2, "son logarithme"),
    "valeur absolue oubliée partout": ("q5", ruled(even="False"), 2, "son logarithme"),
    "exposant oublié": ("q5", ruled(if_odd="[T.log(x)]"), 2, "Il manque l’exposant"),
    "sans owner": ("q5", ruled(known=""), 2, "NoneType"),
    "exposant variable": ("q5", ruled(constant="False", even="False"), 1, "s’abstenir"),
    "impairs seulement": ("q5", ruled(if_even="None"), 2, "déclenchée"),
    "sans liste": ("q5", ruled(if_even="n * T.log(abs(x))", if_odd="n * T.log(x)"), 1, "échoué"),
    "toujours None": ("q5", ruled(known="True or "), 0, "encore vide"),
}
