"""Blurs between two sweeps: along the axes of a lattice, and across a grid of cells or pixels."""

from __future__ import annotations

import numpy as np

from inference.crf.compiled import Floats, Ints, Keys, Span, compiled
from inference.crf.lanes import (
    WIDTH,
    add,
    fill,
    item,
    load,
    multiply,
    multiply_add,
    store,
)

TILE = 16
"""Columns of cells that are convolved downwards together."""


@compiled
def blur_lattice(
    labels: Span,
    padded: int,
    base: int,
    occupied: int,
    neighbours: Ints,
    scales: Floats,
    side: float,
    sums: Floats,
    values: Floats,
    spare: Floats,
) -> None:
    """Add up the sums of all sweeps, blur them by [s, 1, s] along each axis, and empty them.

    Args:
        labels: First and last of those to blur, multiples of 8.
        padded: How many a row has.
        base: The row of the lattice's first vertex.
        occupied: How many vertices have sums.
        neighbours: ``(D + 1, 2, M)``.
        scales: By what each label is multiplied.
        side: s.
        sums: ``(sweeps, rows · padded)``.
        values: Where the result goes, flat; row ``base + M`` becomes zero.
        spare: As large.
    """
    axes, size = len(neighbours), neighbours.shape[2]
    beside, nothing = fill(np.float32(side)), fill(np.float32(0))
    source, target = (values, spare) if axes % 2 == 0 else (spare, values)
    sweeps, every, near = len(sums), sums.shape[1], neighbours.reshape(-1)
    flat = sums.reshape(-1)
    for v in range(occupied):
        for at in range((base + v) * padded + labels[0], (base + v) * padded + labels[1], WIDTH):
            mass = nothing
            for t in range(sweeps):
                mass = add(mass, load(flat, t * every + at))
                store(flat, t * every + at, nothing)
            scale = load(scales, at - (base + v) * padded)
            store(source, at, multiply(mass, scale))
    for c in range(labels[0], labels[1], WIDTH):
        for v in range(occupied, size + 1):
            store(source, (base + v) * padded + c, nothing)
        store(target, (base + size) * padded + c, nothing)
    for a in range(axes):
        for v in range(size):
            one = (base + np.int64(item(near, 2 * a * size + v))) * padded
            other = (base + np.int64(item(near, (2 * a + 1) * size + v))) * padded
            for c in range(labels[0], labels[1], WIDTH):
                both = add(load(source, one + c), load(source, other + c))
                at = (base + v) * padded + c
                store(target, at, multiply_add(beside, both, load(source, at)))
        source, target = target, source


