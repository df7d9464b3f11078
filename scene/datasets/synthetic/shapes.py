"""Shapes in the plane, as inequalities in the coordinates of a point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Region = NDArray[np.bool_]


def circle(u: Field, v: Field) -> Region:
    """A disc of radius 0.92."""
    return u * u + v * v <= 0.85


def ring(u: Field, v: Field) -> Region:
    """A disc with a round hole of half its width."""
    square = u * u + v * v
    return (square <= 1.0) & (square >= 0.25)


def ellipse(u: Field, v: Field) -> Region:
    """An ellipse 1.8 times as wide as high."""
    return u * u + v * v * 3.2 <= 1.1


def square(u: Field, v: Field) -> Region:
    """A square with sides of 1.6 along the axes."""
    return np.maximum(abs(u), abs(v)) <= 0.8


def diamond(u: Field, v: Field) -> Region:
    """A rhombus 1.6 times as wide as high, its diagonals along the axes."""
    return abs(u) + abs(v) * 1.6 <= 1.15


def triangle(u: Field, v: Field) -> Region:
    """An equilateral triangle, one side below, corners 1.16 from the centre."""
    return (v <= 0.58) & (abs(u) * np.float32(0.866) - v / 2 <= 0.58)


def cross(u: Field, v: Field) -> Region:
    """Two bars of width 0.64 at right angles."""
    return (np.minimum(abs(u), abs(v)) <= 0.32) & (np.maximum(abs(u), abs(v)) <= 1.0)


def star(u: Field, v: Field) -> Region:
    """A pentagram: the points inside at least four of the sides of its inner pentagon."""
    outside = np.zeros(u.shape, dtype=np.int8)
    for turn in (0.1, 0.3, 0.5, 0.7, 0.9):
        x, y = np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)
        outside += u * np.float32(x) - v * np.float32(y) > 0.4
    return outside <= 1


def bar(u: Field, v: Field) -> Region:
    """A thin rectangle."""
    return (abs(u) <= 1.2) & (abs(v) <= 0.14)


def crescent(u: Field, v: Field) -> Region:
    """A disc without an overlapping disc beside it."""
    return (u * u + v * v <= 0.85) & ((u - 0.5) ** 2 + v * v >= 0.65)


SHAPES: dict[str, Callable[[Field, Field], Region]] = {
    shape.__name__: shape
    for shape in (
        circle, ring, ellipse, square, diamond, triangle, cross, star, bar, crescent
    )
}  # fmt: skip
"""Each shape takes points ``u`` (right) and ``v`` (down), in radii from its centre."""
