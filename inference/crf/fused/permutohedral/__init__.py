"""The permutohedral lattice in Numba: its vertices, their hash table, and their neighbours."""
