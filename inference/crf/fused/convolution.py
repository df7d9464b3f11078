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
    width_of,
)
from .cpu.simd_math import add, multiply, multiply_add
from .layout import zero

CORNER = 1e-6
"""A kernel of 3×3 whose corners are less than this is applied to a pixel and four neighbours."""


RING, NARROWEST = 6144, 16
"""Numbers of a ring of rows that fit the nearest cache; and the fewest columns of a strip."""


USUAL_REACH = 5
"""Taps beside the centre of the default smoothness kernel: loops over so many are unrolled."""


class Plane(NamedTuple):
    """The extent of what is convolved.

    Attributes:
        scenes: B.
        height: Rows of a scene, of pixels or of the grid.
        width: Columns.
    """

    scenes: int
    height: int
    width: int


class PixelWeights(NamedTuple):
    """What pixels are multiplied by before and after a convolution at full resolution.

    Attributes:
        before: ``(P,)``.
        after: ``(P,)``.
        used: Whether there are weights.
        add: Whether the result is added; if not, it replaces what was there.
    """

    before: Pointer
    after: Pointer
    used: bool
    add: bool


class RowOutput(NamedTuple):
    """Where a row of results goes.

    Attributes:
        values: ``(width, padded)``.
        weights: ``(width,)``: weights after the convolution.
        used: Whether results are multiplied by the weights.
        add: Whether results are added; if not, they replace what was there.
    """

    values: Pointer
    weights: Pointer
    used: bool
    add: bool


class Strip(NamedTuple):
    """Some columns of a row.

    Attributes:
        left: The first column.
        columns: How many.
        width: Of the row.
        padded: Labels of a column.
    """

    left: int
    columns: int
    width: int
    padded: int


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
        _convolve(like, c, padded, plane, edges, down, right, scales, sums, values, weights)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        _convolve(narrow, c, padded, plane, edges, down, right, scales, sums, values, weights)


