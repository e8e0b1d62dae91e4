"""Les réponses essayées à l’exercice 00, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 2, "q3": 2}
IMPORTS = "import engine\nimport engine.tensor as T\nimport numpy as np\n"
GRAPH = IMPORTS + "def mon_premier_graphe(x):\n    return "
PROGRAM = IMPORTS + "def valeur_et_derivee(x, y):\n    return "
STEP = IMPORTS + "def un_pas(parametre, effet, taux):\n    return "

RIGHT = {
    "puissances": ("q1", GRAPH + "3 * x**2 - 2 * x + 1"),
    "Horner": ("q1", GRAPH + "(3 * x - 2) * x + 1"),
    "produits": ("q1", GRAPH + "1 + 3 * x * x - x - x"),
    "fonctions du moteur": ("q1", GRAPH + "T.add(3 * T.sqr(x), T.sub(1, 2 * x))"),
    "variable nommée": (
        "q1",
        IMPORTS + "def mon_premier_graphe(x):\n    carre = x * x\n    return 3 * carre - 2 * x + 1",
    ),
    "une liste de sorties": ("q2", PROGRAM + "engine.function([x], [y, engine.grad(y, x)])"),
    "deux fonctions": (
        "q2",
        IMPORTS + "def valeur_et_derivee(x, y):\n    f = engine.function([x], y)\n"
        "    g = engine.function([x], engine.grad(y, x))\n    return lambda v: (f(v), g(v))",
    ),
    "eval": (
        "q2",
        PROGRAM + "lambda v: [y.eval({x: v}), engine.grad(y, x).eval({x: v})]",
    ),
    "un pas": ("q3", STEP + "parametre - taux * effet"),
    "un pas, dans un autre ordre": ("q3", STEP + "-effet * taux + parametre"),
    "un pas, par NumPy": ("q3", STEP + "np.subtract(parametre, taux * effet)"),
}

# nom: (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "3 oublié": ("q1", GRAPH + "x**2 - 2 * x + 1", 0, "manque le 3"),
    "3 sous le carré": ("q1", GRAPH + "(3 * x)**2 - 2 * x + 1", 0, "porte aussi sur le 3"),
    "double pour carré": ("q1", GRAPH + "3 * x * 2 - 2 * x + 1", 0, "le carré s’écrit"),
    "signe": ("q1", GRAPH + "3 * x**2 + 2 * x + 1", 0, "signe de 2x"),
    "1 oublié": ("q1", GRAPH + "3 * x**2 - 2 * x", 1, "manque le + 1"),
    "dérivée": ("q1", GRAPH + "6 * x - 2", 0, "C’est la dérivée"),
    "un nombre": ("q1", GRAPH + "1.0", 0, "une expression faite avec x"),
    "un programme": (
        "q1",
        GRAPH + "engine.function([x], 3 * x**2 - 2 * x + 1)",
        0,
        "une expression faite avec x",
    ),
    "xor": ("q1", GRAPH + "3 * x^2 - 2 * x + 1", 0, "erreur"),
    "pas compilé": ("q2", PROGRAM + "[y, engine.grad(y, x)]", 0, "fonction compilée"),
    "valeur seule": ("q2", PROGRAM + "engine.function([x], y)", 0, "deux nombres"),
    "dérivée seule": ("q2", PROGRAM + "engine.function([x], [engine.grad(y, x)])", 0, "deux"),
    "ordre inversé": ("q2", PROGRAM + "engine.function([x], [engine.grad(y, x), y])", 0, "inversé"),
    "deux fois la valeur": ("q2", PROGRAM + "engine.function([x], [y, y])", 0, "engine.grad"),
    "dérivée de x³ toujours": (
        "q2",
        PROGRAM + "engine.function([x], [y, 3 * x**2])",
        1,
        "pour y = sin(2 * x)",
    ),
    "monter": ("q3", STEP + "parametre + taux * effet", 0, "fait monter"),
    "taux oublié": ("q3", STEP + "parametre - effet", 0, "taux d’apprentissage"),
    "déplacement seul": ("q3", STEP + "-taux * effet", 0, "déplacement seul"),
    "déplacement seul, signe": ("q3", STEP + "taux * effet", 0, "retranchez-le"),
    "multiplier": ("q3", STEP + "parametre * (1 - taux * effet)", 0, "sans multiplier"),
    "effet seul": ("q3", STEP + "effet", 0, "attendu"),
}
