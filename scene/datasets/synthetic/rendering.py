"""Rendering of synthetic scenes from a layout: background, objects, light, noise and masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layout import Layer, layout
from .presets import Difficulty
from .shapes import SHAPES, Field
from .textures import TEXTURES, grain, smooth_noise

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]


def render(
    difficulty: Difficulty, rng: np.random.Generator, count: int, size: tuple[int, int]
) -> tuple[Bytes, Bytes]:
    """Render N scenes from back to front.

    The layout is sampled before any pixel, so a seed gives the same objects at every size.

    Args:
        difficulty: The preset's parameters.
        rng: The source of all random numbers.
        count: N, the number of scenes.
        size: Height and width in pixels.

    Returns:
        Images ``(N, 3, H, W)`` and masks ``(N, H, W)`` of label ids, 0 = background.
    """
    palette, layers = layout(difficulty, rng, count)
    light = _light(difficulty, rng, count, size)
    image = _background(difficulty, rng, palette, size)
    mask = np.zeros((count, *size), dtype=np.uint8)
    rough = np.full((count, *size), difficulty.grain, dtype=np.float32)
    for layer in layers:
        _render_layer(layer, difficulty, image, mask, rough)
    clouds = smooth_noise(rng, count, 7, size) * np.float32(difficulty.clouds)
    image += (clouds + rough * grain(rng, count, size))[..., None]
    image *= light[..., None]
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(difficulty.noise)
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), mask


def _light(
    difficulty: Difficulty, rng: np.random.Generator, count: int, size: tuple[int, int]
) -> Field:
    """Sample brightness factors ``(N, H, W)``: linear over the image, 1 in its middle."""
    lean = rng.uniform(-0.7, 0.7, (2, count, 1)).astype(np.float32) * np.float32(difficulty.light)
    down, right = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    light: Field = 1 + (lean[0] * down)[:, :, None] + (lean[1] * right)[:, None, :]
    return light


def _background(
    difficulty: Difficulty, rng: np.random.Generator, palette: Field, size: tuple[int, int]
) -> Field:
    """Blend the first two colours of each scene by smooth noise, ``(N, H, W, 3)``."""
    clouds = smooth_noise(rng, len(palette), 3, size)
    share = np.float32(difficulty.ground) / (1 + np.exp(-4 * clouds))
    first, second = (palette[:, None, None, k] for k in (0, 1))
    blend: Field = first + share[..., None] * (second - first)
    return blend


def _render_layer(
    layer: Layer, difficulty: Difficulty, image: Field, mask: Bytes, rough: Field
) -> None:
    """Render a layer over the image: its colour, its label, and the strength of grain."""
    (scene, y, x), u, v = _footprint(layer, mask.shape[1:])
    near = (u - layer.patch[scene, 0]) ** 2 + (v - layer.patch[scene, 1]) ** 2 < 0.3
    near &= layer.texture[scene] != "plain"
    strength = difficulty.contrast * np.where(near, 1.0, 0.5)
    shade = strength * _pattern(layer, scene, u, v) + layer.tone[scene] * np.sign(u)
    image[scene, y, x] = layer.colour[scene] + shade[:, None]
    mask[scene, y, x] = layer.label[scene]
    rough[scene, y, x] = np.where(near, 0.0, difficulty.grain)


def _footprint(
    layer: Layer, size: tuple[int, ...]
) -> tuple[tuple[Indices, Indices, Indices], Field, Field]:
    """Return the pixels of a layer: scene, y and x, and the coordinates u, v on its shape."""
    rows = layer.present.nonzero()[0]
    radius = layer.radius[rows, None] * np.float32(min(size))
    down, right = (
        (np.arange(side, dtype=np.float32) + 0.5 - layer.centre[rows, k, None] * side) / radius
        for k, side in enumerate(size)
    )
    cos, sin = np.cos(layer.angle[rows, None]), np.sin(layer.angle[rows, None])
    u = (cos * right)[:, None, :] + (sin * down)[:, :, None]
    v = (cos * down)[:, :, None] - (sin * right)[:, None, :]
    inside = np.zeros(u.shape, dtype=np.bool_)
    for name in np.unique(layer.shape[rows]):
        these = layer.shape[rows] == name
        inside[these] = SHAPES[name](u[these], v[these])
    row, y, x = inside.nonzero()
    return (rows[row], y, x), u[inside], v[inside]


def _pattern(layer: Layer, scene: Indices, u: Field, v: Field) -> Field:
    """Evaluate the texture of each pixel's object, ``(P,)``."""
    periods = layer.radius[scene] / layer.period[scene]
    pattern = np.zeros(len(scene), dtype=np.float32)
    for name in np.unique(layer.texture):
        these = layer.texture[scene] == name
        pattern[these] = TEXTURES[name]((u * periods)[these], (v * periods)[these])
    return pattern
