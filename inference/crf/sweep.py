"""The fused sweep: one pass over pixels that collects pulls, takes a softmax and hands it on."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.crf.compiled import Floats, compiled
from inference.crf.lanes import (
    LOWEST,
    WIDE,
    WIDTH,
    add,
    exponential,
    fill,
    fill_wide,
    greater,
    greatest,
    item,
    load,
    load_wide,
    pointer,
    put,
    store,
    total,
)
from inference.crf.planes import CHUNK, Size, read_planes, write_planes
from inference.crf.slices import collect, stretch
from inference.crf.splats import gather, hand_on

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
            values to collect, and sums to add to, rows of labels; S.
        grid: Weights of pixels to collect and to hand on by, ``(G, P)`` but flat; values to
            collect, and sums to add to, ``(G, rows, columns)`` of labels; G.
        extra: Values to collect at pixels, and where to leave the result; empty if not used.
        out: Planes.
        room: `room_for` numbers, to work in.
    """
    width, padded = size[2], size[4]
    planar, pulled, soft, pushed, final = mode
    slots, kinds = lattice[5], grid[4]
    span = ((width + 1) // 2 + 2) * padded
    room[: 2 * kinds * span] = 0
    above, below = pointer(room, 0), pointer(room, kinds * span)
    buffer = pointer(room, 2 * kinds * span)
    scale = pointer(room, 2 * kinds * span + CHUNK * padded)
    for i in range(CHUNK):
        put(scale, i, np.float32(1))
    given, packed = pointer(logits, 0), not planar
    vertices, cells = pointer(lattice[0], 0), len(grid[0]) // max(kinds, 1)
    inward = (
        (vertices, pointer(lattice[1], 0), pointer(lattice[3], 0), slots),
        (pointer(grid[0], 0), above, kinds, span, cells),
        (pointer(extra[0], 0), len(extra[0]) > 0),
    )
    outward = (
        (vertices, pointer(lattice[2], 0), pointer(lattice[4], 0), slots),
        (pointer(grid[1], 0), below, kinds, span, cells),
        (pointer(extra[1], 0), len(extra[1]) > 0),
    )
    for row in range(part[0], part[1]):
        if pulled:
            stretch(row, size, kinds, pointer(grid[2], 0), len(grid[2]), above)
        for start in range(0, width, CHUNK):
            chunk = (row * width + start, start, min(CHUNK, width - start), padded)
            if packed:
                here = pointer(logits, chunk[0] * padded)
                if pulled:
                    collect(chunk, here, inward, buffer)
                else:
                    _copy(chunk[2] * padded, here, buffer)
            else:
                read_planes(given, size, row, start, chunk[2], buffer)
                if pulled:
                    collect(chunk, buffer, inward, buffer)
            if soft:
                _soften(chunk[2], padded, buffer, scale)
            if pushed:
                hand_on(chunk, buffer, scale, outward)
            if final:
                write_planes(pointer(out, 0), size, row, start, chunk[2], buffer, scale)
        if pushed:
            gather(row, size, kinds, part, below, pointer(grid[3], 0), len(grid[3]))


def room_for(width: int, padded: int, kinds: int) -> int:
    """Say how much room a sweep needs for G kinds of cells."""
    return (2 * kinds * ((width + 1) // 2 + 2) + CHUNK) * padded + CHUNK


@compiled
def _copy(count: int, given: Any, buffer: Any) -> None:
    for at in range(0, count, WIDTH):
        store(buffer, at, load(given, at))


@compiled
def _soften(count: int, padded: int, buffer: Any, scale: Any) -> None:
    """Take exponentials, and in ``scale`` what makes each pixel's sum to one.

    All peaks are found first: what waits for a peak would else keep the next pixel waiting.
    """
    wide = padded // WIDE * WIDE
    for i in range(count):
        first, stop = i * padded, (i + 1) * padded
        peak = np.float32(LOWEST)
        if wide:
            most = load_wide(buffer, first)
            for at in range(first + WIDE, first + wide, WIDE):
                most = greater(most, load_wide(buffer, at))
            peak = greatest(most)
        if wide < padded:
            peak = max(peak, greatest(load(buffer, stop - WIDTH)))
        put(scale, i, peak)
    for i in range(count):
        first, stop = i * padded, (i + 1) * padded
        peak, mass = item(scale, i), np.float32(0)
        if wide:
            least, every = fill_wide(-peak), fill_wide(np.float32(0))
            for at in range(first, first + wide, WIDE):
                chance = exponential(add(load_wide(buffer, at), least))
                store(buffer, at, chance)
                every = add(every, chance)
            mass = total(every)
        if wide < padded:
            chances = exponential(add(load(buffer, stop - WIDTH), fill(-peak)))
            store(buffer, stop - WIDTH, chances)
            mass += total(chances)
        put(scale, i, np.float32(1) / mass)
