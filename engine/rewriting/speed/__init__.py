"""Les règles d’exécution."""
