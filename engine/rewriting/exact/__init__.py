"""Les règles de mathématiques : `canonicalize` (forme canonique), `stabilize` (chiffres justes),
`specialize` (opérations plus directes).
"""
