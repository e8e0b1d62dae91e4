"""Les réponses essayées à l’exercice 09, justes et fausses (`test_answers`)."""

POINTS = {"q1": 3, "q2": 3, "q3": 2, "q4": 3, "q5": 3}
HEAD = "import numpy as np\nimport engine\nimport engine.tensor as T\n"

LOSS = (
    HEAD
    + "def perte_masquee(p, cibles, masque):\n"
    + "    lignes = p.reshape((-1, p.shape[2]))\n"
    + "    y, m = cibles.flatten(), masque.flatten()\n"
    + "    logs = T.log(lignes)[T.arange(y.shape[0]), y]\n"
    + "    return "
)
ONE_HOT = (
    HEAD
    + "def perte_masquee(p, cibles, masque):\n"
    + "    bonnes = T.eq(T.arange(p.shape[2]), cibles.dimshuffle(0, 1, 'x'))\n"
    + "    logs = T.sum(bonnes * T.log(p), axis=2)\n"
    + "    return "
)
TEMPER = HEAD + "def temperer(p, temperature):\n"
STABLE = (
    TEMPER
    + "    logs = np.log(p.astype('float64')) / temperature\n"
    + "    q = np.exp(logs - logs.max())\n"
)
MATRIX = HEAD + "def orthogonale(n, hasard):\n    a = hasard.normal(size=(n, n))\n    return "
CLIP = (
    HEAD
    + "def borner(gradients, borne):\n"
    + "    norme = T.sqrt(sum(T.sum(g ** 2) for g in gradients))\n"
    + "    return "
)
STEP = (
    HEAD
    + "def un_pas_couple(projete, h, c, U):\n"
    + "    n = h.shape[1]\n"
    + "    tout = projete + T.dot(h, U)\n"
    + "    i, o, g = [tout[:, k * n:(k + 1) * n] for k in {order}]\n"
    + "    i, o = T.nnet.sigmoid(i), T.nnet.sigmoid(o)\n"
    + "    c = {cell}\n"
    + "    h = {state}\n"
    + "    return {answer}\n"
)
RULE = dict(
    order="(0, 1, 2)",
    cell="(1 - i) * c + i * T.nnet.softsign(g)",
    state="o * T.nnet.softsign(c)",
    answer="h, c",
)


def step(**changes):
    return STEP.format(**{**RULE, **changes})