@jit
def _convolve(
    zeros: Any,
    c: int,
    padded: int,
    plane: Plane,
    edges: Int64s,
    down: Float32s,
    right: Float32s,
    scales: Float32s,
    sums: Float32s,
    values: Float32s,
    weights: PixelWeights,
) -> None:
    """Convolve as many labels as ``zeros`` holds, from ``c`` on.

    Work goes strip by strip of columns. In a strip, rows are convolved to the right into a ring of
    as many rows as the kernel is high, from which the rows of the result are summed; the ring fits
    the nearest cache. All arguments but the first two and the last are those of `blur_grid`.
    """
    scenes, height, width = plane
    wide, reach, under = width_of(zeros), len(right) - 1, len(down) - 1
    source, target, scale = pointer(sums, c), pointer(values, c), load_like(scales, c, zeros)
    along, step, rows = pointer(down, 0), width * padded, 2 * under + 1
    for e in range(len(edges)):
        for x in range(width):
            at, spare = edges[e, 1] * step + x * padded, edges[e, 0] * step + x * padded
            store(source, at, add(load_like(source, at, zeros), load_like(source, spare, zeros)))
    widest = min(width, max(NARROWEST, RING // (rows * wide)))
    line = np.empty((widest + 2 * reach) * wide, np.float32)
    ring = np.empty(rows * widest * wide, np.float32)
    for scene in range(scenes):
        for left in range(0, width, widest):
            columns = min(widest, width - left)
            span = columns * wide
            zero(pointer(ring, 0), rows * span)
            for y in range(-under, height):
                ahead = y + under
                place = pointer(ring, (ahead % rows) * span)
                if ahead < height:
                    pixel = (scene * height + ahead) * width
                    strip = Strip(left, columns, width, padded)
                    _load_line(
                        zeros, pixel, strip, reach, source, scale, weights, pointer(line, 0)
                    )
                    _convolve_line(
                        zeros, columns, reach, pointer(right, 0), pointer(line, 0), place
                    )
                else:
                    zero(place, span)
                if y >= 0:
                    p = (scene * height + y) * width + left
                    to = RowOutput(
                        pointer(target, p * padded),
                        pointer(weights.after, p if weights.used else 0),
                        weights.used,
                        weights.add,
                    )
                    _sum_down(zeros, y, under, columns, padded, along, pointer(ring, 0), to)


@jit
def _load_line(
    zeros: Any,
    pixel: int,
    strip: Strip,
    reach: int,
    source: Pointer,
    scale: Any,
    weights: PixelWeights,
    line: Pointer,
) -> None:
    """Load a strip of a row, and ``reach`` columns on either side; multiply it by its weights.

    Args:
        zeros: As wide as the vectors to work with.
        pixel: The first pixel of the row, counted over the batch.
        strip: Which columns.
        reach: R − 1.
        source: ``(P, padded)``.
        scale: A vector: what each label is multiplied by.
        weights: What pixels are multiplied by.
        line: ``(columns + 2 reach,)`` vectors, set; zero beyond the row's ends.
    """
    wide = width_of(zeros)
    for i in range(strip.columns + 2 * reach):
        x = strip.left + i - reach
        part = zeros
        if 0 <= x < strip.width:
            p = pixel + x
            part = multiply(load_like(source, p * strip.padded, zeros), scale)
            if weights.used:
                part = multiply(part, broadcast_like(get(weights.before, p), zeros))
        store(line, i * wide, part)


@jit
def _convolve_line(
    zeros: Any, columns: int, reach: int, taps: Pointer, line: Pointer, result: Pointer
) -> None:
    """Convolve a line with the taps of a symmetric kernel.

    Args:
        zeros: As wide as the vectors to work with.
        columns: Of the result.
        reach: R − 1.
        taps: ``(R,)``, from the centre.
        line: ``(columns + 2 reach,)`` vectors.
        result: ``(columns,)`` vectors, set.
    """
    if reach == USUAL_REACH:
        _convolve_line_by(zeros, columns, USUAL_REACH, taps, line, result)
    else:
        _convolve_line_by(zeros, columns, reach, taps, line, result)


@jit_inline
def _convolve_line_by(
    zeros: Any, columns: int, reach: int, taps: Pointer, line: Pointer, result: Pointer
) -> None:
    wide = width_of(zeros)
    for x in range(columns):
        at = (x + reach) * wide
        mass = multiply(broadcast_like(get(taps, 0), zeros), load_like(line, at, zeros))
        for r in range(1, reach + 1):
            both = add(
                load_like(line, at - r * wide, zeros), load_like(line, at + r * wide, zeros)
            )
            mass = multiply_add(broadcast_like(get(taps, r), zeros), both, mass)
        store(result, x * wide, mass)


@jit
def _sum_down(
    zeros: Any,
    y: int,
    under: int,
    width: int,
    padded: int,
    along: Pointer,
    ring: Pointer,
    to: RowOutput,
) -> None:
    """Sum the rows of a ring with the taps of the kernel downwards, around row ``y``.

    Args:
        zeros: As wide as the vectors to work with.
        y: The row, whose place in the ring is ``y`` modulo the ring's rows.
        under: R − 1.
        width: Columns.
        padded: Labels of a column of the result.
        along: The taps, ``(R,)``.
        ring: ``(2 R − 1, width)`` vectors.
        to: Where the sums go.
    """
    if under == USUAL_REACH:
        _sum_down_by(zeros, y, USUAL_REACH, width, padded, along, ring, to)
    else:
        _sum_down_by(zeros, y, under, width, padded, along, ring, to)


@jit_inline
def _sum_down_by(
    zeros: Any,
    y: int,
    under: int,
    width: int,
    padded: int,
    along: Pointer,
    ring: Pointer,
    to: RowOutput,
) -> None:
    wide, rows = width_of(zeros), 2 * under + 1
    span, middle = width * wide, y % rows
    for x in range(width):
        here = load_like(ring, middle * span + x * wide, zeros)
        mass = multiply(broadcast_like(get(along, 0), zeros), here)
        above, below = middle, middle
        for r in range(1, under + 1):
            above = above - 1 if above else rows - 1
            below = below + 1 if below < rows - 1 else 0
            both = add(
                load_like(ring, above * span + x * wide, zeros),
                load_like(ring, below * span + x * wide, zeros),
            )
            mass = multiply_add(broadcast_like(get(along, r), zeros), both, mass)
        here = load_like(to.values, x * padded, zeros) if to.add else zeros
        if to.used:
            mass = multiply_add(broadcast_like(get(to.weights, x), zeros), mass, here)
        store(to.values, x * padded, mass)


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
        _convolve(like, c, padded, plane, edges, down, right, scales, marginals, messages, by)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        _convolve(narrow, c, padded, plane, edges, down, right, scales, marginals, messages, by)


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
