"""Voir : le dessin des graphes, les widgets des leçons, les courbes, les filtres, les figures.

palette, picture       les couleurs du cours ; une image fixe et son texte de remplacement
layout, folding        placer un graphe par couches ; le replier
graph_plan             ce qu’il y a à dessiner d’un graphe, et où
graph_drawing          `draw_graph`, `graph_image`, `rewriting_image` (SVG)
graph_figure           le même dessin avec matplotlib
graph_files            un dessin dans un fichier (`engine.printing.pydotprint`)
graph_page             la page interactive d’un graphe (`engine.look.d3viz`)
profiles               `profile_figure`, le profil d’une fonction en figure
history, replay        la réécriture d’une fonction, image par image ; `RewritingReplay` (leçon 04)
explorer               `GraphExplorer`, `explore` (leçon 03)
chains, perturbation   `PerturbationWidget` (leçon 01)
parentheses, orders    `OrdersWidget` (leçon 02)
signals, initialization `InitializationWidget` (leçon 05)
digits, digit_pad      `DigitPad`, dessiner un chiffre (leçon 07)
convolution            `ConvolutionWidget`, un filtre sur une image (leçon 07)
unrolling              `ScanWidget` (leçon 08)
memory, generation     `MemoryWidget`, `GenerationWidget` (leçon 09)
thread_map             `ThreadMapWidget` (leçon 10)
nan_hunt               `NanHuntWidget` (leçon 11)
tower                  `Floor`, `TowerWidget` (leçon 00)
curves, filters        `LiveCurves`, `LiveFilters`, `filter_grid` (leçon 06)
excitation             `strongest_patches`, `ideal_images`, `excitation_grid` (leçon 07)
mosaics, confusion     `filter_mosaic`, `maps_image`, `saliency_grid`, `confusion_image` (leçon 07)
figures, svg           `use_course_style`, `show` pour matplotlib ; des morceaux de SVG
widget                 ce que les widgets ont en commun
"""

from course.viz.chains import EXP_SIN_SQUARE, Step
from course.viz.confusion import confusion_image
from course.viz.convolution import ConvolutionWidget
from course.viz.curves import LiveCurves
from course.viz.digit_pad import DigitPad
from course.viz.excitation import excitation_grid, ideal_images, strongest_patches
from course.viz.explorer import GraphExplorer, explore
from course.viz.figures import picture_of, show, use_course_style
from course.viz.filters import LiveFilters, filter_grid
from course.viz.generation import GenerationWidget
from course.viz.graph_drawing import draw_graph, graph_image, rewriting_image
from course.viz.initialization import InitializationWidget
from course.viz.memory import MemoryWidget
from course.viz.mosaics import filter_mosaic, maps_image, saliency_grid
from course.viz.nan_hunt import NanHuntWidget
from course.viz.orders import OrdersWidget
from course.viz.palette import CONCEPTS
from course.viz.perturbation import PerturbationWidget
from course.viz.picture import Picture, SideBySide, decimal
from course.viz.profiles import profile_figure
from course.viz.replay import RewritingReplay
from course.viz.thread_map import ThreadMapWidget
from course.viz.tower import Floor, TowerWidget
from course.viz.unrolling import ScanWidget
from course.viz.widget import static_output

__all__ = [
    "CONCEPTS",
    "EXP_SIN_SQUARE",
    "ConvolutionWidget",
    "DigitPad",
    "Floor",
    "GenerationWidget",
    "GraphExplorer",
    "InitializationWidget",
    "LiveCurves",
    "LiveFilters",
    "MemoryWidget",
    "NanHuntWidget",
    "OrdersWidget",
    "PerturbationWidget",
    "Picture",
    "RewritingReplay",
    "ScanWidget",
    "SideBySide",
    "Step",
    "ThreadMapWidget",
    "TowerWidget",
    "confusion_image",
    "decimal",
    "draw_graph",
    "excitation_grid",
    "explore",
    "filter_grid",
    "filter_mosaic",
    "graph_image",
    "ideal_images",
    "maps_image",
    "picture_of",
    "profile_figure",
    "rewriting_image",
    "saliency_grid",
    "show",
    "static_output",
    "strongest_patches",
    "use_course_style",
]
