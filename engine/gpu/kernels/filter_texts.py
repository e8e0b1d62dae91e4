"""Les textes du gradient des filtres par tuiles de registres (voir `filter_gradients`).

Ordre de lecture : `correlation_text` (la première passe : `_map`, `_posed`, `_products`, `_union`,
`_written`), puis `union_text` (la seconde).
"""

from engine.core.dtypes import widened
from engine.gpu.kernels.direct_convolutions import QUAD
from engine.gpu.kernels.direct_texts import read_neighbours
from engine.gpu.kernels.elements import loaded, stored

# ---- première passe ----------------------------------------------------------------------


def correlation_text(work, share):
    """Le texte de la première passe ; ses paramètres : parts, x, g, [rangs], n, images d’une
    tranche.
    """
    more = ", positions" if work.pooled else ""
    real = widened(work.dtype)
    x_items, g_items = share.items(work)
    names = [f"a{k}" for k in range(share.totals(work))]
    lines = [f"def kernel(parts, x, g{more}, n, each):",
             f"    sx = pointer(cuda.shared.array({x_items}, np.{real}))"]  # fmt: skip
    # une part peut dépasser la ligne : ce qu’elle y lit, multiplié par zéro, doit être fini
    beyond = share.segments * share.columns > work.places[1]
    if g_items:
        lines.append(f"    sg = pointer(cuda.shared.array({g_items}, np.{real}))")
    lines += [
        *_map(work, share),
        *_cleared("sx", x_items, share, real, work.is_bordered(1) or beyond),
        *_cleared("sg", g_items, share, real, work.places[1] % QUAD or share.segments > 1),
        *(f"    {name} = {real}(0.0)" for name in names),
        "    top = uint32(0)",
        "    while first < last:",
        "        cuda.syncthreads()",
        *_posed("sx", "x", work, share),
        *(_posed("sg", "g", work, share) if g_items else []),
        "        cuda.syncthreads()",
        *_products(work, share),
        *_next(work, share),
        *_union(names, share.lanes),
        *_written(work, share),
    ]
    return "\n".join(lines) + "\n"


def _next(work, share):
    """La bande suivante, puis les images suivantes."""
    lines = [f"first = uint32(first + {share.images})"]
    if share.strips(work) > 1:
        lines = [
            f"top = uint32(top + {share.rows})",
            f"if top >= uint32({work.places[0]}):",
            "    top = uint32(0)",
            f"    {lines[0]}",
        ]
    return [f"        {line}" for line in lines]


def _map(work, share):
    """Les lignes qui disent au fil ce qu’il fait."""
    across, deep = share.blocks(work)
    filters = share.groups * share.filters
    return [
        "    t = uint32(cuda.threadIdx.x)",
        f"    lane = uint32(t % {share.lanes})",
        f"    couple = uint32(min(uint32(t // {share.lanes}), uint32({share.couples - 1})))",
        f"    c = uint32(couple % {share.channels})",
        f"    f = uint32(uint32(couple // {share.channels}) * {share.filters})",
        "    z = uint32(cuda.blockIdx.x)",
        f"    part = uint32(z // {across * deep})",
        f"    channel = uint32(uint32(z % {deep}) * {share.channels})",
        f"    filter = uint32(uint32(uint32(z // {deep}) % {across}) * {filters})",
        "    first = uint32(part * each)",
        "    last = min(uint32(first + each), n)",
    ]


def _cleared(array, items, share, real, wanted):
    """Les bords restent nuls d’un bout à l’autre."""
    if not items or not wanted:
        return []
    return [
        f"    for i in range(t, {items}, {share.threads}):",
        f"        {array}[uint32(i)] = {real}(0.0)",
    ]


def _posed(shared, array, work, share):
    """Les plans de quelques images, et de ce que le bloc a de canaux ou de filtres."""
    x_width, x_plane, g_width, g_plane = share.planes(work)
    x_height, g_height = share.heights(work)
    if array == "x":
        (height, width), row, plane, left = work.image, x_width, x_plane, work.before[1]
        count, whole, start = share.channels, work.channels, "channel"
        staged, above = x_height, work.before[0]
    else:
        (height, width), row, plane, left = work.places, g_width, g_plane, 0
        count, whole, start = share.groups * share.filters, work.filters, "filter"
        staged, above = g_height, 0
    size = QUAD if work.aligned and width % QUAD == 0 and left % QUAD == 0 else 1
    held = [f"p{e}" for e in range(size)]
    across = width // size
    items = share.images * count * staged * across
    inside = "h"
    if share.strips(work) > 1:
        inside = f"uint32(min(max(int32(top + h) - {above}, 0), {height - 1}))"
    at = f"uint32(uint32(h * {row}) + uint32(j + {left}))"
    lines = [
        f"for k in range(t, {items}, {share.threads}):",
        "    i = uint32(k)",
        f"    j = uint32(uint32(i % {across}) * {size})",
        f"    i = uint32(i // {across})",
        f"    h = uint32(i % {staged})",
        f"    q = uint32(i // {staged})",
        f"    i = uint32(q // {count})",
        f"    m = min(uint32({start} + uint32(q % {count})), uint32({whole - 1}))",
        "    i = min(uint32(first + i), uint32(last - uint32(1)))",
        f"    m = uint32(uint32(uint32(i * {whole}) + m) * {height})",
        f"    at = uint32(uint32(uint32(m + {inside}) * {width}) + j)",
        *read_neighbours(held, array, "at", work.dtype, "    "),
        f"    at = uint32(uint32(q * {plane}) + {at})",
        f"    store4({shared}, at, {', '.join(held)})" if size > 1 else f"    {shared}[at] = p0",
    ]
    return [f"        {line}" for line in lines]


