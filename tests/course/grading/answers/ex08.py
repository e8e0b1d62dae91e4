"""Les réponses essayées à l’exercice 08, justes et fausses (`test_answers`)."""

POINTS = {"q1": 3, "q2": 3, "q3": 3, "q4": 3}
HEAD = "import engine\nimport engine.tensor as T\nfrom engine.loops import until\n"

SMOOTH = HEAD + (
    "def lissage(x, alpha):\n"
    "    def un_tour(v, m, alpha):\n        return {step}\n"
    "    m, _ = engine.scan(un_tour, x, {start}, alpha)\n    return {answer}\n"
)
OSCILLATE = HEAD + (
    "def oscillateur(depart, c, n):\n"
    "    def un_tour({names}, c):\n        return {step}\n"
    "    u, _ = engine.scan(un_tour, outputs_info=dict(initial=depart, taps={taps}),\n"
    "                       non_sequences=c, n_steps={count})\n    return {answer}\n"
)
HERON = HEAD + (
    "def heron(a, precision):\n"
    "    def un_tour(r):\n        new = {step}\n        return new, until({condition})\n"
    "    r, _ = engine.scan(un_tour, outputs_info={start}, n_steps={count})\n    return {answer}\n"
)
EFFECT = (
    "def effet_de_w(w, h):\n    effet, somme = 1.0, 0.0\n"
    "    for t in {turns}:\n        pente = {slope}\n"
    "        somme += {share}\n        effet = {effect}\n    return somme\n"
)


def smoothing(step="alpha * m + (1 - alpha) * v", start="T.constant(0.0)", answer="m"):
    return SMOOTH.format(step=step, start=start, answer=answer)


def oscillating(names="u, v", step="c * v - u", taps="[-2, -1]", count="n", answer="u"):
    return OSCILLATE.format(names=names, step=step, taps=taps, count=count, answer=answer)


def approximating(
    step="(r + a / r) / 2",
    condition="abs(new**2 - a) <= precision * a",
    start="a",
    count="50",
    answer="r",
):
    return HERON.format(step=step, condition=condition, start=start, count=count, answer=answer)


def climbing(
    turns="range(len(h) - 1, 0, -1)",
    slope="1 - h[t] ** 2",
    share="effet * pente * h[t - 1]",
    effect="effet * pente * w",
):
    return EFFECT.format(turns=turns, slope=slope, share=share, effect=effect)


RIGHT = {
    "un scan": ("q1", smoothing()),
    "par l’écart": ("q1", smoothing("m + (1 - alpha) * (v - m)")),
    "état tiré de x": ("q1", smoothing(start="T.zeros_like(x[0])")),
    "fermeture": (
        "q1",
        HEAD + "def lissage(x, alpha):\n"
        "    return engine.scan(lambda v, m: alpha * m + (1 - alpha) * v, x, T.constant(0.0))[0]",
    ),
    "sans boucle": (
        "q1",
        HEAD + "def lissage(x, alpha):\n    t = T.arange(x.shape[0])\n"
        "    age = t.dimshuffle(0, 'x') - t.dimshuffle('x', 0)\n"
        "    poids = T.switch(age >= 0, (1 - alpha) * alpha ** T.maximum(age, 0), 0.0)\n"
        "    return T.dot(poids, x)",
    ),
    "deux retards": ("q2", oscillating()),
    "retards dans l’autre ordre": ("q2", oscillating(names="v, u", taps="[-1, -2]")),
    "deux états": (
        "q2",
        HEAD + "def oscillateur(depart, c, n):\n"
        "    (_, u), _ = engine.scan(lambda u, v: (v, c * v - u),\n"
        "                            outputs_info=[depart[0], depart[1]], n_steps=n)\n"
        "    return u",
    ),
    "la racine": ("q3", approximating()),
    "autre écriture": ("q3", approximating("r - (r**2 - a) / (2 * r)")),
    "condition relative": ("q3", approximating(condition="abs(new**2 / a - 1) <= precision")),
    "départ à 1, même suite": ("q3", approximating(start="T.ones_like(a)")),
    "condition passée par l’état": (
        "q3",
        HEAD + "def heron(a, precision):\n    def un_tour(r, a, precision):\n"
        "        r = 0.5 * (r + a / r)\n"
        "        return r, until(T.le(T.abs(r * r - a), precision * a))\n"
        "    return engine.scan(un_tour, None, [a], [a, precision], n_steps=50)[0]",
    ),
    "la remontée": ("q4", climbing()),
    "à l’aller": (
        "q4",
        "def effet_de_w(w, h):\n    d = 0\n    for a, b in zip(h, h[1:]):\n"
        "        d = (1 - b * b) * (a + w * d)\n    return d",
    ),
    "récursion": (
        "q4",
        "def effet_de_w(w, h):\n    if len(h) < 2:\n        return 0\n"
        "    return (1 - h[-1] ** 2) * (h[-2] + w * effet_de_w(w, h[:-1]))",
    ),
}

