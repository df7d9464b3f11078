"""The fused pass: slice, softmax and splat for one pixel after another, in one pass over memory.

Its counterpart in torch is the loop of `inference.crf.lattice.engine.Lattice.marginals`, where
each of the three steps is a pass of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cpu.jit import Float32s, jit
from .cpu.simd import WIDE, WIDTH, Pointer, broadcast_wide, get, load_wide, pointer, put, store
from .cpu.simd_math import add, add_halves, exp2, multiply, reciprocal, row_maxima, row_sums
from .layout import CHUNK, Shape, read_channels_first, row_pitch, write_channels_first, zero
from .slice import load_logits, slice_chunk, upsample_row
from .splat import downsample_row, splat_chunk
from .tables import (
    Chunk,
    GridArrays,
    GridTable,
    LatticeArrays,
    LatticeTable,
    Mode,
    PixelArrays,
    PixelTable,
    RowRange,
    Tables,
)

LOG2E = math.log2(math.e)


@jit
def fused_pass(
    rows: RowRange,
    shape: Shape,
    mode: Mode,
    logits: Float32s,
    lattice: LatticeArrays,
    grid: GridArrays,
    pixels: PixelArrays,
    out: Float32s,
    scratch: Float32s,
) -> None:
    """Update the marginals of some rows of pixels.

    Args:
        rows: The rows.
        shape: Shape of the batch.
        mode: The steps to take.
        logits: Channels first or last, flat.
        lattice: Values to slice, and sums to add to.
        grid: Values to upsample, and sums to add to.
        pixels: Messages to add, and where to store the marginals.
        out: ``(B, L, H, W)``, flat; set if the mode says so.
        scratch: `scratch_size` numbers to work in.
    """
    width, padded = shape.width, shape.padded
    kinds, pitch = grid.kinds, row_pitch(padded)
    span = ((width + 1) // 2 + 2) * padded
    zero(pointer(scratch, 0), 2 * kinds * span)
    upsampled, downsampled = pointer(scratch, 0), pointer(scratch, kinds * span)
    start = 2 * kinds * span
    start += -start % WIDE
    chances, scale = pointer(scratch, start), pointer(scratch, start + CHUNK * pitch)
    tile = pointer(scratch, start + CHUNK * (pitch + 1))
    for i in range(CHUNK):
        put(scale, i, np.float32(1))
    vertices, slots, many = (
        pointer(lattice.vertices, 0),
        lattice.slots,
        len(lattice.sums) // padded,
    )
    count = len(grid.slice_weights) // max(kinds, 1)
    sources = Tables(
        LatticeTable(
            vertices, pointer(lattice.slice_weights, 0), pointer(lattice.values, 0), slots, many
        ),
        GridTable(pointer(grid.slice_weights, 0), upsampled, kinds, span, count),
        PixelTable(pointer(pixels.messages, 0), len(pixels.messages) > 0),
    )
    targets = Tables(
        LatticeTable(
            vertices, pointer(lattice.splat_weights, 0), pointer(lattice.sums, 0), slots, many
        ),
        GridTable(pointer(grid.splat_weights, 0), downsampled, kinds, span, count),
        PixelTable(pointer(pixels.marginals, 0), len(pixels.marginals) > 0),
    )
    for row in range(rows.first, rows.last):
        if mode.slice:
            upsample_row(row, shape, kinds, pointer(grid.values, 0), len(grid.values), upsampled)
        for start in range(0, width, CHUNK):
            chunk = Chunk(row * width + start, start, min(CHUNK, width - start), padded, pitch)
            if mode.channels_first:
                read_channels_first(
                    pointer(logits, 0), shape, row, start, chunk.length, chances, pitch
                )
                if mode.slice:
                    slice_chunk(chunk, chances, pitch, sources, chances, tile)
                else:
                    load_logits(chunk, chances, pitch, chances, tile)
            else:
                here = pointer(logits, chunk.pixel * padded)
                if mode.slice:
                    slice_chunk(chunk, here, padded, sources, chances, tile)
                else:
                    load_logits(chunk, here, padded, chances, tile)
            if mode.softmax:
                _softmax(chunk.length, pitch, chances, scale, tile)
            if mode.splat:
                splat_chunk(chunk, chances, scale, targets)
            if mode.write:
                write_channels_first(
                    pointer(out, 0), shape, row, start, chunk.length, chances, pitch, scale
                )
        if mode.splat:
            downsample_row(
                row, shape, kinds, rows, downsampled, pointer(grid.sums, 0), len(grid.sums)
            )


def scratch_size(width: int, padded: int, kinds: int) -> int:
    """Return how many numbers a fused pass needs to work in.

    Args:
        width: W.
        padded: Labels, rounded up to whole narrow vectors.
        kinds: G, the number of grids at half resolution.
    """
    across, pitch = (width + 1) // 2 + 2, -(-padded // WIDE) * WIDE
    return 2 * kinds * across * padded + WIDE + CHUNK * (pitch + 1 + WIDTH)


@jit
def _softmax(count: int, pitch: int, rows: Pointer, scale: Pointer, tile: Pointer) -> None:
    """Take exponentials of rows of labels, and the reciprocals of their sums.

    Each step is taken for all pixels before the next, which hides its latency. The maxima and
    sums of eight pixels are found together.

    Args:
        count: Number of pixels.
        pitch: Numbers from one row to the next.
        rows: Logits; become exponentials.
        scale: One number a pixel, set: what makes the exponentials sum to one.
        tile: Eight numbers a pixel, whose maximum is that of its logits; overwritten.
    """
    by = broadcast_wide(np.float32(LOG2E))
    for i in range(0, count, WIDTH):
        store(scale, i, row_maxima(tile, i * WIDTH))
    for i in range(count):
        least, mass = broadcast_wide(-get(scale, i)), broadcast_wide(np.float32(0))
        for c in range(i * pitch, (i + 1) * pitch, WIDE):
            chance: Any = exp2(multiply(by, add(load_wide(rows, c), least)))
            store(rows, c, chance)
            mass = add(mass, chance)
        store(tile, i * WIDTH, add_halves(mass))
    for i in range(0, count, WIDTH):
        store(scale, i, reciprocal(row_sums(tile, i * WIDTH)))
