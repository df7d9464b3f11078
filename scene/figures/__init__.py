"""Figures: grids of scenes, and charts."""
