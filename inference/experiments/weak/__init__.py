"""Weak supervision reproduced from end to end, over several seeds."""
