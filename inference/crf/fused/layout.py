"""Layouts of logits in memory: channels first as callers have them, channels last to work on.

Channels last is one row of labels a pixel, padded to whole SIMD vectors. The torch engine's
counterparts are two permutations in `inference.crf.lattice.engine`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import Float32s, jit, jit_inline
from .cpu.simd import (
    PADDING_LOGIT,
    WIDE,
    WIDTH,
    Pointer,
    broadcast,
    get,
    load,
    pointer,
    put,
    store,
)
from .cpu.simd_math import multiply, transpose8

CHUNK = 32
"""Pixels that are transposed together, and go through each stage of a fused pass together."""


class Shape(NamedTuple):
    """The extent of a batch of scenes of one size.

    Attributes:
        batch: B, scenes.
        height: H, rows of pixels of a scene.
        width: W, pixels of a row.
        labels: L.
        padded: L rounded up to whole narrow vectors.
    """

    batch: int
    height: int
    width: int
    labels: int
    padded: int


@jit
def to_channels_last(
    logits: Float32s, shape: Shape, first: int, last: int, packed: Float32s
) -> None:
    """Copy rows of pixels ``first`` to ``last`` from ``(B, L, H, W)`` to ``(B, H, W, padded)``.

    Args:
        logits: Channels first, flat.
        shape: Shape of the batch.
        first: The first row of pixels, counted over the batch.
        last: The row after the last.
        packed: Channels last, flat; set.
    """
    width, padded = shape.width, shape.padded
    for row in range(first, last):
        for start in range(0, width, CHUNK):
            here = pointer(packed, (row * width + start) * padded)
            count = min(CHUNK, width - start)
            read_channels_first(pointer(logits, 0), shape, row, start, count, here, padded)


@jit
def read_channels_first(
    logits: Pointer, shape: Shape, row: int, start: int, count: int, rows: Pointer, pitch: int
) -> None:
    """Transpose some pixels of a row into rows of labels; padding becomes `PADDING_LOGIT`.

    Args:
        logits: Channels first.
        shape: Shape of the batch.
        row: Row of pixels, counted over the batch.
        start: Column of the first pixel.
        count: Number of pixels.
        rows: Rows of labels, set.
        pitch: Numbers from one row of labels to the next.
    """
    height, width, labels = shape.height, shape.width, shape.labels
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    if labels < WIDTH or count < WIDTH:
        for c in range(labels):
            for i in range(count):
                put(rows, i * pitch + c, get(logits, origin + c * plane + i))
    else:
        for label in range(0, labels, WIDTH):
            c = min(label, labels - WIDTH)  # where less than a vector is left, some are read twice
            for pixel in range(0, count, WIDTH):
                i = min(pixel, count - WIDTH)
                transpose8(logits, origin + c * plane + i, plane, rows, i * pitch + c, pitch)
    for i in range(count):
        for c in range(labels, pitch):
            put(rows, i * pitch + c, np.float32(PADDING_LOGIT))


@jit
def write_channels_first(
    out: Pointer,
    shape: Shape,
    row: int,
    start: int,
    count: int,
    rows: Pointer,
    pitch: int,
    scale: Pointer,
) -> None:
    """Multiply rows of labels by one number each, and transpose them to channels first.

    Args:
        out: Channels first, set.
        shape: Shape of the batch.
        row: Row of pixels, counted over the batch.
        start: Column of the first pixel.
        count: Number of pixels.
        rows: Rows of labels; changed.
        pitch: Numbers from one row of labels to the next.
        scale: One number a pixel.
    """
    height, width, labels = shape.height, shape.width, shape.labels
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for i in range(count):
        for c in range(i * pitch, i * pitch + labels, WIDTH):
            store(rows, c, multiply(broadcast(get(scale, i)), load(rows, c)))
    if labels < WIDTH or count < WIDTH:
        for c in range(labels):
            for i in range(count):
                put(out, origin + c * plane + i, get(rows, i * pitch + c))
    else:
        for label in range(0, labels, WIDTH):
            c = min(label, labels - WIDTH)
            for pixel in range(0, count, WIDTH):
                i = min(pixel, count - WIDTH)
                transpose8(rows, i * pitch + c, pitch, out, origin + c * plane + i, plane)


@jit
def zero(numbers: Any, count: int) -> None:
    """Set the first ``count`` numbers of a flat array, a multiple of 8, to zero."""
    for i in range(0, count, WIDTH):
        store(numbers, i, broadcast(np.float32(0)))


@jit
def row_pitch(padded: int) -> int:
    """Return the numbers from one row of labels to the next in a chunk: whole wide vectors."""
    return (padded + WIDE - 1) // WIDE * WIDE


@jit
def grid_rows(row: int, shape: Shape) -> tuple[int, int, int]:
    """Locate a row of pixels in the grid of half the resolution.

    Args:
        row: Row of pixels, counted over the batch.
        shape: Shape of the batch.

    Returns:
        Numbers in a row of the grid; the nearest row of the grid; and the next nearest.
    """
    down = (shape.height + 1) // 2 + 2
    inside = row % shape.height
    near = (row // shape.height) * down + inside // 2 + 1
    across = (shape.width + 1) // 2 + 2
    return across * shape.padded, near, near + 1 if inside & 1 else near - 1


@jit_inline
def block_of(c: int, padded: int, rows: int) -> tuple[int, int]:
    """Locate label ``c`` in a table of vertex values, which is stored in blocks of labels.

    A block is ``(rows, WIDE)``, the last ``(rows, WIDTH)`` if no more labels are left.

    Args:
        c: The label, a multiple of `WIDTH`.
        padded: Labels of a row.
        rows: Rows of the table.

    Returns:
        The index of the label in the table's first row, and numbers from one row to the next.
    """
    block = c // WIDE * WIDE
    return rows * block + c - block, min(WIDE, padded - block)
