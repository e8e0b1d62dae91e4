"""`d3viz` : la page interactive d’un graphe, en un fichier HTML qui s’ouvre sans réseau.

Noms publics : `d3viz`, `d3write`. La page est faite par `course.viz.graph_page`.
"""

import importlib
import json
import pathlib

from engine.look.printing import graph_data


def d3viz(fct, outfile, copy_deps=True, title=None, values=None):
    """Écrit la page interactive d’un graphe.

    Paramètres
        fct : fonction compilée (compilée avec `profile=True` et appelée, ses nœuds sont colorés
            selon leur temps), variable, ou liste de variables.
        outfile : le fichier HTML.
        copy_deps : accepté ; le fichier contient tout, il n’y a rien à copier à côté.
        title : le titre de la page.
        values : {entrée: valeur}, pour montrer la valeur de chaque nœud.

    Renvoie
        None.

    Source
        La signature est celle de `theano.d3viz.d3viz`.

    Exemple
        >>> import tempfile
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     d3viz(T.exp(x), f"{folder}/graphe.html")
        ...     pathlib.Path(folder, "graphe.html").read_text(encoding="utf-8")[:15]
        '<!DOCTYPE html>'
    """
    pathlib.Path(outfile).write_text(_page().graph_page(fct, title, values), encoding="utf-8")


def d3write(fct, path):
    """Écrit un graphe dans la langue DOT, que Graphviz et d’autres outils lisent.

    Paramètres
        fct : fonction compilée, variable, ou liste de variables.
        path : le fichier.

    Exemple
        >>> import tempfile
        >>> from engine import tensor as T
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     d3write(T.exp(T.dscalar("x")), f"{folder}/graphe.dot")
        ...     print(pathlib.Path(folder, "graphe.dot").read_text(encoding="utf-8"))
        digraph {
          n0 [label="x", shape=box];
          n1 [label="exp", shape=ellipse];
          n2 [label="sortie", shape=box];
          n0 -> n1 [label="float64 ()"];
          n1 -> n2 [label="float64 ()"];
        }
    """
    data, lines = graph_data(fct), ["digraph {"]
    for node in data["nodes"]:
        shape = "ellipse" if node["kind"] == "apply" else "box"
        lines.append(f"  {node['id']} [label={_quote(node['label'])}, shape={shape}];")
    for edge in data["edges"]:
        lines.append(f"  {edge['source']} -> {edge['target']} [label={_quote(edge['label'])}];")
    pathlib.Path(path).write_text("\n".join([*lines, "}"]), encoding="utf-8")


def _quote(text):
    return json.dumps(text, ensure_ascii=False)


def _page():
    """Les dessins sont ceux du cours, qui ne se charge qu’ici."""
    return importlib.import_module("course.viz.graph_page")
