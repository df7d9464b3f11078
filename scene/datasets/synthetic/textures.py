"""Textures of synthetic scenes: periodic patterns, smooth noise and band-pass noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .shapes import Field

TEXTURES: dict[str, Callable[[Field, Field], Field]] = {
    "across": lambda s, t: _wave(t),
    "along": lambda s, t: _wave(s),
    "diagonal": lambda s, t: _wave((s + t) * np.float32(0.7071)),
    "checks": lambda s, t: _wave(s) * _wave(t),
    "dots": lambda s, t: np.maximum(_wave(s) + _wave(t), -0.5) * np.float32(0.8),
    "rings": lambda s, t: _wave(np.sqrt(s * s + t * t)),
    "weave": lambda s, t: (_wave(s * np.float32(1.3)) + _wave(t / 2)) * np.float32(0.5),
    "plain": lambda s, t: np.zeros_like(s),
}
"""Each pattern takes coordinates in periods and returns values in about [-1, 1]."""


def smooth_noise(rng: np.random.Generator, count: int, cells: int, size: tuple[int, int]) -> Field:
    """Sample smooth noise: Gaussian values on a coarse lattice, interpolated smoothly.

    Args:
        rng: The source of random numbers.
        count: Number of fields.
        cells: Lattice cells along each side, at any size in pixels.
        size: Height and width in pixels.

    Returns:
        ``(count, H, W)``, of variance 1 everywhere.
    """
    lattice: Field = rng.standard_normal((count, cells + 3, cells + 3), dtype=np.float32)
    down, right = (_joins(cells, side) for side in size)
    clouds: Field = np.matmul(down @ lattice, right.T)
    return clouds


def grain(rng: np.random.Generator, count: int, size: tuple[int, int]) -> Field:
    """Sample band-pass noise: white noise with a narrow blur minus one with a wide blur.

    Returns:
        ``(count, H, W)``, of variance 1 away from the edges; a grain is about 1/20 of the shorter
        side.
    """
    white: Field = rng.standard_normal((count, *size), dtype=np.float32)
    unit = min(size) / 64
    (fine_rows, broad_rows), (fine_columns, broad_columns) = (
        [_blur(side, width * unit) for width in (1.0, 2.2)] for side in size
    )
    band = fine_rows @ white @ fine_columns - broad_rows @ white @ broad_columns
    down, right = (side // 2 for side in size)
    kernel = np.outer(fine_rows[down], fine_columns[right])
    kernel -= np.outer(broad_rows[down], broad_columns[right])
    grains: Field = band / np.sqrt((kernel**2).sum())
    return grains


def _wave(phase: NDArray[np.floating]) -> Field:
    wave: Field = np.sin(phase * np.float32(2 * np.pi))
    return wave


def _joins(cells: int, side: int) -> Field:
    """Return interpolation weights ``(side, cells + 3)``: a Gaussian of 0.6 cells, of norm 1."""
    at = (np.arange(side) + 0.5) * cells / side + 1.0
    weights = np.exp(-0.5 * ((at[:, None] - np.arange(cells + 3)) / 0.6) ** 2)
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    return weights.astype(np.float32)


def _blur(side: int, width: float) -> Field:
    """Return the matrix ``(side, side)`` of a Gaussian blur of ``width`` pixels."""
    apart = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * (apart / width) ** 2)
    weights /= weights[side // 2].sum()
    return weights.astype(np.float32)
