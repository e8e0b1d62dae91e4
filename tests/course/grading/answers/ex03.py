"""Les réponses essayées à l’exercice 03, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 3, "q3": 3, "q4": 2, "q5": 2}
HEAD = "import numpy as np\nimport engine\nimport engine.tensor as T\n"
FAR = HEAD + "def distances(x, centre):\n    return "
COUNT = (
    "def compter_noeuds(v):\n"
    "    vus, reste = [], [v]\n"
    "    while reste:\n"
    "        noeud = reste.pop().owner\n"
    "        if noeud is not None{fresh}:\n"
    "            vus.append(noeud)\n"
    "            reste += {inputs}\n"
    "    return len(vus){more}\n"
)
THREE = HEAD + "def trois_fonctions(x, y, out, cout):\n    return "
PREDICT, BOTH, JUDGE = (
    "engine.function([x], out)",
    "engine.function([x, y], [out, cout])",
    "engine.function([out, y], cout)",
)
TRAIN = (
    HEAD + "def entrainement(x, y, cout, parametres, compteur, taux):\n"
    "    pas = [(p, {new}) for p, g in zip({which}, engine.grad(cout, parametres))]\n"
    "    return engine.function([x, y], {output}, updates=pas + [{count}])\n"
)
SWAP = HEAD + "def echange(u, v):\n    "


def counting(fresh=" and noeud not in vus", inputs="noeud.inputs", more=""):
    return COUNT.format(fresh=fresh, inputs=inputs, more=more)


def three(first=PREDICT, second=BOTH, third=JUDGE):
    return f"{THREE}({first}, {second}, {third})"


def training(**changes):
    parts = dict(
        new="p - taux * g", which="parametres", output="cout", count="(compteur, compteur + 1)"
    )
    return TRAIN.format(**{**parts, **changes})


RIGHT = {
    "somme sur les mesures": ("q1", FAR + "T.sqrt(((x - centre) ** 2).sum(axis=1))"),
    "dernier axe": ("q1", FAR + "(T.sqr(centre.dimshuffle('x', 0) - x).sum(-1)) ** 0.5"),
    "par un produit": ("q1", FAR + "T.sqrt(T.dot((x - centre) ** 2, T.ones_like(centre)))"),
    "par la norme": ("q1", FAR + "(x - centre).norm(2, axis=1)"),
    "une pile": ("q2", counting()),
    "récursion": (
        "q2",
        "def noeuds(v):\n    if v.owner is None:\n        return set()\n"
        "    return {v.owner}.union(*map(noeuds, v.owner.inputs))\n"
        "def compter_noeuds(v):\n    return len(noeuds(v))",
    ),
    "par le moteur": (
        "q2",
        "from engine.core.graph import toposort\ndef compter_noeuds(v): return len(toposort([v]))",
    ),
    "par les variables": (
        "q2",
        "from engine.core.graph import walk\n"
        "def compter_noeuds(v): return len({w.owner for w in walk([v])} - {None})",
    ),
    "trois morceaux": ("q3", three()),
    "une liste": ("q3", three().replace("return (", "return [").removesuffix(")") + "]"),
    "entrées superflues": (
        "q3",
        HEAD + "def trois_fonctions(x, y, out, cout):\n"
        "    deux = engine.function([x, y], [out, cout])\n"
        "    return engine.function([x], out), lambda x, y: deux(x, y), "
        "engine.function([out, y], cout)",
    ),
    "updates en liste": ("q4", training()),
    "en dictionnaire": (
        "q4",
        HEAD + "def entrainement(x, y, cout, parametres, compteur, taux):\n"
        "    pas = {p: p - taux * engine.grad(cout, p) for p in parametres}\n"
        "    pas[compteur] = 1 + compteur\n"
        "    return engine.function([x, y], cout, updates=pas)",
    ),
    "échange": ("q5", SWAP + "return engine.function([], [], updates=[(u, v), (v, u)])"),
    "échange par dictionnaire": (
        "q5",
        SWAP + "return engine.function([], updates={v: u, u: v})",
    ),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "mauvais axe": ("q1", FAR + "T.sqrt(((x - centre) ** 2).sum(axis=0))", 0, "sur les jours"),
    "tous les axes": ("q1", FAR + "T.sqrt(((x - centre) ** 2).sum())", 0, "un seul nombre"),
    "sans racine": ("q1", FAR + "((x - centre) ** 2).sum(axis=1)", 0, "manque la racine"),
    "racine avant": ("q1", FAR + "abs(x - centre).sum(axis=1)", 0, "après la somme"),
    "moyenne": ("q1", FAR + "T.sqrt(((x - centre) ** 2).mean(axis=1))", 0, "une moyenne"),
    "centre en colonne": (
        "q1",
        FAR + "T.sqrt(((x - centre.dimshuffle(0, 'x')) ** 2).sum(axis=1))",
        0,
        "",
    ),
    "nombres gravés": ("q1", FAR + "T.zeros_like(x[:, 0])", 0, "Pour"),
    "première entrée seule": ("q2", counting(inputs="noeud.inputs[:1]"), 1, "première entrée"),
    "chemins": ("q2", counting(fresh=""), 2, "compté deux fois"),
    "variables": (
        "q2",
        "from engine.core.graph import walk\ndef compter_noeuds(v): return len(list(walk([v])))",
        0,
        "une variable, pas un nœud",
    ),
    "sorties": (
        "q2",
        "from engine.core.graph import walk\n"
        "def compter_noeuds(v): return sum(w.owner is not None for w in walk([v]))",
        2,
        "deux sorties",
    ),
    "un de moins": ("q2", counting(more=" - 1"), 0, ""),
    "liste rendue": ("q2", counting().replace("len(vus)", "vus"), 0, ""),
    "juger depuis x": ("q3", three(third="engine.function([x, y], cout)"), 2, "erreur"),
    "juger rend out": (
        "q3",
        three(third="engine.function([out, y], [out, cout])"),
        2,
        "le coût des prédictions",
    ),
    "coût seul": ("q3", three(second="engine.function([x, y], cout)"), 2, "deux résultats"),
    "sorties échangées": ("q3", three(second="engine.function([x, y], [cout, out])"), 2, "out"),
    "y demandé pour prédire": (
        "q3",
        three(first="engine.function([x, y], out, on_unused_input='ignore')"),
        2,
        "erreur",
    ),
    "ordre": ("q3", three(PREDICT, JUDGE, BOTH), 1, ""),
    "deux fonctions": ("q3", THREE + f"({PREDICT}, {BOTH})", 0, "trois fonctions"),
    "poids gravés": (
        "q3",
        three(first="(lambda v, f=engine.function([x], out), m=[]: m or m.append(f(v)) or m[0])"),
        2,
        "",
    ),
    "expressions": ("q3", THREE + "(out, [out, cout], cout)", 0, "fonction compilée"),
    "signe": ("q4", training(new="p + taux * g"), 0.5, "monté"),
    "taux oublié": ("q4", training(new="p - g"), 0.5, "taux"),
    "un seul paramètre": ("q4", training(which="parametres[:1]"), 0.5, "pas bougé"),
    "compteur oublié": ("q4", training(count=""), 1.5, "variable partagée comme une autre"),
    "compteur gravé": (
        "q4",
        training(count="(compteur, T.constant(compteur.get_value() + 1))"),
        1.5,
        "compteur",
    ),
    "coût et gradient": ("q4", training(output="[cout]"), 1.5, "les coûts"),
    "liste de mises à jour": (
        "q4",
        HEAD + "def entrainement(x, y, cout, parametres, compteur, taux):\n"
        "    return [(compteur, compteur + 1)]",
        0,
        "fonction compilée",
    ),
    "une seule copie": ("q5", SWAP + "return engine.function([], updates=[(u, v)])", 0, "copiée"),
    "sans mise à jour": ("q5", SWAP + "return engine.function([], [v, u])", 0, "Rien n’a bougé"),
    "à la main": (
        "q5",
        SWAP + "w = u.get_value(); u.set_value(v.get_value()); v.set_value(w)\n"
        "    return engine.function([], [])",
        0,
        "avant le premier appel",
    ),
    "valeur gravée": (
        "q5",
        SWAP + "w = T.constant(u.get_value())\n"
        "    return engine.function([], updates=[(u, v), (v, w)])",
        1,
        "",
    ),
    "échange de Python": (
        "q5",
        SWAP + "def f():\n        w = u.get_value()\n        u.set_value(v.get_value())\n"
        "        v.set_value(w)\n    return f",
        0,
        "engine.function",
    ),
}
