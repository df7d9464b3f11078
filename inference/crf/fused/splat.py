"""Splatting: the marginals of each pixel, added to vertices and grids, or stored.

The counterpart in torch is the product with `inference.crf.lattice.messages.Part.splat`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import jit, jit_inline
from .cpu.simd import (
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
    store,
)
from .cpu.simd_math import add, multiply, multiply_add
from .layout import Shape, block_of, grid_rows
from .slice import BOTH, USUAL_SLOTS
from .tables import Chunk, GridTable, LatticeTable, RowRange, Tables


@jit
def splat_chunk(chunk: Chunk, chances: Pointer, scale: Pointer, targets: Tables) -> None:
    """Splat the marginals of some pixels.

    Args:
        chunk: The pixels; the first stands in an even column.
        chances: Rows of labels, ``chunk.pitch`` numbers apart: marginals up to a factor a pixel.
        scale: That factor, one number a pixel.
        targets: What they are added to, or stored in.
    """
    p, padded, pitch = chunk.pixel, chunk.padded, chunk.pitch
    if targets.pixels.used:
        for i in range(chunk.length):
            for c in range(0, padded, WIDTH):
                part = multiply(broadcast(get(scale, i)), load(chances, i * pitch + c))
                store(targets.pixels.values, (p + i) * padded + c, part)
    if targets.lattice.slots:
        _splat_lattice(chunk, chances, scale, targets.lattice)
    for g in range(targets.grid.kinds):
        for c in range(0, padded - WIDTH, WIDE):
            like = broadcast_wide(np.float32(0))
            _splat_grid(like, c, g, chunk, chances, scale, targets.grid)
        if padded % WIDE:
            narrow = broadcast(np.float32(0))
            _splat_grid(narrow, padded - WIDTH, g, chunk, chances, scale, targets.grid)


@jit
def _splat_lattice(chunk: Chunk, chances: Pointer, scale: Pointer, lattice: LatticeTable) -> None:
    if lattice.slots == USUAL_SLOTS and chunk.padded == BOTH:
        _splat_both(chunk, chances, scale, lattice)
    elif lattice.slots == USUAL_SLOTS:
        _splat_any(chunk, chances, scale, lattice, USUAL_SLOTS)
    else:
        _splat_any(chunk, chances, scale, lattice, lattice.slots)


@jit_inline
def _splat_both(chunk: Chunk, chances: Pointer, scale: Pointer, lattice: LatticeTable) -> None:
    """Splat a wide and a narrow vector of labels, with the usual kernels."""
    p, pitch, sums, rows = chunk.pixel, chunk.pitch, lattice.table, lattice.rows
    for i in range(chunk.length):
        share, first = get(scale, i), (p + i) * USUAL_SLOTS
        x, y = load_wide(chances, i * pitch), load(chances, i * pitch + WIDE)
        for s in range(first, first + USUAL_SLOTS):
            vertex, weight = get(lattice.vertices, s), get(lattice.weights, s) * share
            _add(sums, vertex * WIDE, weight, x)
            _add(sums, rows * WIDE + vertex * WIDTH, weight, y)


@jit_inline
def _splat_any(
    chunk: Chunk, chances: Pointer, scale: Pointer, lattice: LatticeTable, slots: int
) -> None:
    """Splat one narrow vector of labels after another."""
    p, padded, pitch = chunk.pixel, chunk.padded, chunk.pitch
    for i in range(chunk.length):
        share, first = get(scale, i), (p + i) * slots
        for c in range(0, padded, WIDTH):
            x, (block, wide) = load(chances, i * pitch + c), block_of(c, padded, lattice.rows)
            for s in range(first, first + slots):
                row = block + get(lattice.vertices, s) * wide
                _add(lattice.table, row, get(lattice.weights, s) * share, x)


@jit_inline
def _add(sums: Pointer, at: int, weight: float, x: Any) -> None:
    store(sums, at, multiply_add(broadcast_like(weight, x), x, load_like(sums, at, x)))


@jit
def _splat_grid(
    like: Any, c: int, g: int, chunk: Chunk, chances: Pointer, scale: Pointer, grid: GridTable
) -> None:
    """Add a vector of labels, from ``c`` on, to the row of grid ``g``.

    Two pixels share a column of the grid as their nearest; each also adds to the column on its
    other side. The sums of the columns in reach stay in registers.
    """
    padded, pitch, row = chunk.padded, chunk.pitch, grid.row
    p, at = g * grid.pixels + chunk.pixel, g * grid.span + chunk.column // 2 * padded + c
    near, far = broadcast_like(np.float32(0.75), like), broadcast_like(np.float32(0.25), like)
    left, here = load_like(row, at, like), load_like(row, at + padded, like)
    for i in range(0, chunk.length - 1, 2):
        share = broadcast_like(get(grid.weights, p + i) * get(scale, i), like)
        one = multiply(share, load_like(chances, i * pitch + c, like))
        share = broadcast_like(get(grid.weights, p + i + 1) * get(scale, i + 1), like)
        other = multiply(share, load_like(chances, (i + 1) * pitch + c, like))
        store(row, at, multiply_add(far, one, left))
        left = multiply_add(near, add(one, other), here)
        here = multiply(far, other)
        at += padded
    if chunk.length & 1:
        i = chunk.length - 1
        share = broadcast_like(get(grid.weights, p + i) * get(scale, i), like)
        one = multiply(share, load_like(chances, i * pitch + c, like))
        left = multiply_add(far, one, left)
        here = multiply_add(near, one, here)
    store(row, at, left)
    store(row, at + padded, here)


@jit
def downsample_row(
    row: int,
    shape: Shape,
    kinds: int,
    rows: RowRange,
    downsampled: Pointer,
    sums: Pointer,
    length: int,
) -> None:
    """Add the sums of a row of pixels to two rows of each grid, and set them to zero.

    The first row of pixels to reach a row of the grid replaces what that row holds: the even rows
    2 k and 2 k + 1 reach rows k, k + 1 and k + 2 of the grid.

    Args:
        row: Row of pixels, counted over the batch.
        shape: Shape of the batch.
        kinds: G.
        rows: Which rows of the grids may be added to.
        downsampled: ``(G, grid columns, padded)``: sums at the height of the row of pixels.
        sums: ``(G, grid rows with spare ones, grid columns, padded)``; added to.
        length: How many numbers the sums are.
    """
    span, near, far = grid_rows(row, shape)
    height = length // max(kinds * span, 1)
    near, far = _writable(near, rows), _writable(far, rows)
    begins = row == rows.first or row % shape.height == 0
    adds = GridRows(near, far, not begins, not (begins or (row % shape.height) & 1))
    for g in range(kinds):
        here, grid = pointer(downsampled, g * span), pointer(sums, g * height * span)
        for x in range(0, span - WIDTH, WIDE):
            _add_to_rows(here, grid, span, adds, x, broadcast_wide(np.float32(0)))
        if span % WIDE:
            _add_to_rows(here, grid, span, adds, span - WIDTH, broadcast(np.float32(0)))


class GridRows(NamedTuple):
    """The two rows of a grid that a row of pixels is shared between.

    Attributes:
        near: The nearest.
        far: The next nearest.
        add_near: Whether it is added to; if not, it is replaced.
        add_far: Whether the other is added to.
    """

    near: int
    far: int
    add_near: bool
    add_far: bool


@jit_inline
def _add_to_rows(
    masses: Pointer, grid: Pointer, span: int, rows: GridRows, x: int, zeros: Any
) -> None:
    mass = load_like(masses, x, zeros)
    near, far = broadcast_like(np.float32(0.75), zeros), broadcast_like(np.float32(0.25), zeros)
    first, second = rows.near * span + x, rows.far * span + x
    before = load_like(grid, first, zeros) if rows.add_near else zeros
    store(grid, first, multiply_add(near, mass, before))
    before = load_like(grid, second, zeros) if rows.add_far else zeros
    store(grid, second, multiply_add(far, mass, before))
    store(masses, x, zeros)


@jit
def _writable(grid_row: int, rows: RowRange) -> Any:
    """Return a row of the grid, or the spare one for it where another thread owns it."""
    if grid_row < rows.grid_first:
        return rows.grid_before
    return rows.grid_after if grid_row >= rows.grid_last else grid_row
