"""Écrire un modèle dans un format que d’autres programmes lisent."""

from engine.io.onnx_file import write_onnx
