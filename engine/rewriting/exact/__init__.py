"""Les règles de mathématiques."""
