"""The blur between two fused passes.

Appearance kernels blur by [s, 1, s] along each axis of a permutohedral lattice; smoothness kernels
by convolutions of the image grid, at half or full resolution. The counterparts in torch are
`inference.crf.lattice.csr.FactoredKernel.blurred` and `inference.crf.lattice.grid`.
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
    width_of,
)
from .cpu.simd_math import add, multiply, multiply_add
from .permutohedral.lattice import Chains
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


class VertexRange(NamedTuple):
    """The vertices of one scene, or of all scenes, within a lattice.

    Attributes:
        first: The first vertex.
        occupied: After the last vertex that has a pixel next to it; those before it have sums.
        last: After the last vertex of all.
        offset: Where their chains begin in ``Chains.offsets``.
        axes: D + 1 for one scene, or D + 1 for each.
    """

    first: int
    occupied: int
    last: int
    offset: int
    axes: int


@jit
def blur_lattice(
    labels: Span,
    padded: int,
    base: int,
    span: VertexRange,
    chains: Chains,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
) -> None:
    """Add up what all threads splatted, blur it along each axis, and set the sums to zero.

    Args:
        labels: The labels to blur, at multiples of 8.
        padded: Labels of a row.
        base: The row of the lattice's first vertex.
        span: The vertices to blur.
        chains: The vertices that have neighbours, along each axis.
        scales: ``(padded,)``: what each label is multiplied by.
        side: s.
        sums: ``(threads, rows · padded)``, in blocks of labels.
        values: ``(rows · padded,)``, in blocks of labels; set.
    """
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = broadcast_wide(np.float32(0))
        _blur(like, c, padded, base, span, chains, scales, side, sums, values)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        _blur(narrow, c, padded, base, span, chains, scales, side, sums, values)


@jit
def _blur(
    zeros: Any,
    c: int,
    padded: int,
    base: int,
    span: VertexRange,
    chains: Chains,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
) -> None:
    """Blur as many labels as ``zeros`` holds, from ``c`` on, in place.

    Chains follow on each other without a branch: where one begins, a link of 0 cuts it off.
    """
    wide = width_of(zeros)
    beside, scale = broadcast_like(np.float32(side), zeros), load_like(scales, c, zeros)
    threads, every, flat = len(sums), sums.shape[1], pointer(sums, 0)
    block = every // padded * c + base * wide
    blurred = pointer(values, block)
    for v in range(span.first, span.occupied):
        at = block + v * wide
        mass = load_like(flat, at, zeros)
        store(flat, at, zeros)
        for t in range(1, threads):
            mass = add(mass, load_like(flat, t * every + at, zeros))
            store(flat, t * every + at, zeros)
        store(blurred, v * wide, multiply(mass, scale))
    for v in range(span.occupied, span.last):
        store(blurred, v * wide, zeros)
    order, links = pointer(chains.order, 0), pointer(chains.links, 0)
    for a in range(span.offset, span.offset + span.axes):
        first, stop = chains.offsets[a], chains.offsets[a + 1]
        at_here: Any = np.int64(get(order, first))
        behind, here = zeros, load_like(blurred, at_here * wide, zeros)
        for i in range(first + 1, stop + 1):
            at_ahead: Any = np.int64(get(order, i))
            ahead, link = (
                load_like(blurred, at_ahead * wide, zeros),
                broadcast_like(get(links, i), zeros),
            )
            both = multiply_add(link, ahead, behind)
            store(blurred, at_here * wide, multiply_add(beside, both, here))
            behind, here, at_here = multiply(link, here), ahead, at_ahead