@compiled
def blur_grid(
    labels: Span,
    padded: int,
    shape: tuple[int, int, int],
    edges: Keys,
    down: Floats,
    right: Floats,
    scales: Floats,
    sums: Floats,
    values: Floats,
) -> None:
    """Convolve a grid with a kernel down and right, put the result in values, empty the sums.

    Args:
        labels: First and last of those to blur, multiples of 8.
        padded: How many a cell has.
        shape: Scenes, rows and columns of cells.
        edges: ``(E, 2)``: rows of sums that belong to other rows.
        down: Taps of the kernel from its centre, ``(R,)``.
        right: Likewise.
        scales: By what each label is multiplied.
        sums: Flat.
        values: Flat.
    """
    scenes, height, width = shape
    first, stop = labels
    nothing = fill(np.float32(0))
    reach, wide = len(right) - 1, stop - first
    line = np.zeros((width + 2 * reach) * wide, np.float32)
    for e in range(len(edges)):
        for x in range(width):
            for c in range(first, stop, WIDTH):
                at = (edges[e, 1] * width + x) * padded + c
                loose = (edges[e, 0] * width + x) * padded + c
                store(sums, at, add(load(sums, at), load(sums, loose)))
                store(sums, loose, nothing)
    for y in range(scenes * height):
        for x in range(width):
            for c in range(0, wide, WIDTH):
                part = load(sums, (y * width + x) * padded + first + c)
                part = multiply(part, load(scales, first + c))
                store(line, (x + reach) * wide + c, part)
        for x in range(width):
            for c in range(0, wide, WIDTH):
                at = (x + reach) * wide + c
                found = multiply(fill(item(right, 0)), load(line, at))
                for r in range(1, reach + 1):
                    both = add(load(line, at - r * wide), load(line, at + r * wide))
                    found = multiply_add(fill(item(right, r)), both, found)
                store(sums, (y * width + x) * padded + first + c, found)
    for start in range(0, width, TILE):  # few columns at a time stay in the nearest cache
        for y in range(scenes * height):
            over = min(y % height, len(down) - 1)
            under = min(height - 1 - y % height, len(down) - 1)
            for x in range(start, min(start + TILE, width)):
                for c in range(first, stop, WIDTH):
                    at = (y * width + x) * padded + c
                    found = multiply(fill(item(down, 0)), load(sums, at))
                    step = width * padded
                    for r in range(1, min(over, under) + 1):
                        both = add(load(sums, at - r * step), load(sums, at + r * step))
                        found = multiply_add(fill(item(down, r)), both, found)
                    for r in range(under + 1, over + 1):
                        found = multiply_add(fill(item(down, r)), load(sums, at - r * step), found)
                    for r in range(over + 1, under + 1):
                        found = multiply_add(fill(item(down, r)), load(sums, at + r * step), found)
                    store(values, at, found)
    for i in range(scenes * height * width):
        for c in range(first, stop, WIDTH):
            store(sums, i * padded + c, nothing)


@compiled
def blur_pixels(
    labels: Span,
    padded: int,
    shape: tuple[int, int, int],
    down: Floats,
    right: Floats,
    scales: Floats,
    push: Floats,
    pull: Floats,
    given: Floats,
    values: Floats,
) -> None:
    """Add to values a convolution of pixels with a kernel, weighted by pixel before and after.

    Args:
        labels: First and last of those to blur, multiples of 8.
        padded: How many a pixel has.
        shape: B, H, W.
        down: Taps of the kernel from its centre, ``(R,)``.
        right: Likewise.
        scales: By what each label is multiplied.
        push: ``(P,)``.
        pull: ``(P,)``.
        given: Flat.
        values: Flat.
    """
    scenes, height, width = shape
    reach = len(right) - 1
    line = np.zeros((width + 2 * reach) * WIDTH, np.float32)
    plane = np.empty(scenes * height * width * WIDTH, np.float32)
    for c in range(labels[0], labels[1], WIDTH):
        scale = load(scales, c)
        for y in range(scenes * height):
            for x in range(width):
                p = y * width + x
                part = multiply(load(given, p * padded + c), fill(push[p]))
                store(line, (x + reach) * WIDTH, part)
            for x in range(width):
                at = (x + reach) * WIDTH
                found = multiply(fill(right[0]), load(line, at))
                for r in range(1, reach + 1):
                    both = add(load(line, at - r * WIDTH), load(line, at + r * WIDTH))
                    found = multiply_add(fill(right[r]), both, found)
                store(plane, (y * width + x) * WIDTH, found)
        for y in range(scenes * height):
            top = (y // height) * height
            for x in range(width):
                p = y * width + x
                found = multiply(fill(down[0]), load(plane, p * WIDTH))
                for r in range(1, len(down)):
                    if y - r >= top:
                        above = load(plane, (p - r * width) * WIDTH)
                        found = multiply_add(fill(down[r]), above, found)
                    if y + r < top + height:
                        under = load(plane, (p + r * width) * WIDTH)
                        found = multiply_add(fill(down[r]), under, found)
                found = multiply(found, multiply(fill(pull[p]), scale))
                store(values, p * padded + c, add(load(values, p * padded + c), found))
