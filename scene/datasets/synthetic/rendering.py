"""Rendering of synthetic scenes: background, textured objects, light, noise and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .layout import SHAPES, Field, Layer, layout
from .presets import Difficulty

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
    return render_layers(difficulty, rng, palette, layers, size)


def render_layers(
    difficulty: Difficulty,
    rng: np.random.Generator,
    palette: Field,
    layers: Sequence[Layer],
    size: tuple[int, int],
) -> tuple[Bytes, Bytes]:
    """Render N scenes whose layout is known.

    Args:
        difficulty: The preset's parameters.
        rng: The source of the random numbers of light, background and noise.
        palette: Colours of each scene, ``(N, colours, 3)``.
        layers: From back to front.
        size: Height and width in pixels.

    Returns:
        Images ``(N, 3, H, W)`` and masks ``(N, H, W)`` of label ids, 0 = background.
    """
    count = len(palette)
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


def footprint_mask(layer: Layer, size: tuple[int, int]) -> Bytes:
    """Return masks ``(N, H, W)`` of one layer alone, whatever lies in front of it."""
    mask = np.zeros((len(layer.present), *size), dtype=np.uint8)
    (scene, y, x), _, _ = _footprint(layer, size)
    mask[scene, y, x] = layer.label[scene]
    return mask


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
