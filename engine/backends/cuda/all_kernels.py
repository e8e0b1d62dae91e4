"""Charge tous les noyaux du périphérique, pour que le registre les connaisse.

Ordre de lecture : `elementwise`, `views`.
"""
