"""Les réponses essayées à l’exercice 10, justes et fausses (`test_answers`)."""

POINTS = {"q1": 2, "q2": 3, "q3": 3, "q4": 4}
HEAD = "import numpy as np\ncuda = None\nFILS, TUILE = 8, 2\n"

FLOOR = "def plancher_produit(m, k, n, debit, octets):\n    return "
WORK, MOVE = "2 * m * k * n / debit", "4 * (m * k + k * n + m * n) / octets"

MAP = "def mon_noyau(sortie, x, y, a):\n"
BODY = "        sortie[i] = max(a * x[i] + y[i], 0)\n"

SUM = """
def somme_du_bloc(sortie, x):
    t = cuda.threadIdx.x
    s = cuda.shared.array(FILS, np.float32)
    m = 0.0
    for i in {part}:
        m += x[i]
    s[t] = m
    {first}
    d = FILS // 2
    while d > 0:
        if t < d:
            s[t] += s[t + d]
        {second}
        d //= 2
    if t == 0:
        sortie[0] {write} s[0]
"""
SUM_PARTS = dict(
    part="range(t, x.size, FILS)",
    first="cuda.syncthreads()",
    second="cuda.syncthreads()",
    write="=",
)

TILES = """
def produit_tuile(c, a, b):
    j, i = cuda.grid(2)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    p = cuda.shared.array((TUILE, TUILE), np.float32)
    q = cuda.shared.array((TUILE, TUILE), np.float32)
    {leave}
    total = 0.0
    for d in range(0, {end}, TUILE):
        p[y, x] = a[{a_index}] if {in_a} else 0
        q[y, x] = b[{b_index}] if {in_b} else 0
        {first}
        for k in range(TUILE):
            total {add} p[y, k] * q[k, x]
        {second}
    if {inside}:
        c[i, j] = total
"""
TILE_PARTS = dict(
    leave="",
    end="a.shape[1]",
    a_index="i, d + x",
    b_index="d + y, j",
    in_a="i < a.shape[0] and d + x < a.shape[1]",
    in_b="d + y < b.shape[0] and j < b.shape[1]",
    first="cuda.syncthreads()",
    second="cuda.syncthreads()",
    add="+=",
    inside="i < c.shape[0] and j < c.shape[1]",
)


def summing(**changes):
    return HEAD + SUM.format(**{**SUM_PARTS, **changes})


def tiling(**changes):
    return HEAD + TILES.format(**{**TILE_PARTS, **changes})


def mapping(body):
    return HEAD + MAP + body


GUARDED = "    i = cuda.grid(1)\n    if i < sortie.size:\n"
BY_HAND = "    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x\n"
NAIVE = """
def produit_tuile(c, a, b):
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total
"""
THREAD_ZERO = """
def somme_du_bloc(sortie, x):
    t = cuda.threadIdx.x
    s = cuda.shared.array(FILS, np.float32)
    s[t] = 0
    for i in range(t, x.size, cuda.blockDim.x):
        s[t] += x[i]
    cuda.syncthreads()
    if t == 0:
        total = 0.0
        for k in range(FILS):
            total += s[k]
        sortie[0] = total
"""
ATOMIC = """
def somme_du_bloc(sortie, x):
    t = cuda.threadIdx.x
    if t == 0:
        sortie[0] = 0
    cuda.syncthreads()
    for i in range(t, x.size, FILS):
        cuda.atomic.add(sortie, 0, x[i])
"""
DOUBLING = SUM.replace("d = FILS // 2", "d = 1").replace("while d > 0", "while d < FILS")
DOUBLING = DOUBLING.replace("if t < d:", "if t % (2 * d) == 0:").replace("d //= 2", "d *= 2")
ALONE = """
def somme_du_bloc(sortie, x):
    if cuda.threadIdx.x == 0:
        total = 0.0
        for i in range(x.size):
            total += x[i]
        sortie[0] = total
"""
ALL_ADD = """
def somme_du_bloc(sortie, x):
    t = cuda.threadIdx.x
    if t == 0:
        sortie[0] = 0
    cuda.syncthreads()
    for i in range(t, x.size, FILS):
        sortie[0] += x[i]
"""
BARRIER_INSIDE = SUM.replace("        {second}\n", "            {second}\n")

