"""The CPU as the fused engine uses it: compilation by Numba, SIMD vectors, threads."""
