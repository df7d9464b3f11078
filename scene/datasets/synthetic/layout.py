"""The layout of synthetic scenes: shapes with position, size, rotation, colour and texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .presets import Difficulty

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


def squircle(u: Field, v: Field) -> Region:
    """A rounded square, halfway between a disc and a square."""
    return u**4 + v**4 <= 0.8


def board(u: Field, v: Field) -> Region:
    """A rectangle that hides the right half of every shape of two halves, and nothing else."""
    return (u >= 0) & (u <= 1.3) & (abs(v) <= 1.2)


HALVES: dict[str, Callable[[Field, Field], Region]] = {
    "round": lambda u, v: u * u + v * v <= 1,
    "square": lambda u, v: np.maximum(abs(u) * np.float32(1.1), abs(v)) <= 1,
    "pointed": lambda u, v: abs(u) * np.float32(0.8) + abs(v) <= 1,
}
"""Shapes of which any left half meets any right half in the line u = 0, |v| ≤ 1."""


def _of_halves(left: str, right: str) -> Callable[[Field, Field], Region]:
    def shape(u: Field, v: Field) -> Region:
        return np.where(u < 0, HALVES[left](u, v), HALVES[right](u, v))

    return shape


SHAPES: dict[str, Callable[[Field, Field], Region]] = {
    **{
        shape.__name__: shape
        for shape in (
            circle, ring, ellipse, square, diamond, triangle, cross, star, bar, crescent, squircle,
            board,
        )
    },
    **{f"{left} {right}": _of_halves(left, right) for left in HALVES for right in HALVES},
}  # fmt: skip
"""Each shape takes points ``u`` (right) and ``v`` (down), in radii from its centre."""


Names = NDArray[np.str_]
Ids = NDArray[np.int64]

_TRIES = 12  # positions sampled for an object, of which the best is used


@dataclass(frozen=True)
class Layer:
    """One object or distractor in each of N scenes; the first dimension of every array is N.

    Args:
        present: Whether the scene has it.
        label: Label id, 0 for a distractor.
        shape: A name of `scene.datasets.synthetic.shapes.SHAPES`.
        texture: A name of `scene.datasets.synthetic.rendering.TEXTURES`.
        colour: ``(N, 3)`` RGB grey levels.
        radius: As a share of the shorter side.
        centre: ``(N, 2)`` down and right, as shares of the sides.
        angle: Rotation in radians.
        tone: Grey levels by which its two halves differ from its colour.
        patch: ``(N, 2)`` right and down, in radii: the point where its texture is strongest.
        period: Period of its texture, as a share of the shorter side.
    """

    present: Region
    label: Ids
    shape: Names
    texture: Names
    colour: Field
    radius: Field
    centre: Field
    angle: Field
    tone: Field
    patch: Field
    period: Field


def layout(
    difficulty: Difficulty, rng: np.random.Generator, count: int
) -> tuple[Field, list[Layer]]:
    """Sample the layout of N scenes, independently of their size in pixels.

    Returns:
        The palette of each scene ``(N, colours, 3)``, at the brightness of the ground; the
        background has its first two colours. And the layers from back to front, distractors
        before objects.
    """
    palette = sample_palettes(difficulty, rng, count)
    ground = palette * np.float32(difficulty.dusk)
    return ground, sample_decoys(difficulty, rng, ground) + _objects(difficulty, rng, palette)


def sample_decoys(difficulty: Difficulty, rng: np.random.Generator, palette: Field) -> list[Layer]:
    """Sample distractors, without class and texture, at any position."""
    count, layers = len(palette), list[Layer]()
    distractors = rng.integers(0, difficulty.distractors + 1, count)
    plain, nothing = np.full(count, "plain"), np.zeros(count, dtype=np.int64)
    for k in range(difficulty.distractors):
        shape = np.array(difficulty.decoys)[rng.integers(0, len(difficulty.decoys), count)]
        colour = _colour(difficulty, rng, palette, k)
        layers += [
            sample_layer(difficulty, rng, k < distractors, nothing, shape, plain, colour, [])
        ]
    return layers


def _objects(difficulty: Difficulty, rng: np.random.Generator, palette: Field) -> list[Layer]:
    """Sample objects of different classes, each at a distance from those before it if possible."""
    count, layers = len(palette), list[Layer]()
    objects = 1 + rng.choice(len(difficulty.objects), count, p=difficulty.objects)
    kinds = rng.random((count, len(difficulty.classes))).argsort(axis=1)  # all different
    for k in range(len(difficulty.objects)):
        kind = kinds[:, k]
        any_texture = rng.integers(0, len(difficulty.textures), count)
        texture = np.array(difficulty.textures)[kind if difficulty.class_textures else any_texture]
        shape = np.array(difficulty.classes)[kind]
        colour = _colour(difficulty, rng, palette, difficulty.distractors + k)
        layers += [
            sample_layer(difficulty, rng, k < objects, 1 + kind, shape, texture, colour, layers)
        ]
    return layers


def sample_palettes(difficulty: Difficulty, rng: np.random.Generator, count: int) -> Field:
    """Sample the colours of each scene, ``(N, colours, 3)``, all different."""
    table = np.array(difficulty.palette, dtype=np.float32)
    order = rng.random((count, len(table))).argsort(axis=1)[:, : difficulty.colours]
    jitter = rng.standard_normal((count, difficulty.colours, 3), dtype=np.float32)
    colours: Field = table[order] + 8 * jitter
    return colours


def _colour(difficulty: Difficulty, rng: np.random.Generator, palette: Field, k: int) -> Field:
    """Return the colour of the k-th layer of each scene: any, or one of its own."""
    count, colours = palette.shape[:2]
    own = np.full(count, 2 + k % (colours - 2))
    pick = rng.integers(0, colours, count) if difficulty.camouflage else own
    shift = rng.uniform(-difficulty.colour_jitter, difficulty.colour_jitter, (count, 3)).astype(
        np.float32
    )
    colour: Field = palette[np.arange(count), pick] + shift
    return colour


def sample_layer(
    difficulty: Difficulty,
    rng: np.random.Generator,
    present: Region,
    label: Ids,
    shape: Names,
    texture: Names,
    colour: Field,
    others: list[Layer],
) -> Layer:
    """Sample the pose of a layer; of `_TRIES` positions the one farthest from ``others``."""
    count = len(present)

    def between(low: float, high: float, *shape: int) -> Field:
        return rng.uniform(low, high, (count, *shape)).astype(np.float32)

    radius = between(*difficulty.radius)
    margin = np.minimum(np.float32(difficulty.edge) * radius, 0.5)[:, None, None]
    places = margin + between(0, 1, _TRIES, 2) * (1 - 2 * margin)
    gap = np.full((count, _TRIES), difficulty.apart, dtype=np.float32)
    for other in others:
        distance = np.hypot(*np.moveaxis(places - other.centre[:, None], 2, 0))
        gap = np.minimum(gap, distance / (radius + other.radius)[:, None])
    return Layer(
        present=present,
        label=label,
        shape=shape,
        texture=texture,
        colour=colour,
        radius=radius,
        centre=places[np.arange(count), gap.argmax(axis=1)],
        angle=between(-difficulty.turn, difficulty.turn),
        tone=between(-difficulty.tone, difficulty.tone),
        patch=between(-0.5, 0.5, 2),
        period=between(*difficulty.period),
    )
