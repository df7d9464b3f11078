"""The fused sweep: one pass over pixels that collects pulls, takes a softmax and hands it on."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.crf.compiled import Floats, compiled
from inference.crf.lanes import (
    WIDTH,
    add,
    exponential,
    fill,
    greater,
    greatest,
    item,
    load,
    multiply,
    multiply_add,
    store,
    total,
)
from inference.crf.planes import CHUNK, Size, read_planes, write_planes

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
    """
    width, padded = size[2], size[4]
    planar, pulled, soft, pushed, final = mode
    across = (width + 1) // 2 + 2
    kinds = grid[4]
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
                read_planes(logits, size, row, start, count, buffer, 0)
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
                write_planes(out, size, row, start, count, buffer, scale)
        if pushed:
            _gather(row, size, kinds, part, below, grid[3])


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
    """Add up logits and pulls of a chunk of pixels, three `Lanes` at once while there are."""
    vertices, weights, values = lattice[0], lattice[1], lattice[3]
    pulls, kinds = grid[0], grid[4]
    slots, span = lattice[5], len(above) // max(kinds, 1)
    pixels = len(pulls) // max(kinds, 1)
    given = extra[0]
    more = len(given) > 0
    for i in range(count):
        j = (start + i) // 2 + 1
        k = j + 1 if (start + i) & 1 else j - 1
        for c in range(0, padded - 2 * WIDTH, 3 * WIDTH):
            x = load(base, at + i * padded + c)
            y = load(base, at + i * padded + c + WIDTH)
            z = load(base, at + i * padded + c + 2 * WIDTH)
            if pulled:
                for s in range((p + i) * slots, (p + i + 1) * slots):
                    row = item(vertices, s) * padded + c
                    weight = fill(item(weights, s))
                    x = multiply_add(weight, load(values, row), x)
                    y = multiply_add(weight, load(values, row + WIDTH), y)
                    z = multiply_add(weight, load(values, row + 2 * WIDTH), z)
                for g in range(kinds):
                    pull = item(pulls, g * pixels + p + i)
                    for way in range(2):
                        row = g * span + (j if way == 0 else k) * padded + c
                        weight = fill((np.float32(0.75) if way == 0 else np.float32(0.25)) * pull)
                        x = multiply_add(weight, load(above, row), x)
                        y = multiply_add(weight, load(above, row + WIDTH), y)
                        z = multiply_add(weight, load(above, row + 2 * WIDTH), z)
                if more:
                    row = (p + i) * padded + c
                    x = add(x, load(given, row))
                    y = add(y, load(given, row + WIDTH))
                    z = add(z, load(given, row + 2 * WIDTH))
            store(buffer, i * padded + c, x)
            store(buffer, i * padded + c + WIDTH, y)
            store(buffer, i * padded + c + 2 * WIDTH, z)
        for c in range(padded // (3 * WIDTH) * 3 * WIDTH, padded, WIDTH):
            x = load(base, at + i * padded + c)
            if pulled:
                for s in range((p + i) * slots, (p + i + 1) * slots):
                    row = item(vertices, s) * padded + c
                    x = multiply_add(fill(item(weights, s)), load(values, row), x)
                for g in range(kinds):
                    pull = item(pulls, g * pixels + p + i)
                    near = load(above, g * span + j * padded + c)
                    far = load(above, g * span + k * padded + c)
                    x = multiply_add(fill(np.float32(0.75) * pull), near, x)
                    x = multiply_add(fill(np.float32(0.25) * pull), far, x)
                if more:
                    x = add(x, load(given, (p + i) * padded + c))
            store(buffer, i * padded + c, x)


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
    pushes, kinds = grid[1], grid[4]
    slots, span = lattice[5], len(below) // max(kinds, 1)
    pixels = len(pushes) // max(kinds, 1)
    own = extra[1]
    kept = len(own) > 0
    for i in range(count):
        j = (start + i) // 2 + 1
        k = j + 1 if (start + i) & 1 else j - 1
        share = item(scale, i)
        for c in range(0, padded - 2 * WIDTH, 3 * WIDTH):
            x = load(buffer, i * padded + c)
            y = load(buffer, i * padded + c + WIDTH)
            z = load(buffer, i * padded + c + 2 * WIDTH)
            if kept:
                _put(own, (p + i) * padded + c, share, x, y, z)
            for s in range((p + i) * slots, (p + i + 1) * slots):
                row = item(vertices, s) * padded + c
                _put_more(sums, row, item(weights, s) * share, x, y, z)
            for g in range(kinds):
                push = item(pushes, g * pixels + p + i) * share
                _put_more(below, g * span + j * padded + c, np.float32(0.75) * push, x, y, z)
                _put_more(below, g * span + k * padded + c, np.float32(0.25) * push, x, y, z)
        for c in range(padded // (3 * WIDTH) * 3 * WIDTH, padded, WIDTH):
            x = load(buffer, i * padded + c)
            if kept:
                store(own, (p + i) * padded + c, multiply(fill(share), x))
            for s in range((p + i) * slots, (p + i + 1) * slots):
                row = item(vertices, s) * padded + c
                weight = fill(item(weights, s) * share)
                store(sums, row, multiply_add(weight, x, load(sums, row)))
            for g in range(kinds):
                push = item(pushes, g * pixels + p + i) * share
                row = g * span + j * padded + c
                weight = fill(np.float32(0.75) * push)
                store(below, row, multiply_add(weight, x, load(below, row)))
                row = g * span + k * padded + c
                weight = fill(np.float32(0.25) * push)
                store(below, row, multiply_add(weight, x, load(below, row)))


@compiled
def _put(sums: Floats, row: int, weight: float, x: Any, y: Any, z: Any) -> None:
    """Set three `Lanes`."""
    store(sums, row, multiply(fill(weight), x))
    store(sums, row + WIDTH, multiply(fill(weight), y))
    store(sums, row + 2 * WIDTH, multiply(fill(weight), z))


@compiled
def _put_more(sums: Floats, row: int, weight: float, x: Any, y: Any, z: Any) -> None:
    """Add to three `Lanes`."""
    same = fill(weight)
    store(sums, row, multiply_add(same, x, load(sums, row)))
    store(sums, row + WIDTH, multiply_add(same, y, load(sums, row + WIDTH)))
    store(sums, row + 2 * WIDTH, multiply_add(same, z, load(sums, row + 2 * WIDTH)))


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
