"""Exercice 07, le réseau convolutif : vérifications publiques.

Quatre questions : `convolution` (q1), `nombre_de_parametres` (q2), `plus_grands` (q3),
`trois_etages` (q4). Les sondes de `probes07` donnent des tableaux, compilent et dérivent chez
l’élève ; seuls des nombres reviennent. Les réponses essayées, justes et fausses, sont dans
`tests/course/grading/answers/ex07.py`.
"""

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("07_reseau_convolutif")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe

_FLOAT32 = dict(rel=1e-3, near=1e-4)  # de la place pour le calcul en float32


def _integers(draw, *shape):
    if not shape:
        return draw.randint(-5, 5)
    return [_integers(draw, *shape[1:]) for _ in range(shape[0])]


def _correlated(image, kernel):
    """La corrélation « valid » de deux tableaux à deux axes."""
    windows = np.lib.stride_tricks.sliding_window_view(np.array(image), np.shape(kernel))
    return np.einsum("ijuv,uv->ij", windows, np.array(kernel))


def _convolved(image, kernel):
    return _correlated(image, np.array(kernel)[::-1, ::-1])


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Le score (i, j) est la somme des produits de la fenêtre "
        "`image[i : i + hauteur, j : j + largeur]` par le filtre ; mais une convolution tourne "
        "d'abord le filtre d'un demi-tour.",
        "`filtre[::-1, ::-1]` retourne les lignes et les colonnes. Il y a "
        "`image.shape[0] - hauteur + 1` lignes de scores, et autant pour les colonnes.",
    ),
    review="Convolution ou corrélation ?",
)


def _convolution(learner, image, kernel):
    got = learner.run(
        probe("convolved"),
        Own("convolution"),
        image,
        kernel,
        shown=f"convolution(np.array({image}), np.array({kernel}))",
    )
    flips = np.array(kernel)
    close(
        got["result"],
        _convolved(image, kernel).tolist(),
        likely=[
            (
                _correlated(image, kernel).tolist(),
                "C'est la corrélation : une convolution retourne d'abord le filtre.",
            ),
            (_correlated(image, flips[::-1]).tolist(), "Retournez aussi les colonnes du filtre."),
            (_correlated(image, flips[:, ::-1]).tolist(), "Retournez aussi les lignes du filtre."),
        ],
    )
    expect(got["kept"], "les tableaux reçus ont été modifiés : travaillez sur des copies.")


@check("q1", points=1, **_Q1)
def convolution_of_a_dot(learner, draw):
    "Un seul pixel d’encre recopie le filtre"
    kernel = [[1, 2], [3, 4]]
    dot = np.zeros((3, 3), int)
    dot[1, 1] = 1
    _convolution(learner, dot.tolist(), kernel)


@check("q1", points=1, **_Q1)
def convolution_of_rectangles(learner, draw):
    "Des images et des filtres rectangulaires : les bonnes formes"
    for _ in range(3):
        height, width = draw.randint(1, 3), draw.randint(1, 3)
        image = _integers(draw, height + draw.randint(1, 3), width + draw.randint(2, 4))
        _convolution(learner, image, _integers(draw, height, width))


@check("q1", points=1, **_Q1)
def convolution_of_floats(learner, draw):
    "Des nombres à virgule, et un filtre aussi grand que l’image"
    kernel = decimals(draw, 3, 2)
    _convolution(learner, decimals(draw, 4, 4), kernel)
    _convolution(learner, decimals(draw, 3, 2), kernel)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Un étage de `n` filtres sur `c` canaux a `n * (c * taille * taille + 1)` paramètres, et le "
        "côté des cartes devient `(cote - taille + 1) // 2`.",
        "Une boucle sur `filtres` qui garde le nombre de canaux et le côté du moment ; ensuite, "
        "`canaux * cote * cote` entrées pour la couche cachée, et un biais par unité.",
    ),
    review="LeNet, brique par brique",
)


