"""Le texte d’une convolution par tuiles de registres (voir `direct_convolutions`).

Ordre de lecture : `direct_text`, la carte des fils `_map`, ce qui remplit la mémoire partagée
(`_staging`), les produits (`_products`), puis les résultats : `_plain_result`, `_pooled_result`.
"""

import math

from engine.core.dtypes import widened
from engine.gpu.kernels.direct_convolutions import QUAD
from engine.gpu.kernels.elements import loaded, stored


def direct_text(direct, tile):
    """Le texte du noyau ; ses paramètres : out, x, w, [biais, rangs], n."""
    real = widened(direct.dtype)
    _, _, plane, row = tile.stage(direct)
    more = ", bias, positions" if direct.pooled else ""
    fetched, posed, prepared = _staging(direct, tile)
    lines = [
        f"def kernel(out, x, w{more}, n):",
        f"    sx = pointer(cuda.shared.array({tile.images * plane}, np.{real}))",
        f"    sw = pointer(cuda.shared.array({direct.taps * row}, np.{real}))",
        *_map(direct, tile),
        *prepared,
        *(f"    {name} = {real}(0.0)" for name in _totals(direct, tile)),
        *fetched,
        f"    for c in range({direct.channels}):",
        "        cuda.syncthreads()",
        *posed,
        f"        if c + 1 < {direct.channels}:",
        f"            xc = uint32(xc + {math.prod(direct.image)})",
        f"            wc = uint32(wc + {direct.in_step})",
        *(f"        {line}" for line in fetched),
        "        cuda.syncthreads()",
        *_products(direct, tile),
        *(_pooled_result if direct.pooled else _plain_result)(direct, tile),
    ]
    return "\n".join(lines) + "\n"


def _map(direct, tile):
    """Les lignes qui disent au fil ce qu’il fait."""
    across, down = tile.blocks(direct)
    return [
        "    t = uint32(cuda.threadIdx.x)",
        f"    g = uint32(t % {tile.groups})",
        f"    image = uint32(uint32(t // {tile.groups}) % {tile.images})",
        f"    place = uint32(t // {tile.groups * tile.images})",
        f"    column = uint32(uint32(place % {tile.segments}) * {tile.columns})",
        f"    slot = uint32(uint32(place // {tile.segments}) * {tile.rows})",
        "    z = uint32(cuda.blockIdx.x)",
        f"    group = uint32(uint32(z % {across}) * {tile.groups})",
        f"    top = uint32(uint32(uint32(z // {across}) % {down}) * {tile.slots * tile.rows})",
        f"    first = uint32(uint32(z // {across * down}) * {tile.images})",
    ]


def _staging(direct, tile):
    """Ce qui lit un canal de la mémoire, ce qui le pose, ce qui se prépare une fois pour toutes."""
    pixels = _pixel_staging(direct, tile)
    weights = _weight_staging(direct, tile)
    fetched, posed, prepared = ([*a, *b] for a, b in zip(pixels, weights, strict=True))
    return fetched, posed, ["    xc = uint32(0)", "    wc = uint32(0)", *prepared]


