"""Les parties du script : nom -> table de ses lignes, et ce que celles-ci demandent à compiler."""

from tests.device import products as trials
from tests.device import requests
from tests.device.convolutions import convolutions
from tests.device.programs import programs
from tests.device.works import NotHereError, elementwise, host, products, reductions

PARTS = {
    "elementwise": elementwise,
    "products": products,
    "reductions": reductions,
    "convolutions": convolutions,
    "programs": programs,
    "host": host,
}


def everything(architecture):
    """Tout ce que le script demandera sur cette architecture, sans doublon."""
    asked = requests.record([architecture]), trials.requests(architecture)
    wanted = [request for part in (*asked, _asked_by_rows(architecture)) for request in part]
    return list(dict.fromkeys(wanted))


def _asked_by_rows(architecture):
    """Les noyaux que demandent les lignes, à leurs vraies tailles."""
    with requests.using(requests.Recorder(architecture)) as recorder:
        for make in [make for part in PARTS.values() for make in part().values()]:
            try:
                make(small=False).run()
            except NotHereError:
                continue
    return recorder.requests