def _count(side, filters, size, hidden, classes, bias=1, pooled=True, per_pixel=False, last=True):
    total, channels = 0, 1
    for n in filters:
        side = side - size + 1
        total += n * (channels * size * size + bias * (side * side if per_pixel else 1))
        side, channels = (side // 2 if pooled else side), n
    total += (channels * side * side + bias) * hidden
    return total + (hidden + bias) * classes * last


def _counted(learner, side, filters, size, hidden, classes):
    network = side, filters, size, hidden, classes
    likely = [
        (_count(*network, bias=0), "Il manque les biais : un par filtre, un par unité."),
        (_count(*network, per_pixel=True), "Il n'y a qu'un biais par carte, non par pixel."),
        (_count(*network, pooled=False), "Chaque étage divise aussi le côté des cartes par deux."),
        (_count(*network, last=False), "Il manque la dernière couche, celle des classes."),
    ]
    right = _count(*network)
    single = right - sum(
        n * (c - 1) * size * size for c, n in zip(filters, filters[1:], strict=False)
    )
    likely.append((single, "Chaque filtre traverse tous les canaux de son entrée."))
    equal(learner.nombre_de_parametres(*network), right, likely=likely)


@check("q2", points=1, **_Q2)
def parameters_of_one_stage(learner, draw):
    "Un seul étage, puis les deux couches entièrement connectées"
    _counted(learner, draw.choice((12, 16, 20)), [draw.randint(2, 9)], 5, draw.randint(5, 20), 10)


@check("q2", points=1, **_Q2)
def parameters_of_lenet(learner, draw):
    "LeNet, et une variante à deux étages"
    _counted(learner, 28, [20, 50], 5, 500, 10)
    filters = [draw.randint(3, 9), draw.randint(10, 19)]
    _counted(learner, 28, filters, 5, draw.randint(30, 90), draw.randint(2, 9))


@check("q2", points=1, **_Q2)
def parameters_of_three_stages(learner, draw):
    "Trois étages, d’autres tailles, des côtés impairs"
    for size in (3, 4):
        filters = [draw.randint(2, 9) for _ in range(3)]
        _counted(learner, draw.randint(41, 60), filters, size, draw.randint(10, 40), 7)


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "`cartes[:, :, ::2, ::2]` est le coin en haut à gauche de chaque carré de 2 × 2 ; "
        "`cartes[:, :, 1::2, ::2]`, celui du dessous.",
        "Il y a quatre coins ; `T.maximum(a, b)` rend le plus grand des deux, case à case.",
    ),
    review="Résumer : le sous-échantillonnage",
)


def _corners(maps):
    maps = np.array(maps)
    return [maps[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def _maps(draw, *shape):
    """Des cartes de valeurs toutes différentes : aucun ex æquo dans un carré."""
    count = int(np.prod(shape))
    return np.array(draw.sample(range(-count, count), count)).reshape(shape).tolist()


def _pooling(learner, maps):
    got = learner.run(
        probe("pooled"),
        Own("plus_grands"),
        maps,
        shown=f"plus_grands(cartes), cartes = {maps}",
    )
    corners = _corners(maps)
    close(
        got,
        np.max(corners, axis=0).tolist(),
        **_FLOAT32,
        likely=[
            (np.mean(corners, axis=0).tolist(), "C'est la moyenne : on veut le maximum."),
            (np.sum(corners, axis=0).tolist(), "C'est la somme : on veut le maximum."),
            (np.min(corners, axis=0).tolist(), "C'est le plus petit : on veut le plus grand."),
            (corners[0].tolist(), "C'est toujours le coin en haut à gauche, non le plus grand."),
            (
                np.maximum(corners[0], corners[3]).tolist(),
                "Un carré a quatre coins : il en manque deux.",
            ),
            (np.abs(corners).max(axis=0).tolist(), "Le signe compte : −9 est plus petit que 1."),
        ],
    )


@check("q3", points=1, **_Q3)
def pooling_of_one_map(learner, draw):
    "Une image, un canal, des carrés de 2 × 2"
    _pooling(learner, _maps(draw, 1, 1, 4, 4))


@check("q3", points=1, **_Q3)
def pooling_of_many_maps(learner, draw):
    "Plusieurs images, plusieurs canaux, des cartes rectangulaires"
    _pooling(learner, _maps(draw, 2, 3, 2, 4))
    _pooling(learner, (-1 - np.abs(_maps(draw, 1, 2, 4, 2))).tolist())


@check("q3", points=1, **_Q3)
def pooling_is_differentiable(learner, draw):
    "Le gradient ne revient qu’à la case qui a gagné"
    maps, weights = _maps(draw, 1, 2, 2, 4), decimals(draw, 1, 2, 1, 2)
    got = learner.run(
        probe("pooled_gradient"),
        Own("plus_grands"),
        maps,
        weights,
        shown=f"grad((plus_grands(cartes) * g).sum(), cartes), cartes = {maps}, g = {weights}",
    )
    spread = np.repeat(np.repeat(np.array(weights), 2, axis=2), 2, axis=3)
    best = np.repeat(np.repeat(np.max(_corners(maps), axis=0), 2, axis=2), 2, axis=3)
    close(got, np.where(maps == best, spread, 0.0).tolist(), "le gradient", **_FLOAT32)


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Suivez le côté : 28, 24, 12, 8, 4. Un filtre de 3 × 3 en enlève 2, sauf si l'on ajoute un "
        "pixel de bord tout autour : `border_mode=\"half\"`.",
        "`nn.chain` enchaîne neuf pièces : trois fois `nn.Convolution(entrees, sorties, taille, "
        "generator=generateur)`, `nn.Pooling(2)`, `T.tanh`.",
    ),
    review="LeNet, brique par brique",
)


