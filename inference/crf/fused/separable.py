"""Separable convolutions of labels over a plane of pixels or of a grid, strip by strip."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import Float32s, Int64s, jit, jit_inline
from .cpu.simd import Pointer, broadcast_like, get, load_like, pointer, store, width_of
from .cpu.simd_math import add, multiply, multiply_add
from .layout import zero

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
        columns: Number of columns.
        width: Width of the row.
        padded: Labels of a column.
    """

    left: int
    columns: int
    width: int
    padded: int


@jit
def convolve(
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
        columns: Columns of the result.
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
