"""Les réponses essayées à l’exercice 07, justes et fausses (`test_answers`)."""

POINTS = {"q1": 3, "q2": 3, "q3": 3, "q4": 3}
DTYPES = {0: "float64", 1: "float32", 2: "float32"}
CONV = (
    "import numpy as np\n"
    "def convolution(image, filtre):\n"
    "    h, l = filtre.shape\n"
    "    rendu = np.zeros((image.shape[0] - h + {more}, image.shape[1] - l + {more}){dtype})\n"
    "    f = {flipped}\n"
    "    for i in range(rendu.shape[0]):\n"
    "        for j in range(rendu.shape[1]):\n"
    "            rendu[i, j] = (image[i : i + h, j : j + l] * f).sum()\n"
    "    return rendu\n"
)
COUNT = (
    "def nombre_de_parametres(cote, filtres, taille, cachees, classes):\n"
    "    total, canaux = 0, 1\n"
    "    for n in filtres:\n"
    "        total += {stage}\n"
    "        cote = {side}\n"
    "        canaux = n\n"
    "    return total + {dense}\n"
)
POOL = "import engine.tensor as T\ndef plus_grands(cartes):\n"
FOUR = POOL + "    c = [cartes[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]\n    return "
STAGES = (
    "import engine.tensor as T\n"
    "from engine import nn\n"
    "def trois_etages(filtres, generateur):\n"
    "    a, b, c = filtres\n"
    "    return nn.chain(\n"
    "        nn.Convolution(1, a, 5, generator={first}), nn.Pooling(2), {f},\n"
    "        nn.Convolution(a, b, 5, generator=generateur), nn.Pooling(2), {f},\n"
    "        nn.Convolution(b, c, {size}, generator=generateur{mode}){last},\n"
    "    )\n"
)


def convolving(**changes):
    return CONV.format(**{**dict(more=1, dtype="", flipped="filtre[::-1, ::-1]"), **changes})


def counting(**changes):
    usual = dict(
        stage="n * (canaux * taille * taille + 1)",
        side="(cote - taille + 1) // 2",
        dense="(canaux * cote * cote + 1) * cachees + (cachees + 1) * classes",
    )
    return COUNT.format(**{**usual, **changes})


def staging(**changes):
    usual = dict(first="generateur", size=3, mode=", border_mode='half'", f="T.tanh")
    usual["last"] = ", nn.Pooling(2), {f}".format(**{**usual, **changes})
    return STAGES.format(**{**usual, **changes})