def _learner_stages(learner, filters, images, seed):
    side = len(images[0][0])
    return learner.run(
        probe("stages"),
        Own("trois_etages"),
        filters,
        images,
        seed,
        shown=f"trois_etages({filters}, default_rng({seed}))(images), images de {side} × {side}",
    )


def _filters(draw):
    return draw.sample(range(2, 8), 3)


def _shape(nested):
    return list(np.shape(nested))


def _right_parameters(got, filters):
    """Les paramètres de l’élève, remis dans l’ordre W1, b1, W2, b2, W3, b3 par leurs formes."""
    channels = [1, *filters[:2]]
    wanted = []
    for n_in, n_out, size in zip(channels, filters, (5, 5, 3), strict=True):
        wanted += [[n_out, n_in, size, size], [n_out]]
    shapes = [_shape(value) for value in got["parameters"]]
    equal(sorted(shapes), sorted(wanted), "les formes des paramètres")
    return [np.array(got["parameters"][shapes.index(shape)]) for shape in wanted]


def _stages(images, parameters, squash=np.tanh):
    """La sortie attendue des trois étages."""
    h = np.array(images)
    for rank in range(3):
        W, b = parameters[2 * rank : 2 * rank + 2]
        if rank == 2:
            h = np.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(h, W.shape[2:], axis=(2, 3))
        maps = np.einsum("ncijuv,ocuv->noij", windows, W[:, :, ::-1, ::-1])
        maps += b[:, None, None]
        height, width = (n // 2 * 2 for n in maps.shape[2:])
        h = squash(np.max(_corners(maps[:, :, :height, :width]), axis=0))
    return h


@check("q4", points=1, **_Q4)
def stages_have_the_right_shapes(learner, draw):
    "Pour des images de 28 × 28 : les formes de la sortie et des paramètres"
    filters = _filters(draw)
    got = _learner_stages(learner, filters, np.zeros((2, 1, 28, 28)).tolist(), 0)
    equal(
        _shape(got["output"]),
        [2, filters[2], 2, 2],
        "la forme de la sortie",
        likely=[
            ([2, filters[2], 1, 1], "Le troisième étage doit garder ses cartes de 4 × 4 : un bord."),
            ([2, filters[2], 4, 4], "Il manque le maximum du troisième étage."),
            ([2, filters[1], 4, 4], "Ce sont deux étages : il en faut trois."),
        ],
    )
    _right_parameters(got, filters)


@check("q4", points=1, **_Q4)
def stages_compute_the_right_thing(learner, draw):
    "Les bonnes valeurs : convolution, maximum, tangente, trois fois"
    filters, seed = _filters(draw), draw.randrange(1000)
    images = np.random.default_rng(seed).random((2, 1, 28, 28)).round(3).tolist()
    got = _learner_stages(learner, filters, images, seed)
    parameters = _right_parameters(got, filters)
    close(
        got["output"],
        _stages(images, parameters).tolist(),
        "la sortie",
        **_FLOAT32,
        likely=[
            (
                _stages(images, parameters, lambda h: h).tolist(),
                "Il manque les tangentes hyperboliques.",
            ),
            (
                _stages(images, parameters, lambda h: np.maximum(h, 0)).tolist(),
                "C'est relu : on veut tanh.",
            ),
        ],
    )


@check("q4", points=1, **_Q4)
def stages_accept_other_sizes(learner, draw):
    "D’autres tailles d’images, et des poids qui suivent le générateur"
    filters, seed = _filters(draw), draw.randrange(1000)
    images = np.random.default_rng(seed).random((1, 1, 36, 36)).round(3).tolist()
    got = _learner_stages(learner, filters, images, seed)
    parameters = _right_parameters(got, filters)
    close(got["output"], _stages(images, parameters).tolist(), "la sortie", **_FLOAT32)
    other = _right_parameters(_learner_stages(learner, filters, images, seed + 1), filters)
    expect(
        all(W.std() > 0 for W in parameters[::2])
        and all(not np.allclose(*pair) for pair in zip(parameters[::2], other[::2], strict=True)),
        "deux graines ont donné les mêmes poids : donnez `generateur` à chaque couche.",
    )
