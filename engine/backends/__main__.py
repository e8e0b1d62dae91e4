"""Voir et vider le cache des noyaux : `python -m engine.backends`, avec `--vider`.

Ordre de lecture : `table`, `clear`, `main`. Les fichiers sont l’affaire de `engine.backends.cache`.
"""

import argparse
import sys
import time

from engine.backends.cache import directory, kernels

_DAY = 86_400  # secondes


def table():
    """Le tableau du cache : par famille de noyaux, nombre, taille, usages extrêmes."""
    found = kernels()
    lines = [f"dossier : {directory()}"]
    if not found:
        return "\n".join([*lines, "aucun noyau"])
    lines.append(f"{'famille':14}{'noyaux':>7}{'Mo':>8}  {'plus ancien usage':18}dernier usage")
    for family in [*sorted({row[0] for row in found}), "total"]:
        rows = [row for row in found if family in (row[0], "total")]
        size, dates = sum(row[1] for row in rows) / 1e6, [row[2] for row in rows]
        lines.append(
            f"{family:14}{len(rows):>7}{size:>8.2f}  {_day(min(dates)):18}{_day(max(dates))}"
        )
    return "\n".join(lines)


def _day(seconds):
    return time.strftime("%d/%m/%Y", time.localtime(seconds))


def clear(days=0):
    """Efface les noyaux dont personne n’a eu besoin depuis `days` jours.

    Renvoie
        Les tailles, en octets, des noyaux effacés, et la liste des erreurs.
    """
    sizes, errors = [], []
    for _, size, date, path in kernels():
        if time.time() - date >= days * _DAY:
            try:
                path.unlink(missing_ok=True)
                sizes.append(size)
            except OSError as error:
                errors.append(error)
    return sizes, errors


def main(arguments=None):
    """La commande : montre le cache, ou le vide ; rend 1 si quelque chose n’a pu être effacé."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.backends", description="Montre les noyaux compilés, ou les efface."
    )
    parser.add_argument("--vider", action="store_true", help="efface les noyaux")
    parser.add_argument(
        "--plus-vieux-que", type=float, metavar="JOURS", help="avec --vider : les seuls délaissés"
    )
    options = parser.parse_args(arguments)
    if options.plus_vieux_que is not None and not options.vider:
        parser.error("--plus-vieux-que s’emploie avec --vider")
    try:
        if not options.vider:
            print(table())
            return 0
        sizes, errors = clear(options.plus_vieux_que or 0)
    except PermissionError as error:
        print(f"dossier illisible : {error.filename} ({error.strerror})", file=sys.stderr)
        return 1
    print(f"{len(sizes)} noyaux effacés, {sum(sizes) / 1e6:.2f} Mo : {directory()}")
    if errors:
        print(f"{len(errors)} noyaux n’ont pu l’être : {errors[0].strerror}", file=sys.stderr)
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