RIGHT = {
    "le plus long des deux": ("q1", FLOOR + f"max({WORK}, {MOVE})"),
    "par l’intensité": (
        "q1",
        "def plancher_produit(m, k, n, debit, octets):\n"
        "    f, o = 2.0 * m * n * k, 4 * (m * (k + n) + k * n)\n"
        "    return f / debit if f / o > debit / octets else o / octets",
    ),
    "garde": ("q2", mapping(GUARDED + BODY)),
    "indice à la main": ("q2", mapping(BY_HAND + "    if i < x.shape[0]:\n" + BODY)),
    "sortie anticipée": (
        "q2",
        mapping("    i = cuda.grid(1)\n    if i >= len(x):\n        return\n" + BODY[4:]),
    ),
    "pas de grille": (
        "q2",
        mapping("    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):\n" + BODY),
    ),
    "sans max": (
        "q2",
        mapping(
            GUARDED
            + "        v = a * x[i] + y[i]\n        sortie[i] = v if v > 0 else np.float32(0)"
        ),
    ),
    "arbre": ("q3", summing()),
    "arbre qui double": ("q3", HEAD + DOUBLING.format(**SUM_PARTS)),
    "le fil 0 finit": ("q3", HEAD + THREAD_ZERO),
    "atomique": ("q3", HEAD + ATOMIC),
    "tuiles": ("q4", tiling()),
    "bornes des autres matrices": (
        "q4",
        tiling(in_a="i < c.shape[0] and d + x < b.shape[0]", inside="i < len(a) and j < len(b[0])"),
    ),
    "double crochet": ("q4", tiling(a_index="i][d + x", b_index="d + y][j")),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "somme des deux": ("q1", FLOOR + f"{WORK} + {MOVE}", 0, "même temps"),
    "le plus court": ("q1", FLOOR + f"min({WORK}, {MOVE})", 0, "plus courte"),
    "additions oubliées": ("q1", FLOOR + f"max(m * k * n / debit, {MOVE})", 1, "deux opérations"),
    "nombres pour des octets": (
        "q1",
        FLOOR + f"max({WORK}, (m * k + k * n + m * n) / octets)",
        1,
        "quatre octets",
    ),
    "sortie oubliée": ("q1", FLOOR + f"max({WORK}, 4 * (m * k + k * n) / octets)", 1, "la sortie"),
    "lectures du naïf": ("q1", FLOOR + f"max({WORK}, 8 * m * k * n / octets)", 1, ""),
    "calcul seul": ("q1", FLOOR + WORK, 1, "plus courte"),
    "mémoire seule": ("q1", FLOOR + MOVE, 1, "plus courte"),
    "sans garde": ("q2", mapping("    i = cuda.grid(1)\n" + BODY[4:]), 2, "hors des bornes"),
    "garde trop large": (
        "q2",
        mapping("    i = cuda.grid(1)\n    if i <= sortie.size:\n" + BODY),
        2,
        "hors des bornes",
    ),
    "garde trop étroite": (
        "q2",
        mapping("    i = cuda.grid(1)\n    if i < sortie.size - 1:\n" + BODY),
        0,
        "rien n’est écrit",
    ),
    "fil dans son bloc": (
        "q2",
        mapping("    i = cuda.threadIdx.x\n    if i < sortie.size:\n" + BODY),
        1,
        "rien n’est écrit",
    ),
    "bloc et fil échangés": (
        "q2",
        mapping(
            "    i = cuda.threadIdx.x * cuda.blockDim.x + cuda.blockIdx.x\n"
            "    if i < sortie.size:\n" + BODY
        ),
        1,
        "",
    ),
    "tout par chacun": ("q2", mapping("    for i in range(sortie.size):\n" + BODY), 0, "course"),
    "sans maximum": (
        "q2",
        mapping(GUARDED + "        sortie[i] = a * x[i] + y[i]"),
        0,
        "maximum",
    ),
    "maximum trop tôt": (
        "q2",
        mapping(GUARDED + "        sortie[i] = a * max(x[i], 0) + y[i]"),
        0,
        "",
    ),
    "rien n’est écrit": ("q2", mapping(GUARDED + "        v = a * x[i] + y[i]"), 0, "rien"),
    "première barrière oubliée": ("q3", summing(first="pass"), 0, "barrière"),
    "barrières de l’arbre oubliées": ("q3", summing(second="pass"), 0, "barrière"),
    "barrière pour la moitié": ("q3", HEAD + BARRIER_INSIDE.format(**SUM_PARTS), 0, "syncthreads"),
    "un seul élément par fil": ("q3", summing(part="range(t, t + 1)"), 1, "hors des bornes"),
    "un seul tour, gardé": (
        "q3",
        summing(part="range(t, min(t + 1, x.size))"),
        1,
        "plusieurs éléments",
    ),
    "dernier tour oublié": (
        "q3",
        summing(part="range(t, x.size // FILS * FILS, FILS)"),
        2,
        "attendu",
    ),
    "le fil 0 fait tout": ("q3", HEAD + ALONE, 2, "chacun en lit"),
    "tous font tout": ("q3", summing(part="range(x.size)"), 0, "attendu"),
    "ajout à la sortie": ("q3", summing(write="+="), 0, "contenait"),
    "tous ajoutent": ("q3", HEAD + ALL_ADD, 0, "Course"),
    "naïf": ("q4", HEAD + NAIVE, 2, "mémoire partagée"),
    "première barrière du produit": ("q4", tiling(first="pass"), 0, "barrière|course|Course"),
    "seconde barrière du produit": ("q4", tiling(second="pass"), 1, "ourse"),
    "fils partis trop tôt": (
        "q4",
        tiling(leave="if i >= c.shape[0] or j >= c.shape[1]: return"),
        3,
        "syncthreads",
    ),
    "bord de a": ("q4", tiling(in_a="i < a.shape[0]"), 3, "hors des bornes"),
    "bord de b": ("q4", tiling(in_b="j < b.shape[1]"), 3, "hors des bornes"),
    "bord de c": ("q4", tiling(inside="True"), 3, "hors des bornes"),
    "tuile incomplète oubliée": ("q4", tiling(end="a.shape[1] // TUILE * TUILE"), 3, "attendu"),
    "tuile de a retournée": ("q4", tiling(a_index="d + x, i"), 1, ""),
    "première tuile seule": ("q4", tiling(end="TUILE"), 0, "avancez"),
    "dernière tuile seule": ("q4", tiling(add="="), 0, ""),
    "indice global de la tuile": ("q4", tiling(a_index="i, d + j"), 0, ""),
}
