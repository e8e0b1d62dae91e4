"""Ôter d’un journal les copies inutiles, avant de le rejouer.

Une boucle copie chaque état à sa ligne, une jonction copie ses morceaux : autant de lancements qui
ne calculent rien. Ici, le résultat recopié s’écrit tout de suite à sa place (`_write_there`), ou
ce qui lit la copie lit l’original (`_read_there`). C’est permis tant que personne ne touche à la
place dans l’intervalle, ce que l’on vérifie élément par élément (`disjoint`).

Ordre de lecture : `settle`, `_write_there`, `_read_there`, `disjoint`.
"""

import bisect
import math

from engine.gpu.kernels.arrays import contiguous_strides
from engine.gpu.kernels.loops import ALIGNED


def settle(events, sizes, owned):
    """Le même journal, sans les copies qui peuvent s’éviter.

    Paramètres
        events : les lignes du journal (voir `journal.Event`).
        sizes : octets de chaque zone, par numéro.
        owned : les zones qui entrent dans la section ou en sortent : elles restent où elles sont.
    """
    journal = _Journal(events, sizes, owned)
    for position in range(len(events)):
        if journal.events[position].adds:
            _accumulate(journal, position)
    for position in range(len(events)):
        if journal.events[position] is not None and journal.events[position].copies:
            _write_there(journal, position) or _read_there(journal, position)
    return [event for event in journal.events if event is not None]


class _Journal:
    """Les lignes, et où sert chaque zone."""

    def __init__(self, events, sizes, owned):
        self.events, self.sizes, self.owned = list(events), sizes, owned
        self.refused = set()  # zones que l’on a déjà cherché en vain à lire ailleurs
        self.uses = {}  # zone -> rangs des lignes où elle sert, croissants
        for position, event in enumerate(events):
            for key in {_key(place) for place in event.places}:
                self.uses.setdefault(key, []).append(position)

    def between(self, key, low, high):
        """Les lignes où sert la zone, de `low` à `high` compris."""
        uses = self.uses.get(key, [])
        return uses[bisect.bisect_left(uses, low) : bisect.bisect_right(uses, high)]

    def fills(self, place):
        """Dit si ce tableau est toute une zone de passage, d’un bout à l’autre."""
        zone = place.zone
        if not isinstance(zone, int) or zone < 0 or zone in self.owned:
            return False
        size = max(math.prod(place.shape), 1) * place.dtype.itemsize
        return place.offset == 0 and _contiguous(place) and size == self.sizes[zone]

    def remove(self, position):
        """Ôte une ligne."""
        for key in {_key(place) for place in self.events[position].places}:
            self.uses[key].remove(position)
        self.events[position] = None

    def move(self, old, new):
        """Remplace partout la zone que remplit `old` par la place `new`, si c’est possible."""
        users = self.uses[_key(old)]
        flat = _contiguous(new)
        for position in users:
            event = self.events[position]
            if event.adapts and flat:
                continue
            whole = all(
                p.shape == old.shape and _contiguous(p)
                for p in event.places
                if _key(p) == _key(old)
            )
            fixed = flat and new.offset % ALIGNED == 0
            if not fixed and not (event.adapts and whole):
                return False

        def moved(place):
            if _key(place) != _key(old):
                return place
            if not flat:
                return new
            return place._replace(zone=new.zone, offset=new.offset + place.offset)

        for position in users:
            self.events[position] = self.events[position].mapped(moved)
        merged = sorted({*users, *self.uses.get(_key(new), [])})
        del self.uses[_key(old)]
        self.uses[_key(new)] = merged
        return True


def _write_there(journal, position):
    """La copie P ← S : ce qui écrit S écrit P."""
    (target,), (source,) = journal.events[position].outs, journal.events[position].ins
    if not journal.fills(source) or _key(target) == _key(source):
        return False
    users = journal.uses[_key(source)]
    written = [r for r in users if any(_key(p) == _key(source) for p in _outs(journal.events[r]))]
    if not written or written[-1] >= position:
        return False
    if any(
        not disjoint(place, target)
        for r in journal.between(_key(target), written[0], position - 1)
        for place in journal.events[r].places
        if _key(place) == _key(target)
    ):
        return False
    if _overwritten(journal, target, position + 1, users[-1]):
        return False
    event = journal.events[position]
    journal.remove(position)
    if journal.move(source, target):
        return True
    _put_back(journal, position, event)
    return False


