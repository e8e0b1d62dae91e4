"""À écrire."""