def _products(work, share):
    """Les places d’un fil : `columns` valeurs de g par filtre, kh lignes de x."""
    (kh, kw), columns = work.kernel, share.columns
    x_width, x_plane, _, _ = share.planes(work)
    per_image = share.rows * share.segments
    here = f"uint32(min(uint32(last - first), uint32({share.images})) * {per_image})"
    if share.strips(work) > 1:
        left = f"uint32({work.places[0]} - top)"
        here = f"uint32(min({left}, uint32({share.rows})) * {share.segments})"
    lines = [
        f"for k in range(lane, {here}, {share.lanes}):",
        "    i = uint32(k)",
        f"    j = uint32(uint32(i % {share.segments}) * {columns})",
        f"    i = uint32(i // {share.segments})",
        f"    h = uint32(i % {share.rows})",
        f"    i = uint32(i // {share.rows})",
        *(f"    {line}" for line in _gradients(work, share)),
        f"    at = uint32(uint32(uint32(uint32(i * {share.channels}) + c) * {x_plane}) + j)",
    ]
    bordered = work.is_bordered(0)
    staged = "above" if share.strips(work) == 1 else "h"
    if bordered:
        lines.append(f"    above = int32(int32(uint32(top + h)) - {work.before[0]})")
    else:
        lines.append(f"    at = uint32(at + uint32(h * {x_width}))")
    quads = range(-(-(columns + kw - 1) // QUAD))
    for u in range(kh):
        place, margin = f"at + {u * x_width}", "    "
        if bordered:
            lines += [
                f"    if above + {u} >= 0 and above + {u} < {work.image[0]}:",
                f"        row = uint32(at + uint32(uint32({staged} + {u}) * {x_width}))",
            ]
            place, margin = "row", "        "
        for q in quads:
            held = ", ".join(f"x{QUAD * q + e}" for e in range(QUAD))
            lines.append(f"{margin}{held} = load4(sx, {place} + {QUAD * q})")
        lines += [
            f"{margin}a{(e * kh + u) * kw + v} += x{x + v} * g{e}_{x}"
            for x in range(columns)
            for v in range(kw)
            for e in range(share.filters)
        ]
    return [f"        {line}" for line in lines]


def _gradients(work, share):
    """Les valeurs de g de ces places, dans les registres."""
    height, width = work.places
    _, _, row, plane = share.planes(work)
    columns, lines = share.columns, []
    if not share.direct:
        lines.append(
            f"at = uint32(uint32(uint32(uint32(i * {share.groups * share.filters}) + f) * {plane})"
            f" + uint32(uint32(h * {row}) + j))"
        )
        for e in range(share.filters):
            for q in range(-(-columns // QUAD)):
                held = ", ".join(f"g{e}_{QUAD * q + x}" for x in range(QUAD))
                lines.append(f"{held} = load4(sg, at + {e * plane + QUAD * q})")
        return lines
    if work.pooled:
        return _pooled_gradients(work, share)
    zero = f"{widened(work.dtype)}(0.0)"
    size = QUAD if work.aligned and width % QUAD == 0 and columns % QUAD == 0 else 1
    lines.append("b = uint32(first + i)")
    partial = width % columns != 0
    for e in range(share.filters):
        lines += _row_start(work, e, (height, width), "uint32(top + h)", "j")
        for x in range(0, columns, size):
            held = [f"g{e}_{x + k}" for k in range(size)]
            if partial:
                inside = f"j + {x} < {width}"
                value = loaded(f"g[at + {x}]", work.dtype)
                lines.append(f"{held[0]} = {value} if {inside} else {zero}")
            else:
                lines += read_neighbours(held, "g", f"at + {x}", work.dtype, "")
    return lines


def _row_start(work, e, places, row, column):
    """Les lignes qui trouvent `at`, où commence une ligne du gradient du filtre f + e."""
    height, width = places
    return [
        f"o = min(uint32(filter + f + {e}), uint32({work.filters - 1}))",
        f"at = uint32(uint32(uint32(b * {work.filters}) + o) * {height})",
        f"at = uint32(uint32(uint32(at + {row}) * {width}) + {column})",
    ]


def _pooled_gradients(work, share):
    """Les mêmes valeurs, quand chaque carré 2 × 2 donne tout à l’un de ses pixels."""
    height, width = (length // 2 for length in work.places)
    count, zero = share.columns // 2, f"{widened(work.dtype)}(0.0)"
    size = QUAD if work.aligned and width % QUAD == 0 and count % QUAD == 0 else 1
    lines = [
        "b = uint32(first + i)",
        "row = uint32(top + h)",
        "low = uint32(uint32(row % uint32(2)) * uint32(2))",
        "row = uint32(row // uint32(2))",
    ]
    for e in range(share.filters):
        lines += _row_start(work, e, (height, width), "row", "uint32(j // uint32(2))")
        for x in range(0, count, size):
            held = [f"m{x + k}" for k in range(size)]
            positions = [f"k{x + position}" for position in range(size)]
            lines += read_neighbours(held, "g", f"at + {x}", work.dtype, "")
            lines += read_neighbours(positions, "positions", f"at + {x}", "uint8", "")
        lines += [
            f"g{e}_{2 * x + side} = m{x} if k{x} == uint32(low + {side}) else {zero}"
            for x in range(count)
            for side in range(2)
        ]
    return lines


def _union(names, lanes):
    """Les `lanes` fils d’un couple réunissent leurs sommes : chacun en garde sa part.

    `low` : le rang de la première que tient le fil ; `kept` : combien il en tient.
    """
    lines = ["    low = uint32(0)", f"    kept = int32({len(names)})"]
    count, distance = len(names), 1
    while distance < lanes:
        half = -(-count // 2)
        lines.append(f"    up = (lane & {distance}) != 0")
        for k in range(half):
            here, there = names[k], names[half + k] if half + k < count else names[k]
            lines += [
                f"    mine = {there} if up else {here}",
                f"    given = {here} if up else {there}",
                f"    {here} = mine + shuffle_xor(given, {distance})",
            ]
        lines += [
            f"    low = uint32(low + {half}) if up else low",
            f"    kept = kept - int32({half}) if up else min(kept, int32({half}))",
        ]
        count, distance = half, 2 * distance
    return lines


def _written(work, share):
    """Les sommes du fil, dans la tranche : rang de la somme, puis couple."""
    count, left = share.totals(work), share.totals(work)
    distance = 1
    while distance < share.lanes:
        left, distance = -(-left // 2), 2 * distance
    lines = [
        f"    at = uint32(uint32(uint32(z * {count}) + low) * {share.couples} + couple)",
        f"    if t < {share.couples * share.lanes}:",
    ]
    for k in range(left):
        if share.lanes > 1:
            lines.append(f"        if {k} < kept:")
        margin = " " * (12 if share.lanes > 1 else 8)
        lines.append(f"{margin}parts[at + {k * share.couples}] = a{k}")
    return lines


# ---- seconde passe -----------------------------------------------------------------------


def union_text(work, share):
    """Le texte de la seconde passe ; ses paramètres : out, parts, tranches.

    Le fil t additionne la t-ième somme de chaque tranche, quatre tranches à la fois, et la met à
    sa place dans les filtres.
    """
    across, deep = share.blocks(work)
    couples, totals, taps = share.couples, share.totals(work), work.taps
    size = across * deep * totals * couples
    real = widened(work.dtype)
    tap = f"{taps - 1} - uint32(position % {taps})" if work.reversed else f"position % {taps}"
    lines = [
        "def kernel(out, parts, slices):",
        "    t = uint32(cuda.grid(1))",
        f"    if t < {size}:",
        f"        total = {real}(0.0)",
        "        s = uint32(0)",
        "        at = t",
        "        while s + uint32(4) <= slices:",
        f"            low = parts[at] + parts[at + {size}]",
        f"            high = parts[at + {2 * size}] + parts[at + {3 * size}]",
        "            total += low + high",
        f"            at = uint32(at + {4 * size})",
        "            s = uint32(s + uint32(4))",
        "        while s < slices:",
        "            total += parts[at]",
        f"            at = uint32(at + {size})",
        "            s = uint32(s + uint32(1))",
        f"        couple = uint32(t % {couples})",
        f"        r = uint32(t // {couples})",
        f"        position = uint32(r % {totals})",
        f"        r = uint32(r // {totals})",
        f"        c = uint32(uint32(uint32(r % {deep}) * {share.channels}) + "
        f"uint32(couple % {share.channels}))",
        f"        o = uint32(uint32(r // {deep}) * {share.groups * share.filters})",
        f"        o = uint32(o + uint32(uint32(couple // {share.channels}) * {share.filters}))",
        f"        o = uint32(o + uint32(position // {taps}))",
        f"        if o < {work.filters} and c < {work.channels}:",
        f"            at = uint32(uint32(uint32(o * {work.channels}) + c) * {taps})",
        f"            out[uint32(at + uint32({tap}))] = {stored('total', work.dtype)}",
    ]
    return "\n".join(lines) + "\n"
