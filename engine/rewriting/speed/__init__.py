"""Les règles d’exécution : `lengths` (comparer des longueurs), `guards` (ce que l’on suppose),
`shapes`, `tables`, `fusion`, `inplace`.
"""
