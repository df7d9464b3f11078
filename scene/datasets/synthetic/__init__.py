"""Synthetic scenes, generated from a seed, with exact masks and presets of difficulty."""
