"""Ce que chaque noyau consomme, sans GPU : python -m tests.device.report [sm_90a sm_80 …]

Registres, mémoire locale et partagée, instructions en double précision, accès de 128 bits. Un
noyau de float32 ne calcule rien en double, et aucun ne déborde de ses registres : `over_budget`
dit lesquels manquent à la règle.
"""

import sys

from engine.backends.cuda.cubins import build, cubin, read_report
from engine.ops.rng import RandomNormal
from tests.device.requests import record

REGISTERS = {"dot": 64, "conv": 96, "pool": 96, "reduce": 72, "softmax": 64, "elemwise": 72}
ELSEWHERE = 48
# Γ et ses dérivées n’ont pas de forme simple : calculées en double, même pour un float32.
# Un tirage en est proche : logarithme d’un nombre voisin de 1, cumul de probabilités.
DOUBLE_BY_NATURE = (
    *("psi", "polygamma", "gammaln", "gamma", "sin", "cos", "tan"),
    *(str(RandomNormal("float32")), "tirer des rangs"),
)
# Un angle immense se réduit d’après une table en mémoire locale (Payne et Hanek).
LOCAL_BY_NATURE = ("sin", "cos", "tan", *(str(RandomNormal(d)) for d in ("float32", "float64")))


def over_budget(request, report):
    """Ce qu’un noyau a de trop, en une phrase ; None s’il tient dans son budget."""
    limit = REGISTERS.get(request.name, ELSEWHERE)
    if (report.spills or report.local) and title(request) not in LOCAL_BY_NATURE:
        return f"{report.spills} accès à la mémoire locale"
    if is_single(request) and report.doubles and title(request) not in DOUBLE_BY_NATURE:
        return f"{report.doubles} instructions en double précision"
    if report.registers > limit:
        return f"{report.registers} registres, {limit} au plus"
    return None


def is_single(request):
    """Le noyau ne touche-t-il à aucun float64 ?"""
    return not any("float64" in word for word in request.signature)


def title(request):
    """Ce que calcule le noyau, d’après la première ligne de son texte."""
    return request.text.split('"""')[1]


def rows(requests, architecture):
    """(demande, rapport) de chaque noyau, compilé s’il le faut."""
    for request, message in build(requests, architecture):
        raise RuntimeError(f"{request.name} ({title(request)}) : {message}")
    for request in requests:
        yield request, read_report(cubin(request, architecture)[1])


def main(architectures):
    requests, bad = record(), 0
    for architecture in architectures:
        print(f"\n{architecture} : registres, pile, partagée, locale, doubles, 128 bits")
        for request, report in rows(requests, architecture):
            over = over_budget(request, report)
            bad += over is not None
            print(
                f"{request.name:10} {title(request)[:44]:44} {report.registers:4} {report.stack:5}"
                f" {report.shared:6} {report.local:4} {report.doubles:4} {report.wide:4}"
                f"  {'' if over is None else 'TROP : ' + over}"
            )
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["sm_90a"]))