RIGHT = {
    "deux boucles": ("q1", convolving()),
    "rot90": ("q1", convolving(flipped="np.rot90(filtre, 2)")),
    "quatre boucles": (
        "q1",
        "import numpy as np\n"
        "def convolution(image, filtre):\n"
        "    (H, L), (h, l) = image.shape, filtre.shape\n"
        "    return [[sum(image[i + u, j + v] * filtre[h - 1 - u, l - 1 - v]\n"
        "                 for u in range(h) for v in range(l))\n"
        "             for j in range(L - l + 1)] for i in range(H - h + 1)]\n",
    ),
    "fenêtres glissantes": (
        "q1",
        "import numpy as np\n"
        "def convolution(image, filtre):\n"
        "    f = np.lib.stride_tricks.sliding_window_view(image, filtre.shape)\n"
        "    return (f * filtre[::-1, ::-1]).sum(axis=(2, 3))\n",
    ),
    "par le moteur": (
        "q1",
        "import engine.tensor as T\n"
        "def convolution(image, filtre):\n"
        "    x, f = (a[None, None].astype(float) for a in (image, filtre))\n"
        "    return T.nnet.conv2d(T.constant(x), T.constant(f)).eval()[0, 0]\n",
    ),
    "la formule": ("q2", counting()),
    "biais à part": ("q2", counting(stage="n * canaux * taille**2 + n")),
    "par les couches": (
        "q2",
        "import numpy as np\n"
        "import engine.tensor as T\n"
        "from engine import nn\n"
        "def nombre_de_parametres(cote, filtres, taille, cachees, classes):\n"
        "    g, c, couches = np.random.default_rng(0), 1, []\n"
        "    for n in filtres:\n"
        "        couches += [nn.Convolution(c, n, taille, generator=g), nn.Pooling(2)]\n"
        "        c, cote = n, (cote - taille + 1) // 2\n"
        "    couches += [nn.Dense(c * cote * cote, cachees, generator=g)]\n"
        "    couches += [nn.Dense(cachees, classes, generator=g)]\n"
        "    return sum(p.get_value().size for p in nn.chain(*couches).parameters)\n",
    ),
    "quatre coins": ("q3", FOUR + "T.maximum(T.maximum(c[0], c[1]), T.maximum(c[2], c[3]))"),
    "lignes puis colonnes": (
        "q3",
        POOL + "    h = T.maximum(cartes[:, :, ::2], cartes[:, :, 1::2])\n"
        "    return T.maximum(h[:, :, :, ::2], h[:, :, :, 1::2])",
    ),
    "par reshape": (
        "q3",
        POOL + "    n, c, h, l = cartes.shape\n"
        "    return cartes.reshape((n, c, h // 2, 2, l // 2, 2)).max(axis=(3, 5))",
    ),
    "switch": (
        "q3",
        POOL + "    plus = lambda a, b: T.switch(a > b, a, b)\n"
        "    h = plus(cartes[:, :, ::2], cartes[:, :, 1::2])\n"
        "    return plus(h[:, :, :, ::2], h[:, :, :, 1::2])",
    ),
    "toute faite": ("q3", POOL + "    return T.signal.pool.pool_2d(cartes, (2, 2), True)"),
    "neuf pièces": ("q4", staging()),
    "bord d’un pixel": ("q4", staging(mode=", border_mode=1")),
    "même taille": ("q4", staging(mode=", border_mode='same'")),
    "activation dans la couche": (
        "q4",
        staging(f="(lambda h: h)")
        .replace("(1, a, 5,", "(1, a, 5, T.tanh,")
        .replace("(a, b, 5,", "(a, b, 5, T.tanh,")
        .replace("(b, c, 3,", "(b, c, 3, T.tanh,"),
    ),
    "tangente avant le maximum": (
        "q4",
        staging(f="T.tanh").replace("nn.Pooling(2), T.tanh", "T.tanh, nn.Pooling(2)"),
    ),
    "une boucle": (
        "q4",
        "import engine.tensor as T\n"
        "from engine import nn\n"
        "def trois_etages(filtres, generateur):\n"
        "    couches, c = [], 1\n"
        "    for n, taille, bord in zip(filtres, (5, 5, 3), ('valid', 'valid', 'half')):\n"
        "        couches.append(\n"
        "            nn.Convolution(c, n, taille, border_mode=bord, generator=generateur))\n"
        "        couches += [nn.Pooling(2), T.tanh]\n"
        "        c = n\n"
        "    return nn.chain(*couches)\n",
    ),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "corrélation": ("q1", convolving(flipped="filtre"), 0, "corrélation"),
    "lignes seulement": ("q1", convolving(flipped="filtre[::-1]"), 1, "colonnes"),
    "colonnes seulement": ("q1", convolving(flipped="filtre[:, ::-1]"), 1, "lignes"),
    "une position oubliée": ("q1", convolving(more=0), 0, "forme"),
    "une position de trop": ("q1", convolving(more=2), 0, "forme"),
    "transposé": ("q1", convolving(flipped="filtre.T[::-1, ::-1]"), 0, "Pour"),
    "tronqué en entiers": ("q1", convolving(dtype=", int"), 2, "attendu"),
    "filtre modifié": (
        "q1",
        convolving(flipped="filtre[::-1, ::-1].copy()").replace(
            "    return", "    filtre[:] = f\n    return"
        ),
        0,
        "modifiés",
    ),
    "biais oubliés": (
        "q2",
        counting(
            stage="n * canaux * taille**2",
            dense="canaux * cote * cote * cachees + cachees * classes",
        ),
        0,
        "manque les biais",
    ),
    "un biais par pixel": (
        "q2",
        counting(stage="n * (canaux * taille**2 + (cote - taille + 1) ** 2)"),
        0,
        "un biais par carte",
    ),
    "sans sous-échantillonnage": ("q2", counting(side="cote - taille + 1"), 0, "par deux"),
    "un canal partout": ("q2", counting(stage="n * (taille**2 + 1)"), 1, "tous les canaux"),
    "dernière couche oubliée": (
        "q2",
        counting(dense="(canaux * cote * cote + 1) * cachees"),
        0,
        "dernière couche",
    ),
    "côtés arrondis au-dessus": ("q2", counting(side="-(-(cote - taille + 1) // 2)"), 2, ""),
    "LeNet par cœur": (
        "q2",
        "def nombre_de_parametres(*tailles): return 431080",
        0,
        "attendu",
    ),
    "moyenne": ("q3", FOUR + "(c[0] + c[1] + c[2] + c[3]) / 4", 0, "la moyenne"),
    "somme": ("q3", FOUR + "c[0] + c[1] + c[2] + c[3]", 0, "la somme"),
    "minimum": (
        "q3",
        FOUR + "T.minimum(T.minimum(c[0], c[1]), T.minimum(c[2], c[3]))",
        0,
        "plus petit",
    ),
    "deux coins": ("q3", FOUR + "T.maximum(c[0], c[3])", 2, "quatre coins"),
    "coin": ("q3", FOUR + "c[0]", 2, "haut à gauche"),
    "valeur absolue": (
        "q3",
        FOUR + "T.maximum(T.maximum(abs(c[0]), abs(c[1])), T.maximum(abs(c[2]), abs(c[3])))",
        2,
        "",
    ),
    "fenêtres qui se chevauchent": (
        "q3",
        POOL + "    return T.signal.pool.pool_2d(cartes, (2, 2), True, stride=(1, 1))",
        1,
        "forme",
    ),
    "maximum de tout": ("q3", POOL + "    return cartes.max(axis=(2, 3))", 0, "forme"),
    "gradient coupé": (
        "q3",
        "import engine\n"
        + POOL
        + "    return T.signal.pool.pool_2d(engine.gradient.zero_grad(cartes), (2, 2), True)",
        2,
        "le gradient",
    ),
    "sans bord": ("q4", staging(mode=""), 0, "garder ses cartes"),
    "5 × 5 avec un bord": ("q4", staging(size=5), 0, "formes des paramètres"),
    "dernier maximum oublié": ("q4", staging(last=", T.tanh"), 0, "maximum du troisième"),
    "relu": ("q4", staging(f="T.nnet.relu"), 1, "relu"),
    "linéaire": ("q4", staging(f="(lambda h: h)"), 1, "tangentes"),
    "dernière tangente oubliée": ("q4", staging(last=", nn.Pooling(2)"), 1, "attendu"),
    "graine en dur": (
        "q4",
        staging(first="__import__('numpy').random.default_rng(0)"),
        2,
        "mêmes poids",
    ),
    "moyenne au lieu du maximum": (
        "q4",
        staging().replace("Pooling(2)", "Pooling(2, mode='average_inc_pad')"),
        1,
        "attendu",
    ),
}
