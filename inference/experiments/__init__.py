"""Experiments: comparisons, searches, reproductions, and generated datasets."""
