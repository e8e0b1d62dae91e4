"""À qui le tour d’écrire : une fonction tient les variables qu’elle met à jour pendant son appel.

Deux fonctions qui mettent à jour une même variable ont le même tour (`unite`). Le prendre, ce sont
deux affectations :

    free = turn.free
    turn.free = False

Rien ne peut les séparer : Python ne change de fil, et n’entend Ctrl-C, qu’à un appel de fonction ou
à un retour en arrière. Un verrou de la bibliothèque coûterait le dixième d’un petit appel.

Ordre de lecture : `Turn`, `take`, `unite`.
"""

import sys
import time
import weakref

SHORTEST, LONGEST = 5e-5, 5e-3  # secondes entre deux regards de qui attend

TURNS = weakref.WeakSet()


class Turn:
    """Libre (`free`), ou pris ; `members` : les cases et les fonctions dont c’est le tour (`turn`).

    Qui l’a pris le garde dans une variable locale du nom de `turn`, et le rend : `free = True`.
    """

    __slots__ = ("__weakref__", "free", "members")

    def __init__(self, member):
        self.free = True
        self.members = weakref.WeakSet([member])
        TURNS.add(self)


def take(owner):
    """Attend le tour de `owner`, le prend et le rend ; None si ce fil le tient déjà (un nœud
    rappelle la fonction).
    """
    pause, seen = SHORTEST, None
    while True:
        turn = owner.turn  # il peut changer pendant que l’on attend : voir `unite`
        free = turn.free
        turn.free = False
        if free:
            return turn
        if turn is not seen and _is_ours(turn):
            return None
        seen = turn
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)


def _is_ours(awaited):
    """Dit si une fonction en cours dans ce fil tient ce tour ; celles qui l’attendent, non."""
    frame, inside = sys._getframe(1), None
    while frame is not None:
        holds = frame.f_code is not take.__code__ and inside is not take.__code__
        if holds and frame.f_locals.get("turn") is awaited:
            return True
        frame, inside = frame.f_back, frame.f_code
    return False


def unite(members):
    """Donne un seul tour à ces cases et à ces fonctions, et à qui partageait déjà le leur.

    Les anciens tours restent pris pour toujours : qui les attend finit par voir le nouveau.
    """
    members = list(members)
    held, kept, awaited = [], None, members[0]
    try:
        while awaited is not None:  # attendre en tenant un tour, ce serait s’attendre l’un l’autre
            while held:
                held.pop().free = True
            turn = take(awaited)
            if turn is not None:
                held.append(turn)
            awaited = None
            for member in members:
                wanted = member.turn
                if wanted in held:
                    continue
                free = wanted.free
                wanted.free = False
                if free:
                    held.append(wanted)
                elif _is_ours(wanted):
                    kept = wanted  # un appel en cours dans ce fil le rendra
                else:
                    awaited = member
                    break
        kept = kept or held[0]
        joined = {other for turn in held for other in turn.members}
        kept.members.update(joined)
        for member in joined:
            member.turn = kept
        held = [turn for turn in held if turn is kept]
    finally:
        for turn in held:
            turn.free = True
