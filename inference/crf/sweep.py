"""The fused sweep: one pass over pixels that collects pulls, takes a softmax and hands it on.

Pixels are in the order (B, H, W) and rows of labels are padded to whole `Lanes`; arrays of such
rows are passed flat. A lattice is read and written at its vertices; a grid of half the resolution
at its cells, by bilinear weights ¾ and ¼, with a ring of cells around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.crf.compiled import Floats, compiled
from inference.crf.lanes import (
    LOWEST,
    WIDTH,
    add,
    exponential,
    fill,
    greater,
    greatest,
    load,
    multiply,
    multiply_add,
    store,
    total,
)

Size = tuple[int, int, int, int, int]
Part = tuple[int, ...]
Mode = tuple[bool, bool, bool, bool, bool]

CHUNK = 32
"""Pixels that go through each stage together: their labels stay in the nearest cache."""


@compiled
def pack(logits: Floats, size: Size, first: int, last: int, packed: Floats) -> None:
    """Turn rows of planes, ``(B, L, H, W)``, into rows of labels, ``(B, H, W, padded)``."""
    width, padded = size[2], size[4]
    for row in range(first, last):
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            _read(logits, size, row, start, count, packed, (row * width + start) * padded)


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
) -> None:
    """Update the pixels of some rows.

    Args:
        part: First and last row, counted over the batch; first and last row of cells that only
            these write; two rows of cells for what falls before and after those.
        size: B, H, W, L, and L padded.
        mode: Whether logits are planes; whether pulls are collected; whether to take the softmax;
            whether the result is handed on; whether it is written out.
        logits: Planes, or rows of labels.
        lattice: Vertices, weights to collect by, weights to hand on by, all ``(P, S)``; values
            to collect, and sums to add to, rows of labels.
        grid: Weights of pixels to collect and to hand on by, ``(G, P)``; values to collect, and
            sums to add to, ``(G, rows, columns)`` of labels.
        extra: Values to collect at pixels, and where to leave the result; empty if not used.
        out: Planes.
    """
    width, padded = size[2], size[4]
    planar, pulled, soft, pushed, final = mode
    across = (width + 1) // 2 + 2
    kinds = len(grid[0])
    above = np.zeros(kinds * across * padded, np.float32)
    below = np.zeros(kinds * across * padded, np.float32)
    buffer = np.empty(CHUNK * padded, np.float32)
    scale = np.ones(CHUNK, np.float32)
    for row in range(part[0], part[1]):
        if pulled:
            _stretch(row, size, kinds, grid[2], above)
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            p = row * width + start
            if planar:
                _read(logits, size, row, start, count, buffer, 0)
                _collect(
                    p, start, count, padded, pulled, buffer, 0, lattice, grid, above, extra, buffer
                )
            else:
                _collect(
                    p,
                    start,
                    count,
                    padded,
                    pulled,
                    logits,
                    p * padded,
                    lattice,
                    grid,
                    above,
                    extra,
                    buffer,
                )
            if soft:
                _soften(count, padded, buffer, scale)
            if pushed:
                _hand_on(p, start, count, padded, buffer, scale, lattice, grid, below, extra)
            if final:
                _write(out, size, row, start, count, buffer, scale)
        if pushed:
            _gather(row, size, kinds, part, below, grid[3])


@compiled
def _read(
    logits: Floats, size: Size, row: int, start: int, count: int, buffer: Floats, at: int
) -> None:
    """Read a chunk of planes into rows of labels."""
    _, height, width, labels, padded = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for c in range(labels):
        for i in range(count):
            buffer[at + i * padded + c] = logits[origin + c * plane + i]
    for i in range(count):
        for c in range(labels, padded):
            buffer[at + i * padded + c] = LOWEST


@compiled
def _write(
    out: Floats, size: Size, row: int, start: int, count: int, buffer: Floats, scale: Floats
) -> None:
    """Write a chunk of rows of labels to planes."""
    _, height, width, labels, padded = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for c in range(labels):
        for i in range(count):
            out[origin + c * plane + i] = buffer[i * padded + c] * scale[i]


@compiled
def _collect(
    p: int,
    start: int,
    count: int,
    padded: int,
    pulled: bool,
    base: Floats,
    at: int,
    lattice: Any,
    grid: Any,
    above: Floats,
    extra: Any,
    buffer: Floats,
) -> None:
    """Add up logits and pulls of a chunk of pixels."""
    vertices, weights, values = lattice[0], lattice[1], lattice[3]
    slots, kinds = vertices.shape[1], len(grid[0])
    span = len(above) // max(kinds, 1)
    more = len(extra[0]) > 0
    for i in range(count):
        for c in range(0, padded, WIDTH):
            found = load(base, at + i * padded + c)
            if pulled:
                for s in range(slots):
                    row = load(values, np.int64(vertices[p + i, s]) * padded + c)
                    found = multiply_add(fill(weights[p + i, s]), row, found)
                for g in range(kinds):
                    j = (start + i) // 2 + 1
                    k = j + 1 if (start + i) & 1 else j - 1
                    cell = load(above, g * span + j * padded + c)
                    beside = load(above, g * span + k * padded + c)
                    pull = grid[0][g, p + i]
                    found = multiply_add(fill(np.float32(0.75) * pull), cell, found)
                    found = multiply_add(fill(np.float32(0.25) * pull), beside, found)
                if more:
                    found = add(found, load(extra[0], (p + i) * padded + c))
            store(buffer, i * padded + c, found)


@compiled
def _soften(count: int, padded: int, buffer: Floats, scale: Floats) -> None:
    """Take exponentials, and in ``scale`` what makes each pixel's sum to one."""
    for i in range(count):
        peak = load(buffer, i * padded)
        for c in range(WIDTH, padded, WIDTH):
            peak = greater(peak, load(buffer, i * padded + c))
        least = fill(-greatest(peak))
        mass = fill(np.float32(0))
        for c in range(0, padded, WIDTH):
            chance = exponential(add(load(buffer, i * padded + c), least))
            store(buffer, i * padded + c, chance)
            mass = add(mass, chance)
        scale[i] = np.float32(1) / total(mass)


