"""Reproduction of weak supervision from end to end, over several seeds."""