RIGHT = {
    "aplatir": ("q1", LOSS + "-T.sum(logs * m) / T.sum(m)"),
    "un seul vrai": ("q1", ONE_HOT + "-T.sum(logs * masque) / T.sum(masque)"),
    "entropie croisée du moteur": (
        "q1",
        LOSS + "T.sum(T.nnet.categorical_crossentropy(lignes, y) * m) / m.sum()",
    ),
    "indices du masque": ("q1", LOSS + "-T.mean(logs[m.nonzero()])"),
    "trois indices": (
        "q1",
        HEAD
        + "def perte_masquee(p, cibles, masque):\n"
        + "    t = T.arange(p.shape[0]).dimshuffle(0, 'x')\n"
        + "    k = T.arange(p.shape[1]).dimshuffle('x', 0)\n"
        + "    return -(T.log(p[t, k, cibles]) * masque).sum() / masque.sum()",
    ),
    "logarithmes décalés": ("q2", STABLE + "    return q / q.sum()"),
    "puissance du rapport": (
        "q2",
        TEMPER + "    q = (p.astype(float) / p.max()) ** (1 / temperature)\n    return q / q.sum()",
    ),
    "log-somme": (
        "q2",
        TEMPER
        + "    logs = np.log(p.astype('float64')) / temperature\n"
        + "    return np.exp(logs - np.logaddexp.reduce(logs))",
    ),
    "qr": ("q3", MATRIX + "np.linalg.qr(a)[0]"),
    "qr, signes compris": (
        "q3",
        HEAD
        + "def orthogonale(n, hasard):\n"
        + "    q, r = np.linalg.qr(hasard.normal(size=(n, n)))\n"
        + "    return q * np.sign(np.diag(r))",
    ),
    "svd": ("q3", MATRIX + "np.linalg.svd(a)[0]"),
    "float32": ("q3", MATRIX + "np.linalg.qr(a)[0].astype('float32')"),
    "celle du moteur": (
        "q3",
        "from engine.nn.initializers import orthogonal\n"
        "def orthogonale(n, hasard):\n    return orthogonal((n, n), hasard)",
    ),
    "maximum": ("q4", CLIP + "[g * borne / T.maximum(norme, borne) for g in gradients]"),
    "switch": (
        "q4",
        CLIP + "[T.switch(norme > borne, g * borne / T.maximum(norme, borne), g) "
        "for g in gradients]",
    ),
    "minimum": (
        "q4",
        CLIP + "[g * T.minimum(1, borne / (norme + 1e-12)) for g in gradients]",
    ),
    "division par zéro, mais infinie": (
        "q4",
        CLIP + "[g * T.minimum(1, borne / norme) for g in gradients]",
    ),
    "celle du moteur, borne": (
        "q4",
        "from engine.nn.gradients import clip_by_global_norm\n"
        "def borner(gradients, borne):\n    return clip_by_global_norm(gradients, borne)",
    ),
    "couplée": ("q5", step()),
    "couplée, factorisée": ("q5", step(cell="c + i * (T.nnet.softsign(g) - c)")),
    "softsign à la main": ("q5", step(cell="(1 - i) * c + i * (g / (1 + abs(g)))")),
    "liste": ("q5", step(answer="[h, c]")),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "masque oublié": ("q1", LOSS + "-T.mean(logs)", 1, "Le bord compte"),
    "moyenne de tout": ("q1", LOSS + "-T.mean(logs * m)", 1, "somme du masque"),
    "somme": ("q1", LOSS + "-T.sum(logs * m)", 0, "somme"),
    "signe": ("q1", LOSS + "T.sum(logs * m) / T.sum(m)", 0, "signe"),
    "par suite": ("q1", LOSS + "-T.sum(logs * m) / masque.shape[1]", 0, "nombre de suites"),
    "moyenne des suites": (
        "q1",
        ONE_HOT + "-T.mean(T.sum(logs * masque, axis=0) / T.sum(masque, axis=0))",
        1,
        "suite par suite",
    ),
    "bits": ("q1", LOSS + "-T.sum(logs * m) / T.sum(m) / 0.6931472", 0, "nats"),
    "toutes les classes": ("q1", LOSS + "-T.sum(T.log(lignes).mean(axis=1) * m) / T.sum(m)", 0, ""),
    "pas de division": ("q2", STABLE + "    return q", 0, "division par la somme"),
    "float32 gardé": (
        "q2",
        TEMPER
        + "    logs = np.log(p) / np.float32(temperature)\n"
        + "    q = np.exp(logs - logs.max())\n    return q / q.sum()",
        2,
        "float64",
    ),
    "à l’envers": (
        "q2",
        TEMPER + "    q = p.astype(float) ** temperature\n    return q / q.sum()",
        2,
        "à l’envers",
    ),
    "sans logarithme": (
        "q2",
        TEMPER + "    q = np.exp(p.astype(float) / temperature)\n    return q / q.sum()",
        1,
        "logarithmes",
    ),
    "température oubliée": (
        "q2",
        TEMPER + "    q = p.astype(float)\n    return q / q.sum()",
        2,
        "",
    ),
    "puissances qui s’annulent": (
        "q2",
        TEMPER + "    q = p.astype(float) ** (1 / temperature)\n    return q / q.sum()",
        2,
        "zéro divisé par zéro",
    ),
    "le plus probable": ("q2", TEMPER + "    return np.eye(len(p))[p.argmax()]", 1, ""),
    "entrée modifiée": (
        "q2",
        TEMPER
        + "    p[:] = p / 2\n    logs = np.log(p.astype(float)) / temperature\n"
        + "    q = np.exp(logs - logs.max())\n    return q / q.sum()",
        0,
        "copie",
    ),
    "au hasard": ("q3", MATRIX + "a", 1, "longueur"),
    "colonnes normées": ("q3", MATRIX + "a / np.linalg.norm(a, axis=0)", 1, "longueur"),
    "r": ("q3", MATRIX + "np.linalg.qr(a)[1]", 1, "longueur"),
    "l’identité": ("q3", MATRIX + "np.eye(n)", 1, "graine"),
    "permutation": ("q3", MATRIX + "np.eye(n)[hasard.permutation(n)]", 1, "mélange"),
    "son propre hasard": (
        "q3",
        HEAD
        + "def orthogonale(n, hasard):\n"
        + "    return np.linalg.qr(np.random.default_rng().normal(size=(n, n)))[0]",
        1,
        "graine",
    ),
    "graine fixe": (
        "q3",
        HEAD
        + "def orthogonale(n, hasard):\n"
        + "    return np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]",
        1,
        "deux graines",
    ),
    "gain de deux": ("q3", MATRIX + "2 * np.linalg.qr(a)[0]", 1, "longueur"),
    "rien": ("q4", CLIP + "gradients", 1, "n’a pas changé"),
    "par valeur": ("q4", CLIP + "[T.clip(g, -borne, borne) for g in gradients]", 1, "direction"),
    "chacun à part": (
        "q4",
        HEAD
        + "def borner(gradients, borne):\n"
        + "    return [g * borne / T.maximum(T.sqrt(T.sum(g ** 2)), borne) for g in gradients]",
        1,
        "à part",
    ),
    "toujours": ("q4", CLIP + "[g * borne / norme for g in gradients]", 2, "assez petits"),
    "norme de un": (
        "q4",
        CLIP + "[T.switch(norme > borne, g / T.maximum(norme, 1e-9), g) for g in gradients]",
        1,
        "aussi par la borne",
    ),
    "racine oubliée": (
        "q4",
        HEAD
        + "def borner(gradients, borne):\n"
        + "    norme = sum(T.sum(g ** 2) for g in gradients)\n"
        + "    return [g * borne / T.maximum(norme, borne) for g in gradients]",
        1,
        "racine",
    ),
    "zéro sur zéro": (
        "q4",
        CLIP + "[g / norme * T.minimum(norme, borne) for g in gradients]",
        2,
        "zéro divisé par zéro",
    ),
    "tanh": (
        "q5",
        step(cell="(1 - i) * c + i * T.tanh(g)", state="o * T.tanh(c)"),
        0,
        "softsign",
    ),
    "porte à l’envers": ("q5", step(cell="i * c + (1 - i) * T.nnet.softsign(g)"), 0, "à l’envers"),
    "états échangés": ("q5", step(answer="c, h"), 0, "échangés"),
    "blocs échangés": ("q5", step(order="(1, 0, 2)"), 0, "ordre des blocs"),
    "oubli total": ("q5", step(cell="i * T.nnet.softsign(g)"), 0, ""),
    "rien oublié": ("q5", step(cell="c + i * T.nnet.softsign(g)"), 0, ""),
    "cellule montrée": ("q5", step(state="o * c"), 0, ""),
    "une unité en dur": (
        "q5",
        step(order="(0, 1, 2)").replace("n = h.shape[1]", "n = 1"),
        1,
        "",
    ),
}

DTYPES = {0: "float64", 1: "float32", 2: "float32"}
