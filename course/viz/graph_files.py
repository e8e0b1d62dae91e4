"""Un graphe dans un fichier : SVG, PNG ou PDF, pour `engine.printing.pydotprint`.

Le SVG écrit ici porte des couleurs fixes (celles du thème clair), que tout logiciel sait lire ; PNG
et PDF viennent de matplotlib (`graph_figure`). Les trois montrent le même placement.

Noms publics : `render`, `pydotprint`.
"""

import io
import math
import pathlib
import re

from course.viz.graph_drawing import draw_graph
from course.viz.graph_figure import draw_figure
from course.viz.graph_plan import arrange
from engine.core.errors import InputError
from engine.printing import graph_data

FORMATS = ("svg", "png", "pdf")
DOTS_PER_INCH = 144
LARGEST = 30_000  # pixels d’un côté d’un PNG ; PIXELS en tout : au-delà, la résolution baisse
PIXELS = 60e6
_VARIABLE = re.compile(r"var\(--[\w-]+, ((?:[^()]|\([^()]*\))+)\)")


def render(data, format="svg", **options):
    """Rend les octets de l’image d’un graphe.

    Paramètres
        data : le dictionnaire du graphe.
        format : "svg", "png" ou "pdf".
        options : `folds`, `edge_text`, `longest`, `tint` (voir `graph_plan.arrange`).

    Exemple
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> render({"nodes": [x], "edges": []}, "pdf")[:4]
        b'%PDF'
    """
    if format == "svg":
        return _VARIABLE.sub(r"\1", draw_graph(data, **options)).encode()
    figure = draw_figure(arrange(data, **options))
    buffer = io.BytesIO()
    width, height = figure.get_size_inches()
    dots = min(DOTS_PER_INCH, LARGEST / max(width, height), math.sqrt(PIXELS / (width * height)))
    figure.savefig(buffer, format=format, dpi=dots)
    return buffer.getvalue()


def pydotprint(
    fct, outfile, compact, format, with_ids, high_contrast, cond_highlight, colorCodes,
    max_label_size, scan_graphs, var_with_name_simple, print_output_file, return_image,
):  # fmt: skip
    """Voir `engine.look.drawing.pydotprint`, qui appelle cette fonction."""
    path = None if outfile is None else pathlib.Path(outfile)
    format = path.suffix.removeprefix(".") if path is not None and path.suffix else format
    if format not in FORMATS:
        raise InputError(
            f"format de dessin inconnu : {format}", expected=", ".join(FORMATS), received=format
        )
    if cond_highlight is not None:
        raise InputError(
            "cond_highlight n’est pas pris en charge",
            expected="None",
            received=repr(cond_highlight),
            hint="graph_data(..., lit=[...]) et graph_image allument les nœuds que l’on veut",
        )
    path = pathlib.Path("graphe") if path is None else path
    path = path if path.suffix else path.with_suffix(f".{format}")
    data = _dress(graph_data(fct, compact=compact), with_ids, colorCodes, var_with_name_simple)
    options = {"longest": max_label_size, "tint": 0.3 if high_contrast else 0.0, "folds": []}
    image = render(data, format, **options)
    if return_image:
        return image
    drawings = {path: image}
    if scan_graphs:
        inner = [node for node in data["nodes"] if "inner" in node]
        for rank, node in enumerate(inner):
            label = re.sub(r"\W+", "_", node["label"])
            name = f"{path.stem}_{label}_{rank}{path.suffix}"
            drawings[path.with_name(name)] = render(node["inner"], format, **options)
    for place, content in drawings.items():
        place.write_bytes(content)
        if print_output_file:
            print(f"Le dessin est dans {place}")
    return None


def _dress(data, with_ids, colours, names_only):
    """Le même graphe, avec les rangs, les couleurs et les étiquettes demandés."""
    nodes, rank = [], 0
    for node in data["nodes"]:
        dressed = dict(node)
        if node["kind"] == "apply":
            colour = (colours or {}).get(node["label"]) or (colours or {}).get(node["detail"])
            dressed |= {"colour": colour} if colour else {}
            dressed["label"] += f" [{rank}]" if with_ids else ""
            rank += 1
        elif names_only and node["kind"] in ("input", "shared", "intermediate"):
            dressed["detail"] = None
        nodes.append(dressed)
    return {**data, "nodes": nodes}
