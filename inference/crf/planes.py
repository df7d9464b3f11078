"""Planes, one a label, and rows of labels, one a pixel: turning one into the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import Floats, compiled, inlined
from .lanes import LOWEST, WIDE, WIDTH, fill, item, load, pointer, put, store
from .vectors import multiply, turn

Size = tuple[int, int, int, int, int]
"""B, H, W, L, and L padded to whole `Lanes`."""

CHUNK = 32
"""Pixels that are turned together, and go through each stage of a sweep."""


@compiled
def pack(logits: Floats, size: Size, first: int, last: int, packed: Floats) -> None:
    """Turn rows of planes, ``(B, L, H, W)``, into rows of labels, ``(B, H, W, padded)``."""
    width, padded = size[2], size[4]
    for row in range(first, last):
        for start in range(0, width, CHUNK):
            here = pointer(packed, (row * width + start) * padded)
            count = min(CHUNK, width - start)
            read_planes(pointer(logits, 0), size, row, start, count, here, padded)


@compiled
def read_planes(
    given: Any, size: Size, row: int, start: int, count: int, rows: Any, pitch: int
) -> None:
    """Read a chunk of planes into rows of labels, ``pitch`` numbers apart, filled up."""
    _, height, width, labels, _ = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    if labels < WIDTH or count < WIDTH:
        for c in range(labels):
            for i in range(count):
                put(rows, i * pitch + c, item(given, origin + c * plane + i))
    else:
        for label in range(0, labels, WIDTH):
            c = min(label, labels - WIDTH)  # where a part is left, some are read twice
            for pixel in range(0, count, WIDTH):
                i = min(pixel, count - WIDTH)
                turn(given, origin + c * plane + i, plane, rows, i * pitch + c, pitch)
    for i in range(count):
        for c in range(labels, pitch):
            put(rows, i * pitch + c, np.float32(LOWEST))


@compiled
def write_planes(
    out: Any, size: Size, row: int, start: int, count: int, rows: Any, pitch: int, scale: Any
) -> None:
    """Multiply a chunk of rows of labels by a number each, and write them to planes."""
    _, height, width, labels, _ = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for i in range(count):
        for c in range(i * pitch, i * pitch + labels, WIDTH):
            store(rows, c, multiply(fill(item(scale, i)), load(rows, c)))
    if labels < WIDTH or count < WIDTH:
        for c in range(labels):
            for i in range(count):
                put(out, origin + c * plane + i, item(rows, i * pitch + c))
    else:
        for label in range(0, labels, WIDTH):
            c = min(label, labels - WIDTH)
            for pixel in range(0, count, WIDTH):
                i = min(pixel, count - WIDTH)
                turn(rows, i * pitch + c, pitch, out, origin + c * plane + i, plane)


@compiled
def wipe(numbers: Any, count: int) -> None:
    """Set whole lanes of numbers to zero."""
    for i in range(0, count, WIDTH):
        store(numbers, i, fill(np.float32(0)))


@compiled
def pitch_of(padded: int) -> int:
    """Give how far apart rows of labels are where they are worked on."""
    return (padded + WIDE - 1) // WIDE * WIDE


@compiled
def rows_of_cells(row: int, size: Size) -> tuple[int, int, int]:
    """Give how long a row of cells is, half as many as pixels, and the two nearest to a row."""
    _, height, width, _, padded = size
    cells = (height + 1) // 2 + 2
    inside = row % height
    one = (row // height) * cells + inside // 2 + 1
    return ((width + 1) // 2 + 2) * padded, one, one + 1 if inside & 1 else one - 1


@inlined
def place_of(c: int, padded: int, rows: int) -> tuple[int, int]:
    """Say where labels from ``c`` on are in the first of a table's rows, and how wide these are.

    A table is blocks of `WIDE` labels, and of `WIDTH` what is left, ``(rows, labels)`` each.
    """
    block = c // WIDE * WIDE
    return rows * block + c - block, min(WIDE, padded - block)
