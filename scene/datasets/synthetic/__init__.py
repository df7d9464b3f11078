"""Scenes generated from a seed, with exact masks, and difficulty by name."""
