"""Où sont les choses du cours, et à qui sont ses lignes."""

from pathlib import Path

from engine.core.trace import pass_over

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ROOT / "datasets"

pass_over(Path(__file__).parent)  # un nœud né d’un widget ou d’une sonde : l’appel est à l’élève
