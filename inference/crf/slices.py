"""Slicing: what each pixel collects from the vertices around it, and from the cells of grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.crf.compiled import compiled, inlined
from inference.crf.lanes import LOWEST, WIDTH, fill, item, load, store
from inference.crf.planes import Size, rows_of_cells
from inference.crf.vectors import add, multiply, multiply_add

THRICE = 3 * WIDTH
"""Labels that are collected at once while there are so many."""

USUAL = (6, 1)
"""Vertices around a pixel, and grids, of the default kernels: code is laid out for these."""


@compiled
def collect(chunk: Any, base: Any, apart: int, inward: Any, sums: Any) -> None:
    """Add up logits and pulls of a chunk of pixels. All arrays are pointers to flat ones.

    Args:
        chunk: The first pixel, its column, how many there are, L padded, and how far apart rows
            of sums are.
        base: Rows of logits.
        apart: How far apart they are.
        inward: Of the lattice: vertices and weights, ``(P, S)``, rows of values, S; of grids:
            weights of pixels, ``(G, P)``, values between rows of cells at this row of pixels,
            ``(G, columns)`` of labels, G, how long such a row is, P; of pixels: values, and
            whether there are any.
        sums: Rows of labels that become the sums; they may be the logits.
    """
    if inward[0][3] == USUAL[0] and inward[1][2] == USUAL[1]:
        _collect(chunk, base, apart, inward, sums, USUAL[0], USUAL[1])
    else:
        _collect(chunk, base, apart, inward, sums, inward[0][3], inward[1][2])


@inlined
def _collect(
    chunk: Any, base: Any, apart: int, inward: Any, sums: Any, slots: int, kinds: int
) -> None:
    p, start, count, padded, pitch = chunk
    vertices, weights, values = inward[0][0], inward[0][1], inward[0][2]
    pulls, above, span, pixels = inward[1][0], inward[1][1], inward[1][3], inward[1][4]
    more = inward[2]
    for i in range(count):
        j = (start + i) // 2 + 1
        k = j + 1 if (start + i) & 1 else j - 1
        first = (p + i) * slots
        for c in range(0, padded - 2 * WIDTH, THRICE):
            x = load(base, i * apart + c)
            y = load(base, i * apart + c + WIDTH)
            z = load(base, i * apart + c + 2 * WIDTH)
            for s in range(slots):
                row = item(vertices, first + s) * padded + c
                weight = fill(item(weights, first + s))
                x = multiply_add(weight, load(values, row), x)
                y = multiply_add(weight, load(values, row + WIDTH), y)
                z = multiply_add(weight, load(values, row + 2 * WIDTH), z)
            for g in range(kinds):
                pull = item(pulls, g * pixels + p + i)
                row, weight = g * span + j * padded + c, fill(np.float32(0.75) * pull)
                x = multiply_add(weight, load(above, row), x)
                y = multiply_add(weight, load(above, row + WIDTH), y)
                z = multiply_add(weight, load(above, row + 2 * WIDTH), z)
                row, weight = g * span + k * padded + c, fill(np.float32(0.25) * pull)
                x = multiply_add(weight, load(above, row), x)
                y = multiply_add(weight, load(above, row + WIDTH), y)
                z = multiply_add(weight, load(above, row + 2 * WIDTH), z)
            if more[1]:
                row = (p + i) * padded + c
                x = add(x, load(more[0], row))
                y = add(y, load(more[0], row + WIDTH))
                z = add(z, load(more[0], row + 2 * WIDTH))
            store(sums, i * pitch + c, x)
            store(sums, i * pitch + c + WIDTH, y)
            store(sums, i * pitch + c + 2 * WIDTH, z)
        for c in range(padded // THRICE * THRICE, padded, WIDTH):
            x = load(base, i * apart + c)
            for s in range(slots):
                row = item(vertices, first + s) * padded + c
                x = multiply_add(fill(item(weights, first + s)), load(values, row), x)
            for g in range(kinds):
                pull = item(pulls, g * pixels + p + i)
                near = load(above, g * span + j * padded + c)
                far = load(above, g * span + k * padded + c)
                x = multiply_add(fill(np.float32(0.75) * pull), near, x)
                x = multiply_add(fill(np.float32(0.25) * pull), far, x)
            if more[1]:
                x = add(x, load(more[0], (p + i) * padded + c))
            store(sums, i * pitch + c, x)
        if pitch > padded:
            store(sums, i * pitch + padded, fill(np.float32(LOWEST)))


@compiled
def spread(chunk: Any, base: Any, sums: Any) -> None:
    """Take the logits as they are."""
    _, _, count, padded, pitch = chunk
    for i in range(count):
        for c in range(0, padded, WIDTH):
            store(sums, i * pitch + c, load(base, i * padded + c))
        if pitch > padded:
            store(sums, i * pitch + padded, fill(np.float32(LOWEST)))


@compiled
def stretch(row: int, size: Size, kinds: int, values: Any, length: int, above: Any) -> None:
    """Interpolate a row of pixels between two rows of cells; ``values`` has ``length`` numbers."""
    span, one, other = rows_of_cells(row, size)
    near, far = fill(np.float32(0.75)), fill(np.float32(0.25))
    height = length // max(kinds * span, 1)
    for g in range(kinds):
        for x in range(0, span, WIDTH):
            a = load(values, (g * height + one) * span + x)
            b = load(values, (g * height + other) * span + x)
            store(above, g * span + x, multiply_add(near, a, multiply(far, b)))
