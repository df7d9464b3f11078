"""Convolutions between two fused passes: smoothness kernels, at half or full resolution.

The counterpart in torch is `inference.crf.lattice.grid`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import Float32s, Int64s, Span, jit, jit_inline
from .cpu.simd import (
    WIDE,
    WIDTH,
    Pointer,
    broadcast,
    broadcast_like,
    broadcast_wide,
    get,
    load_like,
    pointer,
    store,
)
from .cpu.simd_math import multiply_add
from .separable import PixelWeights, Plane, convolve

CORNER = 1e-6
"""A kernel of 3×3 whose corners are less than this is applied to a pixel and four neighbours."""


class Neighbour(NamedTuple):
    """A pixel and its weight in a sum.

    Attributes:
        pixel: Counted over the batch.
        weight: float32.
    """

    pixel: int
    weight: float


@jit
def blur_grid(
    labels: Span,
    padded: int,
    plane: Plane,
    edges: Int64s,
    down: Float32s,
    right: Float32s,
    scales: Float32s,
    sums: Float32s,
    values: Float32s,
) -> None:
    """Convolve a grid with a separable kernel.

    Args:
        labels: The labels to convolve, at multiples of 8.
        padded: Labels of a column.
        plane: Extent of the grid.
        edges: ``(E, 2)``: spare rows of sums, and the rows that they are added to first.
        down: Taps of the kernel downwards from its centre, ``(R,)``.
        right: Taps of the kernel to the right from its centre, ``(R,)``.
        scales: ``(padded,)``: what each label is multiplied by.
        sums: ``(rows, columns, padded)``, flat; spare rows are added to others.
        values: ``(rows, columns, padded)``, flat; set.
    """
    no = len(sums) < 0
    weights = PixelWeights(pointer(scales, 0), pointer(scales, 0), no, no)
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = broadcast_wide(np.float32(0))
        convolve(like, c, padded, plane, edges, down, right, scales, sums, values, weights)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        convolve(narrow, c, padded, plane, edges, down, right, scales, sums, values, weights)


@jit
def blur_pixels(
    labels: Span,
    padded: int,
    plane: Plane,
    down: Float32s,
    right: Float32s,
    scales: Float32s,
    before: Float32s,
    after: Float32s,
    marginals: Float32s,
    messages: Float32s,
    add: bool,
) -> None:
    """Convolve marginals at full resolution.

    Args:
        labels: The labels to convolve, at multiples of 8.
        padded: Labels of a pixel.
        plane: B, H, W.
        down: Taps of the kernel downwards from its centre, ``(R,)``.
        right: Taps of the kernel to the right from its centre, ``(R,)``.
        scales: ``(padded,)``: what each label is multiplied by.
        before: ``(P,)``: what pixels are multiplied by first.
        after: ``(P,)``: what results are multiplied by.
        marginals: ``(P, padded)``, flat.
        messages: ``(P, padded)``, flat; set, or added to.
        add: Whether the results are added to the messages.
    """
    if len(down) == 2 and len(right) == 2 and down[1] * right[1] < CORNER:
        _convolve_cross(
            labels, padded, plane, down, right, scales, before, after, marginals, messages, add
        )
        return
    edges = np.empty((0, 2), np.int64)
    by = PixelWeights(pointer(before, 0), pointer(after, 0), len(before) > 0, add)
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = broadcast_wide(np.float32(0))
        convolve(like, c, padded, plane, edges, down, right, scales, marginals, messages, by)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        convolve(narrow, c, padded, plane, edges, down, right, scales, marginals, messages, by)


@jit
def _convolve_cross(
    labels: Span,
    padded: int,
    plane: Plane,
    down: Float32s,
    right: Float32s,
    scales: Float32s,
    before: Float32s,
    after: Float32s,
    marginals: Float32s,
    messages: Float32s,
    add: bool,
) -> None:
    """Convolve with a kernel of 3×3 whose corners are nearly zero; arguments as `blur_pixels`."""
    scenes, height, width = plane
    source, target, scale = pointer(marginals, 0), pointer(messages, 0), pointer(scales, 0)
    first, last = pointer(before, 0), pointer(after, 0)
    middle, flank, edge = down[0] * right[0], down[0] * right[1], down[1] * right[0]
    for row in range(scenes * height):
        y = row % height
        up, under = width if y > 0 else 0, width if y < height - 1 else 0
        for p in range(row * width, (row + 1) * width):
            left = 1 if p > row * width else 0
            ahead = 1 if p < (row + 1) * width - 1 else 0
            share = get(last, p)
            five = (
                Neighbour(p, share * middle * get(first, p)),
                Neighbour(p - left, np.float32(left) * share * flank * get(first, p - left)),
                Neighbour(p + ahead, np.float32(ahead) * share * flank * get(first, p + ahead)),
                Neighbour(p - up, np.float32(up > 0) * share * edge * get(first, p - up)),
                Neighbour(p + under, np.float32(under > 0) * share * edge * get(first, p + under)),
            )
            for c in range(labels[0], labels[1] - WIDTH, WIDE):
                like = broadcast_wide(np.float32(0))
                _sum_five(like, c, p, padded, five, scale, source, target, add)
            if (labels[1] - labels[0]) % WIDE:
                c = labels[1] - WIDTH
                narrow = broadcast(np.float32(0))
                _sum_five(narrow, c, p, padded, five, scale, source, target, add)


@jit_inline
def _sum_five(
    zeros: Any,
    c: int,
    p: int,
    padded: int,
    five: Any,
    scale: Pointer,
    source: Pointer,
    target: Pointer,
    add: bool,
) -> None:
    """Store, or add, the weighted sum of five neighbours in some labels of pixel ``p``."""
    mass = zeros
    for near in five:
        part = load_like(source, near.pixel * padded + c, zeros)
        mass = multiply_add(broadcast_like(near.weight, zeros), part, mass)
    here = load_like(target, p * padded + c, zeros) if add else zeros
    by = load_like(scale, c, zeros)
    store(target, p * padded + c, multiply_add(by, mass, here))
