"""Slicing: the messages that each pixel gets from vertices, from grids and from other pixels.

The counterpart in torch is `inference.crf.lattice.messages.Messages`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import jit, jit_inline
from .cpu.simd import (
    PADDING_LOGIT,
    WIDE,
    WIDTH,
    Pointer,
    broadcast,
    broadcast_like,
    broadcast_wide,
    get,
    load,
    load_like,
    load_wide,
    pointer,
    prefetch,
    store,
)
from .cpu.simd_math import add, max_halves, maximum, multiply, multiply_add
from .layout import CHUNK, Shape, block_of, grid_rows
from .tables import Chunk, LatticeTable, Tables

BOTH = WIDE + WIDTH
"""The 21 labels of PASCAL VOC, padded: a wide and a narrow vector, used together."""

AHEAD = CHUNK
"""Pixels between the one that is worked on and the one whose data are prefetched."""

USUAL_SLOTS, USUAL_KINDS = 6, 1
"""Vertices around a pixel, and grids, of the default kernels: loops over so many are unrolled."""


class Place(NamedTuple):
    """A pixel, and where its rows of labels begin.

    Attributes:
        pixel: Counted over the batch.
        column: Column of the pixel.
        padded: Labels, rounded up to whole narrow vectors.
    """

    pixel: int
    column: int
    padded: int


@jit
def slice_chunk(
    chunk: Chunk, logits: Pointer, pitch: int, sources: Tables, sums: Pointer, peaks: Pointer
) -> None:
    """Add the messages of all kernels to the logits of some pixels.

    Args:
        chunk: The pixels.
        logits: Rows of labels.
        pitch: Numbers from one row of logits to the next.
        sources: What the messages are sliced from.
        sums: Rows of labels, set, ``chunk.pitch`` numbers apart; they may be the logits.
        peaks: Eight numbers a pixel, set: their maximum is that of its sums.
    """
    usual = sources.lattice.slots == USUAL_SLOTS and sources.grid.kinds == USUAL_KINDS
    if usual and chunk.padded == BOTH:
        _slice_both(chunk, logits, pitch, sources, sums, peaks)
    elif usual:
        _slice_any(chunk, logits, pitch, sources, sums, peaks, USUAL_SLOTS, USUAL_KINDS)
    else:
        slots, kinds = sources.lattice.slots, sources.grid.kinds
        _slice_any(chunk, logits, pitch, sources, sums, peaks, slots, kinds)


@jit_inline
def _slice_both(
    chunk: Chunk, logits: Pointer, pitch: int, sources: Tables, sums: Pointer, peaks: Pointer
) -> None:
    """Add messages to a wide and a narrow vector of labels, with the usual kernels."""
    for i in range(chunk.length):
        _prefetch(chunk.pixel + i, i, pitch, sources.lattice, logits, USUAL_SLOTS)
        at = Place(chunk.pixel + i, chunk.column + i, chunk.padded)
        y = load(logits, i * pitch + WIDE)
        y = _add_messages(y, WIDE, at, sources, USUAL_SLOTS, USUAL_KINDS)
        x = load_wide(logits, i * pitch)
        x = _add_messages(x, 0, at, sources, USUAL_SLOTS, USUAL_KINDS)
        store(sums, i * chunk.pitch, x)
        store(sums, i * chunk.pitch + WIDE, y)
        store(sums, i * chunk.pitch + BOTH, broadcast(np.float32(PADDING_LOGIT)))
        store(peaks, i * WIDTH, maximum(max_halves(x), y))


@jit_inline
def _slice_any(
    chunk: Chunk,
    logits: Pointer,
    pitch: int,
    sources: Tables,
    sums: Pointer,
    peaks: Pointer,
    slots: int,
    kinds: int,
) -> None:
    """Add messages, one narrow vector of labels after another."""
    for i in range(chunk.length):
        _prefetch(chunk.pixel + i, i, pitch, sources.lattice, logits, slots)
        at = Place(chunk.pixel + i, chunk.column + i, chunk.padded)
        peak = broadcast(np.float32(PADDING_LOGIT))
        for c in range(0, chunk.padded, WIDTH):
            x = _add_messages(load(logits, i * pitch + c), c, at, sources, slots, kinds)
            store(sums, i * chunk.pitch + c, x)
            peak = maximum(peak, x)
        store(peaks, i * WIDTH, peak)
        if chunk.pitch > chunk.padded:
            store(sums, i * chunk.pitch + chunk.padded, broadcast(np.float32(PADDING_LOGIT)))


@jit_inline
def _prefetch(
    p: int, i: int, pitch: int, lattice: LatticeTable, logits: Pointer, slots: int
) -> None:
    """Prefetch the logits, vertices and weights of a pixel further on."""
    for c in range((i + AHEAD) * pitch, (i + AHEAD + 1) * pitch, WIDE):
        prefetch(logits, c)
    prefetch(lattice.vertices, (p + AHEAD) * slots)
    prefetch(lattice.weights, (p + AHEAD) * slots)


@jit_inline
def _add_messages(x: Any, c: int, at: Place, sources: Tables, slots: int, kinds: int) -> Any:
    """Add to a vector of logits of one pixel, from label ``c`` on, its messages."""
    lattice, grid, pixels = sources.lattice, sources.grid, sources.pixels
    p, padded = at.pixel, at.padded
    block, wide = block_of(c, padded, lattice.rows)
    near = at.column // 2 + 1
    far = near + 1 if at.column & 1 else near - 1
    for s in range(p * slots, (p + 1) * slots):
        row = block + get(lattice.vertices, s) * wide
        weight = broadcast_like(get(lattice.weights, s), x)
        x = multiply_add(weight, load_like(lattice.table, row, x), x)
    for g in range(kinds):
        scale, edge = get(grid.weights, g * grid.pixels + p), g * grid.span + c
        weight = broadcast_like(np.float32(0.75) * scale, x)
        x = multiply_add(weight, load_like(grid.row, edge + near * padded, x), x)
        weight = broadcast_like(np.float32(0.25) * scale, x)
        x = multiply_add(weight, load_like(grid.row, edge + far * padded, x), x)
    if pixels.used:
        x = add(x, load_like(pixels.values, p * padded + c, x))
    return x


@jit
def load_logits(chunk: Chunk, logits: Pointer, pitch: int, sums: Pointer, peaks: Pointer) -> None:
    """Copy the logits of some pixels, without messages: what the first iteration starts from.

    Args:
        chunk: The pixels.
        logits: Rows of labels.
        pitch: Numbers from one row of logits to the next.
        sums: Rows of labels, set, ``chunk.pitch`` numbers apart; they may be the logits.
        peaks: Eight numbers a pixel, set: their maximum is that of its logits.
    """
    for i in range(chunk.length):
        peak = broadcast(np.float32(PADDING_LOGIT))
        for c in range(0, chunk.padded, WIDE):
            prefetch(logits, (i + AHEAD) * pitch + c)
        for c in range(0, chunk.padded, WIDTH):
            x = load(logits, i * pitch + c)
            store(sums, i * chunk.pitch + c, x)
            peak = maximum(peak, x)
        store(peaks, i * WIDTH, peak)
        if chunk.pitch > chunk.padded:
            store(sums, i * chunk.pitch + chunk.padded, broadcast(np.float32(PADDING_LOGIT)))


@jit
def upsample_row(
    row: int, shape: Shape, kinds: int, values: Pointer, length: int, upsampled: Pointer
) -> None:
    """Interpolate the grids between two of their rows, at the height of a row of pixels.

    Args:
        row: Row of pixels, counted over the batch.
        shape: Shape of the batch.
        kinds: G.
        values: ``(G, grid rows, grid columns, padded)``.
        length: How many numbers the values are.
        upsampled: ``(G, grid columns, padded)``, set.
    """
    span, near, far = grid_rows(row, shape)
    height = length // max(kinds * span, 1)
    for g in range(kinds):
        here = pointer(upsampled, g * span)
        first = pointer(values, (g * height + near) * span)
        second = pointer(values, (g * height + far) * span)
        for x in range(0, span - WIDTH, WIDE):
            _interpolate(first, second, here, x, broadcast_wide(np.float32(0)))
        if span % WIDE:
            _interpolate(first, second, here, span - WIDTH, broadcast(np.float32(0)))


@jit_inline
def _interpolate(near: Pointer, far: Pointer, into: Pointer, x: int, like: Any) -> None:
    most, least = broadcast_like(np.float32(0.75), like), broadcast_like(np.float32(0.25), like)
    mass = multiply(most, load_like(near, x, like))
    store(into, x, multiply_add(least, load_like(far, x, like), mass))
