"""Les réponses essayées à l’exercice 02, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 2, "q3": 2, "q4": 2, "q5": 4}
SEEDS = range(10)
ENGINE = "import numpy as np, engine, engine.tensor as T\n"
BEST = """
from functools import cache
def meilleur_ordre(t):
    @cache
    def mieux(i, j):
        if j == i + 1: return 0, j
        return min(((mieux(k, j)[0] + mieux(i, k)[0] + t[j]*t[k]*t[i],
                     (mieux(k, j)[1], mieux(i, k)[1])) for k in range(i + 1, j)),
                   key=lambda c: c[0])
    cout, ordre = mieux(0, len(t) - 1)
"""

WRONG = {
    "premier produit seul": (
        "q1",
        "def deux_couts(p, q, r, s): return p*q*r, q*r*s",
        0,
        "second produit",
    ),
    "coûts multipliés": (
        "q1",
        "def deux_couts(p, q, r, s): return p*q*r*s, p*q*r*s",
        0,
        "s’ajoutent",
    ),
    "forme intermédiaire fausse": (
        "q1",
        "def deux_couts(p, q, r, s): return p*q*r + q*r*s, q*r*s + p*q*r",
        0,
        "de forme",
    ),
    "couple inversé": (
        "q1",
        "def deux_couts(p, q, r, s): return q*r*s + p*q*s, p*q*r + p*r*s",
        0,
        "inversé",
    ),
    "additions comptées": (
        "q1",
        "def deux_couts(p, q, r, s): return 2*(p*q*r + p*r*s), 2*(q*r*s + p*q*s)",
        0,
        "pas les additions",
    ),
    "un seul coût": (
        "q1",
        "def deux_couts(p, q, r, s): return p*q*r + p*r*s",
        0,
        "deux nombres",
    ),
    "droite oubliée": (
        "q1",
        "def deux_couts(p, q, r, s): return p*q*r + p*r*s, q*r*s",
        1,
        "A fois (BC)",
    ),
    "tout égal": ("q2", "def exemple(facteur): return 9, 9, 9, 9", 0, "ne départagent rien"),
    "à l’envers": (
        "q2",
        "def exemple(facteur): return 2*facteur, 2*facteur, 2*facteur, 1",
        0,
        "C’est l’inverse",
    ),
    "toujours le même": (
        "q2",
        "def exemple(facteur): return 1, 100, 100, 100",
        1,
        "le rapport n’est que de",
    ),
    "facteur mal réglé": (
        "q2",
        "def exemple(facteur): return 1, facteur, facteur, facteur",
        0,
        "le rapport n’est que de",
    ),
    "longueurs nulles": ("q2", "def exemple(facteur): return 0, 1, 1, 1", 0, "au moins 1"),
    "pas des entiers": ("q2", "def exemple(facteur): return 1, .5, 2, 2", 0, "quatre entiers"),
    "lignes additionnées": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m): return engine.Lop(y, x, np.ones(m))",
        0,
        "additionnées",
    ),
    "transposée": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m):\n"
        "    return T.stack([engine.Lop(y, x, e) for e in np.eye(m)], axis=1)",
        0,
        "la transposée",
    ),
    "première ligne": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m): return engine.Lop(y, x, np.eye(m)[0])",
        0,
        "première ligne seulement",
    ),
    "la valeur et non sa dérivée": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m): return T.stack([y, y], axis=1)",
        0,
        "attendu",
    ),
    "une ligne de moins": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m):\n"
        "    return T.stack([engine.Lop(y, x, e) for e in np.eye(m)[1:]])",
        0,
        "de forme",
    ),
    "colonnes empilées en lignes": (
        "q4",
        ENGINE + "def jacobienne_par_rop(y, x, n):\n"
        "    return T.stack([engine.Rop(y, x, e) for e in np.eye(n)])",
        0,
        "la transposée",
    ),
    "colonnes additionnées": (
        "q4",
        ENGINE + "def jacobienne_par_rop(y, x, n): return engine.Rop(y, x, np.ones(n))",
        0,
        "additionnées",
    ),
    "colonnes en désordre": (
        "q4",
        ENGINE + "def jacobienne_par_rop(y, x, n):\n"
        "    return T.stack([engine.Rop(y, x, e) for e in np.eye(n)[::-1]], axis=1)",
        0,
        "attendu",
    ),
    "mode arrière": (
        "q5",
        "def meilleur_ordre(t):\n    cout, ordre = 0, len(t) - 1\n"
        "    for k in range(len(t) - 2, 0, -1):\n"
        "        cout += t[-1]*t[k]*t[k - 1]; ordre = (ordre, k)\n    return cout, ordre",
        1,
        "mode arrière",
    ),
    "mode avant": (
        "q5",
        "def meilleur_ordre(t):\n    cout, ordre = 0, 1\n"
        "    for k in range(2, len(t)):\n"
        "        cout += t[k]*t[k - 1]*t[0]; ordre = (k, ordre)\n    return cout, ordre",
        1,
        "mode avant",
    ),
    "le plus petit produit d’abord": (
        "q5",
        "def meilleur_ordre(t):\n    t, o, c = list(t), list(range(1, len(t))), 0\n"
        "    while len(o) > 1:\n"
        "        k = min(range(1, len(o)), key=lambda k: t[k - 1]*t[k]*t[k + 1])\n"
        "        c += t[k - 1]*t[k]*t[k + 1]; o[k - 1:k + 1] = [(o[k], o[k - 1])]; del t[k]\n"
        "    return c, o[0]",
        3,
        "",
    ),
    "coût seul": ("q5", BEST + "    return cout", 0, "un couple"),
    "coût juste, ordre absent": ("q5", BEST + "    return cout, 'mieux'", 2, "couples emboîtés"),
    "coût juste, ordre arrière": (
        "q5",
        BEST + "    ordre = len(t) - 1\n    for k in range(len(t) - 2, 0, -1): ordre = (ordre, k)\n"
        "    return cout, ordre",
        2,
        "un autre n’en coûte que",
    ),
    "étages comptés depuis zéro": (
        "q5",
        BEST + "    def moins(o): return o - 1 if type(o) is int else (moins(o[0]), moins(o[1]))\n"
        "    return cout, moins(ordre)",
        2,
        "du dernier au premier",
    ),
    "écrit de l’entrée vers la sortie": (
        "q5",
        BEST + "    def envers(o): return o if type(o) is int else (envers(o[1]), envers(o[0]))\n"
        "    return cout, envers(ordre)",
        2,
        "à gauche",
    ),
    "le plus cher": (
        "q5",
        BEST.replace("min(", "max(") + "    return cout, ordre",
        0,
        "attendu",
    ),
}

RIGHT = {
    "fonction à part": (
        "q1",
        "def produit(a, b): return a[0]*a[1]*b[1], (a[0], b[1])\n"
        "def deux_couts(p, q, r, s):\n"
        "    c1, AB = produit((p, q), (q, r)); c2, _ = produit(AB, (r, s))\n"
        "    c3, BC = produit((q, r), (r, s)); c4, _ = produit((p, q), BC)\n"
        "    return [c1 + c2, c3 + c4]",
    ),
    "numpy": (
        "q1",
        "import numpy as np\ndef deux_couts(p, q, r, s):\n"
        "    return np.array([p*r*(q + s), q*s*(r + p)])",
    ),
    "deux bouts": ("q2", "def exemple(facteur): return [1, 2*facteur, 2*facteur, 2*facteur]"),
    "bien plus qu’il n’en faut": ("q2", "def exemple(facteur): return 1, 10**6, 10**6, 10**6"),
    "goulot": ("q2", "def exemple(facteur): return 1, 4*facteur, 1, 4*facteur"),
    "liste de lignes": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m):\n"
        "    return [engine.Lop(y, x, e) for e in np.eye(m)]",
    ),
    "gradients": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m):\n"
        "    return T.stack([engine.grad(y[i], x) for i in range(m)])",
    ),
    "jacobian": (
        "q3",
        ENGINE + "def jacobienne_par_lop(y, x, m): return engine.gradient.jacobian(y, x)",
    ),
    "transposée rendue droite": (
        "q4",
        ENGINE + "def jacobienne_par_rop(y, x, n):\n"
        "    return T.stack([engine.Rop(y, x, e) for e in np.eye(n)]).T",
    ),
    "colonnes côte à côte": (
        "q4",
        ENGINE + "def jacobienne_par_rop(y, x, n):\n"
        "    c = [engine.Rop(y, x, e).reshape((-1, 1)) for e in np.eye(n)]\n"
        "    return T.concatenate(c, axis=1)",
    ),
    "mémoïsée": ("q5", BEST + "    return cout, ordre"),
    "table, par longueurs croissantes": (
        "q5",
        "def meilleur_ordre(t):\n    n = len(t) - 1\n"
        "    c = {(i, i + 1): (0, i + 1) for i in range(n)}\n"
        "    for pas in range(2, n + 1):\n        for i in range(n - pas + 1):\n"
        "            j = i + pas\n"
        "            k = min(range(i + 1, j),\n"
        "                    key=lambda k: c[i, k][0] + c[k, j][0] + t[i]*t[k]*t[j])\n"
        "            c[i, j] = (c[i, k][0] + c[k, j][0] + t[i]*t[k]*t[j],\n"
        "                       [c[k, j][1], c[i, k][1]])\n"
        "    return c[0, n]",
    ),
}