def _pixel_staging(direct, tile):
    """Les plans des images du bloc : un fil lit un quadruplet, ou un pixel, sur `threads`."""
    rows, width, plane, _ = tile.stage(direct)
    height, length = direct.image
    left = direct.before[1] if tile.segments > 1 else 0
    several = tile.blocks(direct)[1] > 1
    staged = rows if several else height
    size = QUAD if direct.aligned and left % QUAD == 0 else 1
    across = length // size
    count = tile.images * staged * across
    real = widened(direct.dtype)
    fetched, posed, prepared = [], [], []
    if tile.segments > 1 and direct.is_bordered(1):
        prepared += [
            f"    for i in range(t, {tile.images * plane}, {tile.threads}):",
            f"        sx[uint32(i)] = {real}(0.0)",
        ]
    for k in range(-(-count // tile.threads)):
        held = [f"p{k}_{e}" for e in range(size)]
        prepared += [
            f"    i = uint32(t + {k * tile.threads})",
            f"    i = min(i, uint32({count - 1}))" if (k + 1) * tile.threads > count else "",
            f"    j = uint32(uint32(i % {across}) * {size})",
            f"    i = uint32(i // {across})",
            f"    h = uint32(i % {staged})",
            f"    i = uint32(i // {staged})",
            f"    q{k} = uint32(uint32(uint32(i * {plane}) + uint32(h * {width})) + "
            f"uint32(j + {left}))",
            f"    h = uint32(min(max(int32(h + top) - {direct.before[0]}, 0), {height - 1}))"
            if several
            else "",
            "    i = min(uint32(first + i), uint32(n - uint32(1)))",
            f"    x{k} = uint32(uint32(uint32(i * {direct.channels * height * length}) + "
            f"uint32(h * {length})) + j)",
        ]
        fetched += read_neighbours(held, "x", f"uint32(x{k} + xc)", direct.dtype, "    ")
        posed += _write("sx", f"q{k}", held, "        ")
    return fetched, posed, [line for line in prepared if line]


def _weight_staging(direct, tile):
    """Les poids des filtres du bloc : un fil lit le même poids de `filters` filtres voisins."""
    _, _, _, row = tile.stage(direct)
    count, size = direct.taps * tile.groups, tile.filters
    fetched, posed, prepared = [], [], []
    for turn in range(-(-count // tile.threads)):
        held = [f"k{turn}_{e}" for e in range(size)]
        tap = f"{direct.taps - 1} - i" if direct.reversed else "i"
        prepared += [
            f"    j = uint32(t + {turn * tile.threads})",
            f"    j = min(j, uint32({count - 1}))" if (turn + 1) * tile.threads > count else "",
            f"    i = uint32(j % {direct.taps})",
            f"    j = uint32(j // {direct.taps})",
            f"    r{turn} = uint32(uint32(i * {row}) + uint32(j * {size}))",
            f"    j = uint32(uint32(group + j) * {size})",
            *(
                f"    w{turn}_{e} = uint32(uint32(min(uint32(j + {e}), uint32({direct.filters - 1}"
                f")) * {direct.out_step}) + uint32({tap}))"
                for e in range(size)
            ),
        ]
        fetched += [
            f"    {name} = {loaded(f'w[uint32(w{turn}_{e} + wc)]', direct.dtype)}"
            for e, name in enumerate(held)
        ]
        posed += _write("sw", f"r{turn}", held, "        ")
    return fetched, posed, [line for line in prepared if line]


def read_neighbours(names, array, at, dtype, margin):
    """Lire des éléments voisins."""
    if len(names) == 1:
        return [f"{margin}{names[0]} = {loaded(f'{array}[{at}]', dtype)}"]
    lines = [f"{margin}{', '.join(names)} = load4({array}, {at})"]
    if loaded("", dtype):
        lines += [f"{margin}{name} = {loaded(name, dtype)}" for name in names]
    return lines


def _write(array, at, values, margin):
    """Écrire des éléments voisins."""
    if len(values) == QUAD:
        return [f"{margin}store4({array}, {at}, {', '.join(values)})"]
    return [f"{margin}{array}[uint32({at} + {e})] = {value}" for e, value in enumerate(values)]


def _totals(direct, tile):
    return [
        f"a{y}_{x}_{o}"
        for y in range(tile.rows)
        for x in range(tile.columns)
        for o in range(tile.filters)
    ]


def _products(direct, tile):
    """Les produits d’un canal : la fenêtre descend d’une ligne à chaque tour.

    Les décalages constants ne sont pas ramenés à 32 bits : ils entrent ainsi dans l’accès même.
    """
    (kh, kw), rows = direct.kernel, tile.rows
    _, width, plane, row = tile.stage(direct)
    shift = direct.before[1] if tile.segments == 1 else 0
    used = [
        i
        for i in range(tile.columns + kw - 1)
        if tile.segments > 1 or 0 <= i - shift < direct.image[1]
    ]
    quads = range((used[0] - shift) // QUAD, (used[-1] - shift) // QUAD + 1)

    def window(y, start, margin):
        return [
            f"{margin}{', '.join(f'x{y}_{QUAD * q + e + shift}' for e in range(QUAD))} = "
            f"load4(sx, at + {start + QUAD * q})"
            for q in quads
        ]

    start = f"uint32(uint32(image * {plane}) + column)"
    if direct.is_bordered(0):
        # la première ligne posée : celle de l’image, ou celle de la tranche de lignes
        low = f"int32(top) - {direct.before[0]}" if tile.blocks(direct)[1] > 1 else "0"
        head = [
            f"        h = int32(int32(uint32(top + slot)) - {direct.before[0]})",
            f"        at = int32(int32({start}) + int32(int32(h - ({low})) * {width}))",
        ]
    else:
        head = [f"        at = uint32({start} + uint32(slot * {width}))"]
        head += [line for y in range(rows - 1) for line in window(y, y * width, " " * 8)]
    head += [
        f"        tap = uint32(g * {tile.filters})",
        f"        last = uint32(tap + {kh * kw * row})",
        "        while tap < last:",
    ]
    margin = " " * (16 if direct.is_bordered(0) else 12)
    if direct.is_bordered(0):
        head.append(f"            if h >= 0 and h < {direct.image[0]}:")
    body = window(rows - 1, (rows - 1) * width, margin)
    for v in range(kw):
        weights = [f"b{o}" for o in range(tile.filters)]
        if tile.filters == QUAD:
            body.append(f"{margin}{', '.join(weights)} = load4(sw, tap + {v * row})")
        else:
            body += [f"{margin}{w} = sw[tap + {v * row + o}]" for o, w in enumerate(weights)]
        body += [
            f"{margin}a{y}_{x}_{o} += x{y}_{x + v} * {weight}"
            for y in range(rows)
            for x in range(tile.columns)
            if x + v in used
            for o, weight in enumerate(weights)
        ]
    body += [f"{margin}x{y}_{i} = x{y + 1}_{i}" for y in range(rows - 1) for i in used]
    tail = ["            h = int32(h + int32(1))"] if direct.is_bordered(0) else []
    word = "int32" if direct.is_bordered(0) else "uint32"  # une ligne d’avant l’image : négative
    tail += [
        f"            at = {word}(at + {width})",
        f"            tap = uint32(tap + {kw * row})",
    ]
    return [*head, *body, *tail]


def _guarded(lines, conditions, margin):
    """Ces lignes sous des conditions, s’il y en a."""
    wanted = " and ".join(condition for condition in conditions if condition)
    if not wanted:
        return [margin + line for line in lines]
    return [f"{margin}if {wanted}:", *(f"{margin}    {line}" for line in lines)]


def _result(direct, tile, height, one_filter):
    """Le squelette de l’écriture : les images, puis les filtres du fil, puis ses lignes."""
    several = direct.filters % (tile.filters * tile.groups)
    lines = [f"    o = uint32(uint32(group + g) * {tile.filters})",
             "    image = uint32(image + first)",
             f"    plane = uint32(uint32(image * {direct.filters}) + o)"]  # fmt: skip
    for o in range(tile.filters):
        conditions = ["image < n", f"uint32(o + {o}) < uint32({direct.filters})" if several else ""]
        inside = [f"f = uint32(uint32(plane + {o}) * {height})", *one_filter(o)]
        lines += _guarded(inside, conditions, "    ")
    return lines


def _columns_stored(array, at, values, width, columns, segments):
    """Écrire une ligne de valeurs du fil ; celles qui dépassent l’image ne s’écrivent pas."""
    lines, partial = [], width % columns != 0
    size = QUAD if width % QUAD == 0 and columns % QUAD == 0 else 1
    for i in range(0, len(values), size):
        inside = f"uint32(column + {i}) < uint32({width})" if partial and segments > 1 else ""
        where = f"uint32({at} + {i})"
        written = _write(array, where, values[i : i + size], "")
        lines += _guarded(written, [inside], "")
    return lines


def _plain_result(direct, tile):
    """La convolution, telle quelle."""
    height, width = direct.places
    partial = height % (tile.rows * tile.slots)

    def one_filter(o):
        lines = []
        for y in range(tile.rows):
            values = [stored(f"a{y}_{x}_{o}", direct.dtype) for x in range(tile.columns)]
            inside = [
                f"at = uint32(uint32(uint32(f + h) + {y}) * {width} + column)",
                *_columns_stored("out", "at", values, width, tile.columns, tile.segments),
            ]
            below = f"uint32(h + {y}) < uint32({height})" if partial else ""
            lines += _guarded(inside, [below], "")
        return lines

    return ["    h = uint32(top + slot)", *_result(direct, tile, height, one_filter)]


def _pooled_result(direct, tile):
    """Le maximum de chaque carré de 2 × 2, son rang, puis la fonction du maximum et du biais."""
    height, width = direct.places[0] // 2, direct.places[1] // 2
    columns = tile.columns // 2
    partial = height % tile.slots
    real = widened(direct.dtype)

    def one_filter(o):
        lines = [f"b = {loaded(f'bias[uint32(o + {o})]', direct.dtype)}"]
        for x in range(columns):
            lines += [f"best = a0_{2 * x}_{o}", f"r{x} = uint8(0)"]
            for k, (y, v) in enumerate(((0, 1), (1, 0), (1, 1)), 1):
                item = f"a{y}_{2 * x + v}_{o}"
                lines += [
                    f"if {item} > best or ({item} != {item} and best == best):",
                    f"    best = {item}",
                    f"    r{x} = uint8({k})",
                ]
            lines += [f"v = {real}(best + b)", f"m{x} = {real}({direct.pooled})"]
        values = [stored(f"m{x}", direct.dtype) for x in range(columns)]
        positions = [f"r{x}" for x in range(columns)]
        lines.append(f"at = uint32(uint32(f + h) * {width} + column)")
        for array, row in (("out", values), ("positions", positions)):
            lines += _columns_stored(array, "at", row, width, columns, tile.segments)
        return _guarded(lines, [f"h < uint32({height})" if partial else ""], "")

    return [
        "    h = uint32(uint32(top + slot) // 2)",
        "    column = uint32(column // 2)",
        *_result(direct, tile, height, one_filter),
    ]
