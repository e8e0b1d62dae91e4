"""Loger des zones dans une arène, d’après les lignes du journal où elles servent.

Ordre de lecture : `lives_of`, `layout`, `row`.
"""

from engine.gpu.kernels.protocol import aligned


def lives_of(events, outside):
    """La première et la dernière ligne du journal où sert chaque zone qui n’en sort pas."""
    lives = {}
    for position, event in enumerate(events):
        for zone in (place.zone for place in event.places):
            if isinstance(zone, int) and zone >= 0 and zone not in outside:
                lives[zone] = (lives.get(zone, (position,))[0], position)
    return lives


def row(numbers, sizes, start):
    """Des zones l’une après l’autre depuis `start` : {numéro: début}, et la fin.

    Exemple
        >>> row([3, 1], {1: 8, 3: 600}, 512)
        ({3: 512, 1: 1536}, 2048)
    """
    offsets = {}
    for number in numbers:
        offsets[number] = start
        start += aligned(sizes[number])
    return offsets, start


def layout(lives, sizes, start):
    """Loge des zones dans une arène : deux qui vivent en même temps ne se touchent pas.

    Chacune prend, à sa naissance, le plus petit trou où elle tient, sinon le haut de l’arène.

    Paramètres
        lives : {numéro: (première, dernière ligne où elle sert)}.
        sizes : octets, par numéro.
        start : le premier octet libre de l’arène.

    Renvoie
        {numéro: début}, et la taille de l’arène.

    Exemple
        >>> layout({0: (0, 1), 1: (1, 2), 2: (2, 3)}, [512, 1024, 100], 0)
        ({0: 0, 1: 512, 2: 0}, 1536)
    """
    offsets, holes, top, alive = {}, {}, start, []  # holes : début -> fin
    for number in sorted(lives, key=lambda number: lives[number][0]):
        first, last = lives[number]
        for gone in [one for one in alive if one[0] < first]:
            alive.remove(gone)
            top = _give_back(holes, gone[1], gone[2], top)
        size = aligned(sizes[number])
        fitting = [(end - begin, begin) for begin, end in holes.items() if end - begin >= size]
        if fitting:
            _, begin = min(fitting)
            end = holes.pop(begin)
            if end > begin + size:
                holes[begin + size] = end
        else:
            begin, top = top, top + size
        offsets[number] = begin
        alive.append((last, begin, begin + size))
    return offsets, max([start, *(offsets[n] + aligned(sizes[n]) for n in offsets)])


def _give_back(holes, begin, end, top):
    """Rend un trou, uni à ses voisins ; le haut de l’arène redescend s’il y touche."""
    if end in holes:
        end = holes.pop(end)
    before = next((one for one, stop in holes.items() if stop == begin), None)
    if before is not None:
        del holes[before]
        begin = before
    if end == top:
        return begin
    holes[begin] = end
    return top
