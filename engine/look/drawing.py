"""`pydotprint` : dessiner un graphe dans un fichier, que `engine.printing` transmet.

Le tracé est dans `course.viz`, qui charge matplotlib et IPython : il n’est chargé qu’au premier
dessin, et `import engine` reste rapide.
"""

import importlib


def pydotprint(
    fct,
    outfile=None,
    compact=True,
    format="png",
    with_ids=False,
    high_contrast=True,
    cond_highlight=None,
    colorCodes=None,
    max_label_size=70,
    scan_graphs=False,
    var_with_name_simple=False,
    print_output_file=True,
    return_image=False,
):
    """Dessine un graphe dans un fichier SVG, PNG ou PDF, sans rien installer.

    Paramètres
        fct : fonction compilée, variable, ou liste de variables.
        outfile : le fichier ; son suffixe (.svg, .png, .pdf) l’emporte sur `format`. À défaut,
            « graphe » dans le dossier courant.
        compact : ne pas faire de boîte pour un intermédiaire sans nom.
        format : "svg", "png" ou "pdf".
            Un PNG baisse de résolution pour un très grand graphe : le SVG et le PDF, non.
        with_ids : écrire le rang d’exécution de chaque opération.
        high_contrast : teinter le fond des boîtes ; False ne colore que leur bord.
        cond_highlight : réservé ; seule la valeur None est acceptée.
        colorCodes : {nom d’op: couleur}.
        max_label_size : caractères d’une étiquette avant coupure.
        scan_graphs : écrire aussi, à côté, le graphe que contient chaque op (boucle, fusion).
        var_with_name_simple : d’une variable nommée, n’écrire que le nom.
        print_output_file : dire où est le fichier.
        return_image : rendre l’image (des octets) au lieu de l’écrire.

    Renvoie
        None, ou les octets de l’image.

    Lève
        InputError : format inconnu, ou `cond_highlight` donné.

    Source
        La signature est celle de `theano.printing.pydotprint`.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> pydotprint(T.exp(x), format="svg", return_image=True)[:4]
        b'<svg'
    """
    files = importlib.import_module("course.viz.graph_files")
    return files.pydotprint(
        fct, outfile, compact, format, with_ids, high_contrast, cond_highlight, colorCodes,
        max_label_size, scan_graphs, var_with_name_simple, print_output_file, return_image,
    )  # fmt: skip