# nom : (question, réponse, points au plus, ce que doit dire le retour)
WRONG = {
    "alpha de l’autre côté": ("q1", smoothing("alpha * v + (1 - alpha) * m"), 0, "la mémoire m"),
    "départ à x[0]": ("q1", smoothing(start="x[0]"), 1, "m part de 0"),
    "mémoire perdue": ("q1", smoothing("(1 - alpha) * v + 0 * m"), 0, "d’un tour au suivant"),
    "somme cumulée": ("q1", smoothing("m + v"), 0, "somme cumulée"),
    "dernière valeur seule": ("q1", smoothing(answer="m[-1]"), 0, "un seul nombre"),
    "couple de scan": ("q1", smoothing(answer="m, _"), 0, "ne gardez que les sorties"),
    "moyenne de tout": ("q1", HEAD + "def lissage(x, alpha): return x * 0 + x.mean()", 0, "Pour"),
    "la suite telle quelle": ("q1", "def lissage(x, alpha): return x", 0, "Pour"),
    "départ dans la réponse": (
        "q1",
        smoothing(answer="T.concatenate([T.zeros((1,)), m])"),
        1,
        "forme",
    ),
    "termes échangés": ("q2", oscillating(step="c * u - v"), 0, "sont échangés"),
    "signe": ("q2", oscillating(step="c * v + u"), 0, "se retranche"),
    "un seul retard": (
        "q2",
        HEAD + "def oscillateur(depart, c, n):\n"
        "    return engine.scan(lambda v, c: c * v, None, depart[1], c, n_steps=n)[0]",
        0,
        "encore avant",
    ),
    "retards sans le dire": ("q2", oscillating(taps="[-1, -2]"), 0, "sont échangés"),
    "départ rendu": ("q2", oscillating(answer="T.concatenate([depart, u])"), 0, "forme"),
    "boucle de Python": (
        "q2",
        HEAD + "def oscillateur(depart, c, n):\n    u = [depart[0], depart[1]]\n"
        "    for _ in range(n):\n        u.append(c * u[-1] - u[-2])\n    return T.stack(u[2:])",
        0,
        "scan prennent une variable",
    ),
    "nombre de tours figé": ("q2", oscillating(count="6"), 0, "forme"),
    "une forme, un seul tour de trop": ("q2", oscillating(count="n + 1"), 0, "forme"),
    "le cosinus": (
        "q2",
        HEAD + "def oscillateur(depart, c, n):\n"
        "    return T.cos((T.arange(n) + 2) * T.arccos(c / 2))",
        1,
        "attendu",
    ),
    "jamais d’arrêt": (
        "q3",
        HEAD + "def heron(a, precision):\n"
        "    return engine.scan(lambda r: (r + a / r) / 2, outputs_info=a, n_steps=50)[0]",
        1,
        "n’a jamais servi",
    ),
    "nombre de tours oublié": ("q3", approximating(count="None"), 0, "combien de pas"),
    "un tour de trop": (
        "q3",
        approximating(condition="abs(r**2 - a) <= precision * a"),
        1,
        "trop tard",
    ),
    "condition renversée": (
        "q3",
        approximating(condition="abs(new**2 - a) > precision * a"),
        0,
        "pas encore atteinte",
    ),
    "précision absolue": ("q3", approximating(condition="abs(new**2 - a) <= precision"), 2, ""),
    "précision ignorée": ("q3", approximating(condition="abs(new**2 - a) <= 1e-6 * a"), 2, ""),
    "dernière valeur": ("q3", approximating(answer="r[-1]"), 0, "la suite des valeurs"),
    "moitié oubliée": ("q3", approximating(step="r + a / r"), 0, ""),
    "la racine directement": (
        "q3",
        HEAD + "def heron(a, precision): return T.stack([T.sqrt(a)])",
        1,
        "pas encore atteinte",
    ),
    "pente oubliée": ("q4", climbing(slope="1"), 0, "la pente de tanh"),
    "pente au mauvais bout": ("q4", climbing(slope="1 - h[t - 1] ** 2"), 0, "à l’arrivée"),
    "état d’arrivée": ("q4", climbing(share="effet * pente * h[t]"), 0, "l’état d’avant"),
    "dernier tour seul": ("q4", climbing(turns="[len(h) - 1]"), 1, "dernier tour seul"),
    "premier tour seul": (
        "q4",
        climbing(share="(t == 1) * effet * pente * h[t - 1]"),
        1,
        "premier tour seul",
    ),
    "w oublié au retour": ("q4", climbing(effect="effet * pente"), 1, "multiplié par w"),
    "pente oubliée au retour": ("q4", climbing(effect="effet * w"), 1, "par la pente"),
    "parts sans effet": ("q4", climbing(share="pente * h[t - 1]"), 1, "traverse aussi le second"),
    "effet de l’état": ("q4", climbing(share="pente * w"), 0, "celui de w"),
    "dans l’autre sens": ("q4", climbing(turns="range(1, len(h))"), 1, "attendu"),
}
