"""The fused sweep: one pass over pixels that collects pulls, takes a softmax and hands it on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compiled import Floats, compiled
from .lanes import (
    WIDE,
    WIDTH,
    fill_wide,
    item,
    load_wide,
    pointer,
    put,
    store,
)
from .planes import CHUNK, Size, pitch_of, read_planes, wipe, write_planes
from .slices import collect, spread, stretch
from .splats import gather, hand_on
from .vectors import add, exp2, half_sum, multiply, peaks, reciprocal, sums

LOG2E = math.log2(math.e)

Part = tuple[int, ...]
Mode = tuple[bool, bool, bool, bool, bool]


@compiled
def sweep(
    part: Part,
    size: Size,
    mode: Mode,
    logits: Floats,
    lattice: Any,
    grid: Any,
    extra: Any,
    out: Floats,
    room: Floats,
) -> None:
    """Update the pixels of some rows.

    Args:
        part: First and last row, counted over the batch; first and last row of cells that only
            these write; two rows of cells for what falls before and after those.
        size: B, H, W, L, and L padded.
        mode: Whether logits are planes; whether pulls are collected; whether to take the softmax;
            whether the result is handed on; whether it is written out.
        logits: Planes, or rows of labels.
        lattice: Vertices, weights to collect by, weights to hand on by, all ``(P, S)`` but flat;
            values to collect, and sums to add to, blocks of `WIDE` labels, and of `WIDTH` what is
            left, ``(rows, labels)`` but flat; S.
        grid: Weights of pixels to collect and to hand on by, ``(G, P)`` but flat; values to
            collect, and sums to add to, ``(G, rows, columns)`` of labels; G.
        extra: Values to collect at pixels, and where to leave the result; empty if not used.
        out: Planes.
        room: `room_for` numbers, to work in.
    """
    width, padded = size[2], size[4]
    planar, pulled, soft, pushed, final = mode
    slots, kinds = lattice[5], grid[4]
    pitch, span = pitch_of(padded), ((width + 1) // 2 + 2) * padded
    wipe(pointer(room, 0), 2 * kinds * span)
    above, below = pointer(room, 0), pointer(room, kinds * span)
    start = 2 * kinds * span
    start += -start % WIDE
    rows, scale = pointer(room, start), pointer(room, start + CHUNK * pitch)
    tile = pointer(room, start + CHUNK * (pitch + 1))
    for i in range(CHUNK):
        put(scale, i, np.float32(1))
    given, packed = pointer(logits, 0), not planar
    many = len(lattice[3]) // padded
    vertices, cells = pointer(lattice[0], 0), len(grid[0]) // max(kinds, 1)
    inward = (
        (vertices, pointer(lattice[1], 0), pointer(lattice[3], 0), slots, many),
        (pointer(grid[0], 0), above, kinds, span, cells),
        (pointer(extra[0], 0), len(extra[0]) > 0),
    )
    outward = (
        (vertices, pointer(lattice[2], 0), pointer(lattice[4], 0), slots, many),
        (pointer(grid[1], 0), below, kinds, span, cells),
        (pointer(extra[1], 0), len(extra[1]) > 0),
    )
    for row in range(part[0], part[1]):
        if pulled:
            stretch(row, size, kinds, pointer(grid[2], 0), len(grid[2]), above)
        for start in range(0, width, CHUNK):
            chunk = (row * width + start, start, min(CHUNK, width - start), padded, pitch)
            if packed:
                here = pointer(logits, chunk[0] * padded)
                if pulled:
                    collect(chunk, here, padded, inward, rows, tile)
                else:
                    spread(chunk, here, padded, rows, tile)
            else:
                read_planes(given, size, row, start, chunk[2], rows, pitch)
                if pulled:
                    collect(chunk, rows, pitch, inward, rows, tile)
                else:
                    spread(chunk, rows, pitch, rows, tile)
            if soft:
                _soften(chunk[2], pitch, rows, scale, tile)
            if pushed:
                hand_on(chunk, rows, scale, outward)
            if final:
                write_planes(pointer(out, 0), size, row, start, chunk[2], rows, pitch, scale)
        if pushed:
            gather(row, size, kinds, part, below, pointer(grid[3], 0), len(grid[3]))


def room_for(width: int, padded: int, kinds: int) -> int:
    """Say how much room a sweep needs for G kinds of cells."""
    across, pitch = (width + 1) // 2 + 2, -(-padded // WIDE) * WIDE
    return 2 * kinds * across * padded + WIDE + CHUNK * (pitch + 1 + WIDTH)


@compiled
def _soften(count: int, pitch: int, rows: Any, scale: Any, tile: Any) -> None:
    """Take exponentials, and in ``scale`` what makes each pixel's sum to one.

    Each step is done for all pixels before the next: what one waits for would else hold up the
    others. Peaks and sums of eight pixels are found together.
    """
    by = fill_wide(np.float32(LOG2E))
    for i in range(0, count, WIDTH):
        store(scale, i, peaks(tile, i * WIDTH))
    for i in range(count):
        least, mass = fill_wide(-item(scale, i)), fill_wide(np.float32(0))
        for c in range(i * pitch, (i + 1) * pitch, WIDE):
            chance = exp2(multiply(by, add(load_wide(rows, c), least)))
            store(rows, c, chance)
            mass = add(mass, chance)
        store(tile, i * WIDTH, half_sum(mass))
    for i in range(0, count, WIDTH):
        store(scale, i, reciprocal(sums(tile, i * WIDTH)))
