"""Les réponses essayées à l’exercice 01, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 2, "q3": 3, "q4": 3, "q5": 2}
SEEDS = range(20)
STEPS = "pas_possibles = [10.0**-k for k in range(1, 16)]\n"

WRONG = {
    "2x oublié": (
        "q1",
        "from math import *\ndef derivee(x): return exp(sin(x*x)) * cos(x*x)",
        0,
        "facteur 2x",
    ),
    "cos x pour cos x²": (
        "q1",
        "from math import *\ndef derivee(x): return exp(sin(x*x)) * cos(x) * 2*x",
        0.5,
        "en x², pas en x",
    ),
    "valeur pour dérivée": (
        "q1",
        "from math import *\ndef derivee(x): return exp(sin(x*x))",
        0,
        "pas sa dérivée",
    ),
    "exponentielle oubliée": (
        "q1",
        "from math import *\ndef derivee(x): return cos(x*x) * 2*x",
        0.5,
        "l’exponentielle",
    ),
    "toujours nulle": ("q1", "def derivee(x): return 0.0", 0, "attendu"),
    "différence finie avant": (
        "q1",
        "from math import *\ndef derivee(x, h=1e-8):\n    f = lambda t: exp(sin(t*t))\n"
        "    return (f(x + h) - f(x)) / h",
        1.5,
        "différence finie",
    ),
    "différence finie centrée": (
        "q1",
        "from math import *\ndef derivee(x, h=1e-5):\n    f = lambda t: exp(sin(t*t))\n"
        "    return (f(x + h) - f(x - h)) / (2*h)",
        1.5,
        "différence finie",
    ),
    "extrapolation de Richardson": (
        "q1",
        "from math import *\ndef derivee(x, h=1e-3):\n    f = lambda t: exp(sin(t*t))\n"
        "    d = lambda h: (f(x + h) - f(x - h)) / (2*h)\n    return (4*d(h/2) - d(h)) / 3",
        1.5,
        "différence finie",
    ),
    "biais oublié": (
        "q2",
        "from math import *\ndef passe_avant(x, w, b, c):\n"
        "    z = w*x; a = tanh(z); return z, a, (a - c)**2",
        0,
        "biais",
    ),
    "coût seul": (
        "q2",
        "from math import *\ndef passe_avant(x, w, b, c): return (tanh(w*x + b) - c)**2",
        0,
        "trois nombres",
    ),
    "carré oublié": (
        "q2",
        "from math import *\ndef passe_avant(x, w, b, c):\n"
        "    z = w*x + b; a = tanh(z); return z, a, a - c",
        1,
        "le carré",
    ),
    "sigmoïde pour tanh": (
        "q2",
        "from math import *\ndef passe_avant(x, w, b, c):\n"
        "    z = w*x + b; a = 1/(1 + exp(-z)); return z, a, (a - c)**2",
        0,
        "attendu",
    ),
    "2 oublié": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = (a - c)*(1 - a*a); return d*x, d",
        0,
        "facteur 2",
    ),
    "tanh sautée": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = 2*(a - c); return d*x, d",
        0,
        "étage tanh",
    ),
    "1 − z²": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = 2*(a - c)*(1 - z*z); return d*x, d",
        0,
        "pas 1 − z²",
    ),
    "signe": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = 2*(c - a)*(1 - a*a); return d*x, d",
        0,
        "signe",
    ),
    "x oublié": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = 2*(a - c)*(1 - a*a); return d, d",
        1,
        "à travers x",
    ),
    "ordre inversé": (
        "q3",
        "def passe_arriere(x, c, z, a):\n    d = 2*(a - c)*(1 - a*a); return d, d*x",
        0,
        "attendu",
    ),
    "produit de tout": (
        "q4",
        "from math import prod\ndef somme_des_chemins(f, d, a): return prod(g for _, _, g in f)",
        1,
        "séparez les chemins",
    ),
    "somme de tout": (
        "q4",
        "def somme_des_chemins(f, d, a): return sum(g for _, _, g in f)",
        0,
        "se multiplient",
    ),
    "premier chemin": (
        "q4",
        "def somme_des_chemins(f, d, a):\n    if d == a: return 1.0\n"
        "    for i, j, g in f:\n        if i == d: return g * somme_des_chemins(f, j, a)\n"
        "    return 0.0",
        1,
        "un seul chemin",
    ),
    "plus fort chemin": (
        "q4",
        "def somme_des_chemins(f, d, a):\n    if d == a: return 1.0\n"
        "    return max((g * somme_des_chemins(f, j, a) for i, j, g in f if i == d), default=0.0)",
        1,
        "",
    ),
    "flèches doubles perdues": (
        "q4",
        "def somme_des_chemins(f, d, a):\n    if d == a: return 1.0\n"
        "    g = {(i, j): v for i, j, v in f}\n"
        "    return sum(v * somme_des_chemins(f, j, a) for (i, j), v in g.items() if i == d)",
        2,
        "attendu",
    ),
    "pas trop petit": ("q5", "def meilleur_pas(f, x, d): return 1e-15", 0, "trop petit"),
    "pas trop grand": ("q5", "def meilleur_pas(f, x, d): return 0.1", 0, "trop grand"),
    "même pas pour toutes": ("q5", "def meilleur_pas(f, x, d): return 1e-8", 1, "trop grand"),
    "plus grande erreur": (
        "q5",
        STEPS + "def meilleur_pas(f, x, d):\n"
        "    return max(pas_possibles, key=lambda h: abs((f(x + h) - f(x)) / h - d))",
        0,
        "trop petit",
    ),
    "sans valeur absolue": (
        "q5",
        STEPS + "def meilleur_pas(f, x, d):\n"
        "    return min(pas_possibles, key=lambda h: (f(x + h) - f(x)) / h - d)",
        0,
        "un autre pas",
    ),
    "rang au lieu du pas": ("q5", "def meilleur_pas(f, x, d): return 8", 0, "un pas positif"),
}

RIGHT = {
    "numpy": (
        "q1",
        "import numpy as np\ndef derivee(x):\n"
        "    return 2 * x * np.cos(x**2) * np.exp(np.sin(x**2))",
    ),
    "pas complexe": (
        "q1",
        "import cmath\ndef derivee(x):\n    z = complex(x, 1e-30)\n"
        "    return cmath.exp(cmath.sin(z * z)).imag / 1e-30",
    ),
    "tableau": (
        "q2",
        "import numpy as np\ndef passe_avant(x, w, b, c):\n    z = x*w + b; a = np.tanh(z)\n"
        "    return np.array([z, a, np.square(c - a)])",
    ),
    "cosh": (
        "q3",
        "from math import *\ndef passe_arriere(x, c, z, a):\n"
        "    d = 2*(a - c) / cosh(z)**2; return [x*d, d]",
    ),
    "tanh refaite": (
        "q3",
        "from math import *\ndef passe_arriere(x, c, z, a):\n"
        "    d = -2*(c - tanh(z)) * (1 - tanh(z)**2); return d*x, d",
    ),
    "en arrière": (
        "q4",
        "def somme_des_chemins(f, d, a):\n    if d == a: return 1\n"
        "    total = 0\n    for i, j, g in f:\n        if j == a:\n"
        "            total += g * somme_des_chemins(f, d, i)\n    return total",
    ),
    "boucle": (
        "q5",
        STEPS + "def meilleur_pas(f, x, d):\n    meilleur, moindre = None, float('inf')\n"
        "    for h in pas_possibles:\n        e = abs(d - (f(x + h) - f(x)) / h)\n"
        "        if e < moindre: meilleur, moindre = h, e\n    return meilleur",
    ),
    "numpy, pas écrits autrement": (
        "q5",
        "import numpy as np\ndef meilleur_pas(f, x, d):\n"
        "    h = np.array([float(f'1e-{k}') for k in range(1, 16)])\n"
        "    e = [abs((f(x + t) - f(x)) / t - d) for t in h]\n    return h[np.argmin(e)]",
    ),
}
