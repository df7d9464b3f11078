"""Slicing: what each pixel collects from the vertices around it, and from the cells of grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled, inlined
from .lanes import (
    LOWEST,
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
    prefetch,
    store,
)
from .planes import CHUNK, Size, place_of, rows_of_cells
from .vectors import add, greater, half_greater, multiply, multiply_add

BOTH = WIDE + WIDTH
"""Labels of the usual 21, padded: a wide and a narrow block, which are done together."""

AHEAD = CHUNK
"""Pixels that what is read of a pixel is asked for ahead: it comes while others are worked on."""

USUAL = (6, 1)
"""Vertices around a pixel, and grids, of the default kernels: code is laid out for these."""


@compiled
def collect(chunk: Any, base: Any, apart: int, inward: Any, sums: Any, peaks: Any) -> None:
    """Add up logits and pulls of a chunk of pixels. All arrays are pointers to flat ones.

    Args:
        chunk: The first pixel, its column, how many there are, L padded, and how far apart rows
            of sums are.
        base: Rows of logits.
        apart: How far apart they are.
        inward: Of the lattice: vertices and weights, ``(P, S)``, blocks of values, S, and how
            many rows a block has; of grids: weights of pixels, ``(G, P)``, values between rows of
            cells at this row of pixels, ``(G, columns)`` of labels, G, how long such a row is, P;
            of pixels: values, and whether there are any.
        sums: Rows of labels that become the sums; they may be the logits.
        peaks: Eight numbers a pixel, of which the greatest will be that of its sums.
    """
    usual = inward[0][3] == USUAL[0] and inward[1][2] == USUAL[1]
    if usual and chunk[3] == BOTH:
        _collect_both(chunk, base, apart, inward, sums, peaks)
    elif usual:
        _collect(chunk, base, apart, inward, sums, peaks, USUAL[0], USUAL[1])
    else:
        _collect(chunk, base, apart, inward, sums, peaks, inward[0][3], inward[1][2])


@inlined
def _collect_both(chunk: Any, base: Any, apart: int, inward: Any, sums: Any, peaks: Any) -> None:
    """Do so with a wide and a narrow block, and kernels as usual."""
    p, start, count, padded, pitch = chunk
    slots, kinds = USUAL
    for i in range(count):
        _ask(p + i, i, apart, inward[0], base, slots)
        at = p + i, start + i, padded
        y = _pulled(load(base, i * apart + WIDE), WIDE, at, inward, slots, kinds)
        x = _pulled(load_wide(base, i * apart), 0, at, inward, slots, kinds)
        store(sums, i * pitch, x)
        store(sums, i * pitch + WIDE, y)
        store(sums, i * pitch + BOTH, fill(np.float32(LOWEST)))
        store(peaks, i * WIDTH, greater(half_greater(x), y))


@inlined
def _collect(
    chunk: Any, base: Any, apart: int, inward: Any, sums: Any, peaks: Any, slots: int, kinds: int
) -> None:
    p, start, count, padded, pitch = chunk
    for i in range(count):
        _ask(p + i, i, apart, inward[0], base, slots)
        at, peak = (p + i, start + i, padded), fill(np.float32(LOWEST))
        for c in range(0, padded, WIDTH):
            x = _pulled(load(base, i * apart + c), c, at, inward, slots, kinds)
            store(sums, i * pitch + c, x)
            peak = greater(peak, x)
        store(peaks, i * WIDTH, peak)
        if pitch > padded:
            store(sums, i * pitch + padded, fill(np.float32(LOWEST)))


@inlined
def _ask(p: int, i: int, apart: int, lattice: Any, base: Any, slots: int) -> None:
    """Ask for what will be read of a pixel further on."""
    for c in range((i + AHEAD) * apart, (i + AHEAD + 1) * apart, WIDE):
        prefetch(base, c)
    prefetch(lattice[0], (p + AHEAD) * slots)
    prefetch(lattice[1], (p + AHEAD) * slots)


@inlined
def _pulled(x: Any, c: int, at: Any, inward: Any, slots: int, kinds: int) -> Any:
    """Add to the labels of a pixel from ``c`` on, as many as ``x`` has, what pulls at them."""
    (vertices, weights, values, _, rows), (pulls, above, _, span, pixels), more = inward
    p, column, padded = at
    block, wide = place_of(c, padded, rows)
    near = column // 2 + 1
    far = near + 1 if column & 1 else near - 1
    for s in range(p * slots, (p + 1) * slots):
        row = block + item(vertices, s) * wide
        x = multiply_add(fill_like(item(weights, s), x), load_like(values, row, x), x)
    for g in range(kinds):
        pull, edge = item(pulls, g * pixels + p), g * span + c
        weight = fill_like(np.float32(0.75) * pull, x)
        x = multiply_add(weight, load_like(above, edge + near * padded, x), x)
        weight = fill_like(np.float32(0.25) * pull, x)
        x = multiply_add(weight, load_like(above, edge + far * padded, x), x)
    if more[1]:
        x = add(x, load_like(more[0], p * padded + c, x))
    return x


@compiled
def spread(chunk: Any, base: Any, apart: int, sums: Any, peaks: Any) -> None:
    """Take the logits as they are."""
    _, _, count, padded, pitch = chunk
    for i in range(count):
        peak = fill(np.float32(LOWEST))
        for c in range(0, padded, WIDE):
            prefetch(base, (i + AHEAD) * apart + c)
        for c in range(0, padded, WIDTH):
            x = load(base, i * apart + c)
            store(sums, i * pitch + c, x)
            peak = greater(peak, x)
        store(peaks, i * WIDTH, peak)
        if pitch > padded:
            store(sums, i * pitch + padded, fill(np.float32(LOWEST)))


@compiled
def stretch(row: int, size: Size, kinds: int, values: Any, length: int, above: Any) -> None:
    """Interpolate a row of pixels between two rows of cells; ``values`` has ``length`` numbers."""
    span, one, other = rows_of_cells(row, size)
    height = length // max(kinds * span, 1)
    for g in range(kinds):
        here = pointer(above, g * span)
        first = pointer(values, (g * height + one) * span)
        second = pointer(values, (g * height + other) * span)
        for x in range(0, span - WIDTH, WIDE):
            _between(first, second, here, x, fill_wide(np.float32(0)))
        if span % WIDE:
            _between(first, second, here, span - WIDTH, fill(np.float32(0)))


@inlined
def _between(first: Any, second: Any, into: Any, x: int, like: Any) -> None:
    near, far = fill_like(np.float32(0.75), like), fill_like(np.float32(0.25), like)
    mass = multiply(far, load_like(second, x, like))
    store(into, x, multiply_add(near, load_like(first, x, like), mass))
