"""Les objectifs, le tableau et son fichier : une ligne par travail et par rival.

Les objectifs sont ceux du cahier des charges du GPU, écrits avant les mesures, pour un H200 et
pour PyTorch sur la même machine, dans le même appel. Un rapport compare des vitesses : 2 veut dire
deux fois plus vite que le rival.

Ordre de lecture : `GOALS`, `render`, `merged`.
"""

import json
from pathlib import Path
from typing import NamedTuple


class Goal(NamedTuple):
    """Ce que l’on vise : aller `ratio` fois plus vite que `against`.

    Champs
        row : le nom de la ligne.
        against : un rival de cette ligne, une autre ligne (en Go/s), ou une durée en µs.
    """

    row: str
    against: str | float
    ratio: float


LENET, LENET_BY_COLUMNS = "LeNet 20/50, lot de 500", "LeNet 20/50, lot de 500, par colonnes"
LSTM = "LSTM, 100 pas, lot de 64, 512 unités"
GOALS = (
    *(
        Goal(f"{name}, {size} Mio", f"copie, {size} Mio", 0.85)
        for size in (64, 256)
        for name in ("chaîne fondue", "SGD")
    ),
    *(
        Goal(f"produit {size}, bibliothèque", "PyTorch", 0.97)
        for size in ("512", "1024", "4096", "500×784×10")
    ),
    Goal("régression logistique, lot de 500", "PyTorch", 5),
    Goal(LENET, "PyTorch", 2),
    Goal(LENET, "PyTorch, graphe", 1),
    Goal(LENET_BY_COLUMNS, "PyTorch, graphe", 1),
    Goal(LSTM, "PyTorch, cellules", 8),
    Goal(LSTM, "cuDNN", 0.7),
    Goal("appel compilé, l’envoi", 5.0, 1),
)
_NAME = 40  # colonnes
_SHOWN = 20  # cas faux imprimés ; le rapport les a tous


def render(report):
    """Les lignes du tableau."""
    rows = report["lignes"]
    if rows:
        yield heading(sorted({row["gpu"] for row in rows.values()}))
    for name in rows:
        yield from lines(name, rows)
    for title, kernels in report.get("noyaux", {}).items():
        done = "appelés, rien n’est jugé" if kernels.get("essai") else "justes"
        yield f"{title} : {kernels['justes']} {done}, {len(kernels['faux'])} faux"
        shown = kernels["faux"][:_SHOWN]
        yield from (f"  {case} : {why}" for case, why in shown)
        if len(shown) < len(kernels["faux"]):
            yield "  et d’autres, dans le rapport"


def heading(gpus):
    """Le haut du tableau."""
    return (
        f"{' et '.join(gpus)} : médianes par appel ; le rapport compare des vitesses\n"
        f"{'':{_NAME}}{'µs':>10}{'Top/s':>8}{'Go/s':>8}{'Mo':>8}  "
        f"{'face à':26}{'µs':>10}  rapport  objectif"
    )


def lines(name, rows):
    """Ce que le tableau dit d’un travail : une ligne par rival."""
    row = rows[name]
    if "µs" not in row:
        yield f"{name:{_NAME}}{row.get('échec') or row['absent']}"
        return
    left = f"{name:{_NAME}}{row['µs']:10.1f}"
    left += "".join(_number(row, key) for key in ("Top/s", "Go/s", "Mo")) + "  "
    if not row.get("écart", 0) <= row["tolérance"]:
        yield f"{left}FAUX, écart {row['écart']:.1e}"
        left = " " * len(left)
    for faced in [] if row.get("essai") else _faced(name, row, rows):
        yield left + faced
        left = " " * len(left)
    if left.strip():
        yield left.rstrip()


def _number(row, key):
    return f"{row[key]:8.1f}" if key in row else " " * 8


def _faced(name, row, rows):
    """Ce à quoi la ligne se compare : (rival, durée, rapport, objectif, verdict)."""
    goals = [goal for goal in GOALS if goal.row == name]
    faced = {goal.against for goal in goals}
    for rival, spent in row.get("rivaux", {}).items():
        if isinstance(spent, str):
            yield f"{rival:26}{spent}"
            continue
        if rival not in faced:
            yield f"{rival:26}{spent:10.1f}{spent / row['µs']:9.2f}"
    for goal in goals:
        spent = _spent(goal, row, rows)
        if spent is None:
            continue
        ratio = spent / row["µs"]
        verdict = "atteint" if ratio >= goal.ratio else "MANQUÉ"
        against = goal.against if isinstance(goal.against, str) else "la durée visée"
        yield f"{against:26}{spent:10.1f}{ratio:9.2f}{goal.ratio:10.2f}  {verdict}"


def _spent(goal, row, rows):
    """La durée que l’objectif compare à celle de la ligne ; None, elle n’a pas été mesurée."""
    if not isinstance(goal.against, str):
        return goal.against
    if goal.against in rows:
        speed = rows[goal.against].get("Go/s")
        return row["Go/s"] * row["µs"] / speed if speed else None
    spent = row.get("rivaux", {}).get(goal.against)
    return None if isinstance(spent, str) else spent


def missed(report):
    """Ce qui est faux : les lignes en échec, celles dont l’écart est trop grand, les noyaux."""
    rows = report["lignes"].values()
    wrong = sum("échec" in r or not r.get("écart", 0) <= r["tolérance"] for r in rows)
    return wrong + sum(len(k["faux"]) for k in report.get("noyaux", {}).values())


def merged(*reports):
    """Plusieurs rapports en un : la dernière mesure d’une ligne l’emporte."""
    whole = {}
    for report in reports:
        for key, value in report.items():
            whole[key] = {**whole.get(key, {}), **value}
    return whole


def read(path):
    """Le rapport que contient ce fichier ; vide s’il n’existe pas."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else {"lignes": {}}


def write(report, path):
    """Ajoute ce rapport à celui du fichier."""
    text = json.dumps(merged(read(path), report), indent=1, ensure_ascii=False)
    Path(path).write_text(text + "\n")