def _read_there(journal, position):
    """Les copies P ← S d’une zone à une autre, chaque élément à la même distance : ce qui lit P
    lit S.
    """
    (target,), (source,) = journal.events[position].outs, journal.events[position].ins
    zone, origin = _key(target), _key(source)
    if not isinstance(zone, int) or zone < 0 or zone in journal.owned or zone == origin:
        return False
    if zone in journal.refused:
        return False
    journal.refused.add(zone)
    users = journal.uses[zone]
    writers = [r for r in users if any(_key(p) == zone for p in _outs(journal.events[r]))]
    flat = _contiguous(source) and _contiguous(target)
    if not (journal.fills(target) and len(writers) == 1) and not flat:
        return False
    shift = source.offset - target.offset
    for r in writers:
        event = journal.events[r]
        same = event.copies and _key(event.ins[0]) == origin
        same = same and _contiguous(event.ins[0]) and _contiguous(event.outs[0])
        same = same and event.ins[0].offset - event.outs[0].offset == shift
        alone = r == position == writers[-1] == writers[0]
        if not (same or alone) or _overwritten(journal, event.ins[0], r + 1, users[-1]):
            return False
    if users[0] != writers[0]:
        return False
    removed = [(r, journal.events[r]) for r in writers]
    for r in writers:
        journal.remove(r)
    whole = journal.fills(target)
    old = target if whole else target._replace(offset=0)
    new = source if whole else source._replace(offset=shift)
    if (whole or shift >= 0) and journal.move(old, new):
        return True
    for r, event in removed:
        _put_back(journal, r, event)
    return False


def _accumulate(journal, position):
    """A ← Z + X après Z ← a b : X += a b, et A n’est plus que X, si X ne sert plus ensuite."""
    event = journal.events[position]
    (result,) = event.outs
    for product, other in (event.ins, event.ins[::-1]):
        users = journal.uses[_key(product)]
        made = users[0]
        before = journal.events[made]
        if not (
            users == [made, position]
            and made < position
            and _key(other) != _key(product)
            and before is not None
            and before.method == "product"
            and hasattr(before.arguments[0], "plus")
            and journal.fills(product)
            and journal.fills(result)
            and journal.uses[_key(result)][0] == position
            and _only_this(journal, other, position)
            and all(_key(x) != _key(other) or disjoint(x, other) for x in before.ins)
            and not any(_overwritten(journal, x, made + 1, position) for x in before.ins)
        ):
            continue
        multiply, _, a, b = before.arguments
        place = other._replace(shape=before.outs[0].shape, strides=before.outs[0].strides)
        journal.remove(made)
        journal.remove(position)
        if journal.move(result, other):
            plus = before._replace(
                arguments=(multiply.plus, place, a, b), outs=(place,), ins=(a, b, place)
            )
            _put_back(journal, position, plus)
            return
        _put_back(journal, made, before)
        _put_back(journal, position, event)


def _only_this(journal, place, position):
    """Dit si cette place, contiguë et de passage, ne sert plus après la ligne."""
    zone = place.zone
    if not isinstance(zone, int) or zone < 0 or zone in journal.owned or not _contiguous(place):
        return False
    return all(
        disjoint(p, place)
        for r in journal.between(zone, position + 1, len(journal.events))
        for p in journal.events[r].places
        if _key(p) == zone
    )


def _put_back(journal, position, event):
    journal.events[position] = event
    for key in {_key(place) for place in event.places}:
        bisect.insort(journal.uses.setdefault(key, []), position)


def _overwritten(journal, target, low, high):
    """Dit si une de ces lignes écrit à cette place."""
    return any(
        _key(place) == _key(target) and not disjoint(place, target)
        for r in journal.between(_key(target), low, high)
        for place in _outs(journal.events[r])
    )


def _outs(event):
    """Ce que la ligne écrit ; si elle ne le dit pas, peut-être tout."""
    return event.places if event.outs is None else event.outs


def _key(place):
    return place.zone if isinstance(place.zone, int) else ("fixe", id(place.zone))


def _contiguous(place):
    expected = contiguous_strides(place.shape)
    rows = zip(place.shape, place.strides, expected, strict=True)
    return all(length == 1 or found == wanted for length, found, wanted in rows)


def disjoint(a, b):
    """Dit si deux places d’une même zone n’ont aucun élément en commun (faux dans le doute).

    Deux tranches de colonnes d’une matrice s’entremêlent sans se toucher : on compare ce que
    chacune occupe d’une ligne.
    """
    first, second = _axes(a), _axes(b)
    low, high = _start(a), _start(b)
    if a.shape and b.shape and 0 in (*a.shape, *b.shape):
        return True
    while first and second:
        if _reach(low, first) < high or _reach(high, second) < low:
            return True
        (stride, _), (other, _) = first.pop(0), second.pop(0)
        if stride != other or stride <= 0:
            return False
        inside = _reach(low % stride, first), _reach(high % stride, second)
        if max(inside) >= stride:
            return False
        low, high = low % stride, high % stride
    return _reach(low, first) < high or _reach(high, second) < low


def _axes(place):
    """Les axes (pas, longueur) qui bougent, du plus grand pas au plus petit, tous vers l’avant."""
    rows = zip(place.strides, place.shape, strict=True)
    return sorted(((abs(s), n) for s, n in rows if n > 1), reverse=True)


def _start(place):
    """La première place occupée : un pas négatif part de la dernière."""
    rows = zip(place.strides, place.shape, strict=True)
    return place.offset + sum(s * (n - 1) for s, n in rows if s < 0 and n > 1)


def _reach(start, axes):
    """La dernière place occupée."""
    return start + sum(stride * (length - 1) for stride, length in axes)