@compiled
def _hand_on(
    p: int,
    start: int,
    count: int,
    padded: int,
    buffer: Floats,
    scale: Floats,
    lattice: Any,
    grid: Any,
    below: Floats,
    extra: Any,
) -> None:
    """Add a chunk of pixels to vertices and cells, or leave it as it is."""
    vertices, weights, sums = lattice[0], lattice[2], lattice[4]
    slots, kinds = vertices.shape[1], len(grid[0])
    span = len(below) // max(kinds, 1)
    kept = len(extra[1]) > 0
    for i in range(count):
        for c in range(0, padded, WIDTH):
            chance = multiply(load(buffer, i * padded + c), fill(scale[i]))
            if kept:
                store(extra[1], (p + i) * padded + c, chance)
            for s in range(slots):
                at = np.int64(vertices[p + i, s]) * padded + c
                part = multiply_add(fill(weights[p + i, s]), chance, load(sums, at))
                store(sums, at, part)
            for g in range(kinds):
                j = (start + i) // 2 + 1
                k = j + 1 if (start + i) & 1 else j - 1
                push = grid[1][g, p + i]
                cell = g * span + j * padded + c
                part = multiply_add(fill(np.float32(0.75) * push), chance, load(below, cell))
                store(below, cell, part)
                cell = g * span + k * padded + c
                part = multiply_add(fill(np.float32(0.25) * push), chance, load(below, cell))
                store(below, cell, part)


@compiled
def _stretch(row: int, size: Size, kinds: int, values: Floats, above: Floats) -> None:
    """Interpolate a row of pixels between two rows of cells."""
    span, one, other = _rows(row, size)
    near, far = fill(np.float32(0.75)), fill(np.float32(0.25))
    height = len(values) // max(kinds * span, 1)
    for g in range(kinds):
        for x in range(0, span, WIDTH):
            a = load(values, (g * height + one) * span + x)
            b = load(values, (g * height + other) * span + x)
            store(above, g * span + x, multiply_add(near, a, multiply(far, b)))


@compiled
def _gather(row: int, size: Size, kinds: int, part: Part, below: Floats, sums: Floats) -> None:
    """Add a row of pixels to two rows of cells, and empty it."""
    span, one, other = _rows(row, size)
    height = len(sums) // max(kinds * span, 1)
    for g in range(kinds):
        for way in range(2):
            cell = one if way == 0 else other
            if cell < part[2]:
                cell = part[4]
            elif cell >= part[3]:
                cell = part[5]
            weight = fill(np.float32(0.75) if way == 0 else np.float32(0.25))
            for x in range(0, span, WIDTH):
                at = (g * height + cell) * span + x
                store(sums, at, multiply_add(weight, load(below, g * span + x), load(sums, at)))
        for x in range(0, span, WIDTH):
            store(below, g * span + x, fill(np.float32(0)))


@compiled
def _rows(row: int, size: Size) -> tuple[int, int, int]:
    """Give how long a row of cells is, and the two nearest to a row."""
    _, height, width, _, padded = size
    cells = (height + 1) // 2 + 2
    inside = row % height
    one = (row // height) * cells + inside // 2 + 1
    return ((width + 1) // 2 + 2) * padded, one, one + 1 if inside & 1 else one - 1
