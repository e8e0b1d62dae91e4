"""Regarder : imprimer, dessiner, déboguer, mesurer, éprouver."""
