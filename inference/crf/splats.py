"""Splatting: what each pixel hands on to the vertices around it, and to the cells of grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled, inlined
from .lanes import (
    WIDE,
    WIDTH,
    fill,
    fill_like,
    fill_wide,
    item,
    load,
    load_like,
    load_wide,
    pointer,
    store,
)
from .planes import Size, place_of, rows_of_cells
from .slices import BOTH, USUAL
from .vectors import add, multiply, multiply_add


@compiled
def hand_on(chunk: Any, given: Any, scale: Any, outward: Any) -> None:
    """Add a chunk of pixels to vertices and cells, or leave it. Arrays are pointers to flat ones.

    Args:
        chunk: The first pixel, its column (an even one), how many there are, L padded, how
            far apart rows are.
        given: Rows of labels.
        scale: By what each row is multiplied.
        outward: Of the lattice: vertices and weights, ``(P, S)``, blocks of sums, S, and
            how many rows a block has; of grids:
            weights of pixels, ``(G, P)``, sums of this row of pixels, to be shared by two rows
            of cells, ``(G, columns)`` of labels, G, how long such a row is, P; of pixels: rows
            of labels to set, and whether there are any.
    """
    p, start, count, padded, pitch = chunk
    lattice, (pushes, below, kinds, span, pixels), kept = outward
    if kept[1]:
        for i in range(count):
            for c in range(0, padded, WIDTH):
                part = multiply(fill(item(scale, i)), load(given, i * pitch + c))
                store(kept[0], (p + i) * padded + c, part)
    if lattice[3]:
        _to_vertices(chunk, given, scale, lattice)
    for g in range(kinds):
        first = g * span + start // 2 * padded
        for c in range(0, padded - WIDTH, WIDE):
            like, at = fill_wide(np.float32(0)), (c, g * pixels + p, first + c)
            _to_cells(like, at, chunk, given, scale, pushes, below)
        if padded % WIDE:
            narrow, c = fill(np.float32(0)), padded - WIDTH
            at = (c, g * pixels + p, first + c)
            _to_cells(narrow, at, chunk, given, scale, pushes, below)


@compiled
def _to_vertices(chunk: Any, given: Any, scale: Any, lattice: Any) -> None:
    if lattice[3] == USUAL[0] and chunk[3] == BOTH:
        _splat_both(chunk, given, scale, lattice)
    elif lattice[3] == USUAL[0]:
        _splat(chunk, given, scale, lattice, USUAL[0])
    else:
        _splat(chunk, given, scale, lattice, lattice[3])


@inlined
def _splat_both(chunk: Any, given: Any, scale: Any, lattice: Any) -> None:
    p, _, count, _, pitch = chunk
    vertices, weights, sums, _, rows = lattice
    for i in range(count):
        share, first = item(scale, i), (p + i) * USUAL[0]
        x, y = load_wide(given, i * pitch), load(given, i * pitch + WIDE)
        for s in range(first, first + USUAL[0]):
            vertex, weight = item(vertices, s), item(weights, s) * share
            _add(sums, vertex * WIDE, weight, x)
            _add(sums, rows * WIDE + vertex * WIDTH, weight, y)


@inlined
def _splat(chunk: Any, given: Any, scale: Any, lattice: Any, slots: int) -> None:
    p, _, count, padded, pitch = chunk
    vertices, weights, sums, _, rows = lattice
    for i in range(count):
        share, first = item(scale, i), (p + i) * slots
        for c in range(0, padded, WIDTH):
            x, (block, wide) = load(given, i * pitch + c), place_of(c, padded, rows)
            for s in range(first, first + slots):
                _add(sums, block + item(vertices, s) * wide, item(weights, s) * share, x)


@inlined
def _add(sums: Any, row: int, weight: float, x: Any) -> None:
    store(sums, row, multiply_add(fill_like(weight, x), x, load_like(sums, row, x)))


@compiled
def _to_cells(
    like: Any, at: Any, chunk: Any, given: Any, scale: Any, pushes: Any, below: Any
) -> None:
    """Add as many labels as ``like`` has to cells: two pixels share one, and two next to it.

    The sums of the cells to the left and right of where it is are held, not stored each time.
    """
    (c, p, cell), (_, _, count, padded, pitch) = at, chunk
    near, far = fill_like(np.float32(0.75), like), fill_like(np.float32(0.25), like)
    left, here = load_like(below, cell, like), load_like(below, cell + padded, like)
    for i in range(0, count - 1, 2):
        share = fill_like(item(pushes, p + i) * item(scale, i), like)
        one = multiply(share, load_like(given, i * pitch + c, like))
        share = fill_like(item(pushes, p + i + 1) * item(scale, i + 1), like)
        other = multiply(share, load_like(given, (i + 1) * pitch + c, like))
        store(below, cell, multiply_add(far, one, left))
        left = multiply_add(near, add(one, other), here)
        here = multiply(far, other)
        cell += padded
    if count & 1:
        share = fill_like(item(pushes, p + count - 1) * item(scale, count - 1), like)
        one = multiply(share, load_like(given, (count - 1) * pitch + c, like))
        left = multiply_add(far, one, left)
        here = multiply_add(near, one, here)
    store(below, cell, left)
    store(below, cell + padded, here)


@compiled
def gather(
    row: int, size: Size, kinds: int, part: Any, below: Any, sums: Any, length: int
) -> None:
    """Add a row of pixels to two rows of cells, and empty it; ``sums`` has ``length`` numbers."""
    span, one, other = rows_of_cells(row, size)
    height = length // max(kinds * span, 1)
    one, other = _own(one, part), _own(other, part)
    for g in range(kinds):
        here = pointer(below, g * span)
        first = pointer(sums, (g * height + one) * span)
        second = pointer(sums, (g * height + other) * span)
        for x in range(0, span - WIDTH, WIDE):
            _share(here, first, second, x, fill_wide(np.float32(0)))
        if span % WIDE:
            _share(here, first, second, span - WIDTH, fill(np.float32(0)))


@inlined
def _share(given: Any, first: Any, second: Any, x: int, nothing: Any) -> None:
    mass = load_like(given, x, nothing)
    near, far = fill_like(np.float32(0.75), nothing), fill_like(np.float32(0.25), nothing)
    store(first, x, multiply_add(near, mass, load_like(first, x, nothing)))
    store(second, x, multiply_add(far, mass, load_like(second, x, nothing)))
    store(given, x, nothing)


@compiled
def _own(cell: int, part: Any) -> Any:
    """Give the row of cells that a part of a scene may write to in place of another's."""
    if cell < part[2]:
        return part[4]
    return part[5] if cell >= part[3] else cell
