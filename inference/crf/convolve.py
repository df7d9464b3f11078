"""Convolutions between two sweeps: across a grid of cells, or of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import Floats, Keys, Span, compiled, inlined
from .lanes import (
    WIDE,
    WIDTH,
    fill,
    fill_like,
    fill_wide,
    item,
    lanes_of,
    load_like,
    pointer,
    store,
)
from .planes import wipe
from .vectors import add, multiply, multiply_add

CORNER = 1e-6
"""What is less than this, of a pixel beside another's corner, is left out of narrow kernels."""


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
    by = pointer(scales, 0), pointer(scales, 0), len(sums) < 0
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = fill_wide(np.float32(0))
        _convolve(like, c, padded, shape, edges, down, right, scales, sums, values, by)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = fill(np.float32(0)), labels[1] - WIDTH
        _convolve(narrow, c, padded, shape, edges, down, right, scales, sums, values, by)


@compiled
def _convolve(
    nothing: Any,
    c: int,
    padded: int,
    shape: tuple[int, int, int],
    edges: Keys,
    down: Floats,
    right: Floats,
    scales: Floats,
    sums: Floats,
    values: Floats,
    by: Any,
) -> None:
    """Convolve as many labels as ``nothing`` has, from ``c`` on.

    Rows are convolved to the right into a ring of as many as a column of the kernel spans, from
    which rows of values are summed: each number is read once and written once.

    Args:
        nothing: Zeros.
        c: The first label.
        padded: As `blur_grid` has it, and so what follows but the last.
        shape: …
        edges: …
        down: …
        right: …
        scales: …
        sums: …
        values: …
        by: Weights before and after of what is convolved, and whether there are any: then sums
            are left as they are, and added to values.
    """
    scenes, height, width = shape
    wide, reach, under = lanes_of(nothing), len(right) - 1, len(down) - 1
    given, found, scale = pointer(sums, c), pointer(values, c), load_like(scales, c, nothing)
    across, along = pointer(right, 0), pointer(down, 0)
    step, span = width * padded, width * wide
    for e in range(len(edges)):
        for x in range(width):
            at, loose = edges[e, 1] * step + x * padded, edges[e, 0] * step + x * padded
            mass = add(load_like(given, at, nothing), load_like(given, loose, nothing))
            store(given, at, mass)
            store(given, loose, nothing)
    line = np.empty((width + 2 * reach) * wide, np.float32)
    ring = np.empty((2 * under + 1) * span, np.float32)
    wipe(pointer(line, 0), len(line))
    for scene in range(scenes):
        wipe(pointer(ring, 0), len(ring))
        for y in range(-under, height):
            ahead = y + under
            place = (ahead % (2 * under + 1)) * span
            if ahead < height:
                first = (scene * height + ahead) * step
                for x in range(width):
                    part = multiply(load_like(given, first + x * padded, nothing), scale)
                    if by[2]:
                        p = (scene * height + ahead) * width + x
                        part = multiply(part, fill_like(item(by[0], p), nothing))
                    else:
                        store(given, first + x * padded, nothing)
                    store(line, (x + reach) * wide, part)
                for x in range(width):
                    at = (x + reach) * wide
                    here = load_like(line, at, nothing)
                    mass = multiply(fill_like(item(across, 0), nothing), here)
                    for r in range(1, reach + 1):
                        both = add(
                            load_like(line, at - r * wide, nothing),
                            load_like(line, at + r * wide, nothing),
                        )
                        mass = multiply_add(fill_like(item(across, r), nothing), both, mass)
                    store(ring, place + x * wide, mass)
            else:
                wipe(pointer(ring, place), span)
            if y >= 0:
                row = scene * height + y
                here = (
                    pointer(found, row * step),
                    pointer(by[1], row * width if by[2] else 0),
                    by[2],
                )
                _sum_down(nothing, y, under, width, padded, along, pointer(ring, 0), here)


@compiled
def _sum_down(
    nothing: Any, y: int, under: int, width: int, padded: int, along: Any, ring: Any, found: Any
) -> None:
    """Sum a column of the kernel over the rows of a ring, around row ``y``.

    Args:
        nothing: Zeros.
        y: Counted as the ring's rows are, modulo their number.
        under: R − 1.
        width: W.
        padded: How many labels a row of values has.
        along: The taps.
        ring: ``(2 R − 1, W)`` of lanes.
        found: Where the sums go; weights of pixels, and whether they are to be added, by these.
    """
    wide, rows = lanes_of(nothing), 2 * under + 1
    span, middle = width * wide, y % rows
    for x in range(width):
        here = load_like(ring, middle * span + x * wide, nothing)
        mass = multiply(fill_like(item(along, 0), nothing), here)
        above, below = middle, middle
        for r in range(1, under + 1):
            above = above - 1 if above else rows - 1
            below = below + 1 if below < rows - 1 else 0
            both = add(
                load_like(ring, above * span + x * wide, nothing),
                load_like(ring, below * span + x * wide, nothing),
            )
            mass = multiply_add(fill_like(item(along, r), nothing), both, mass)
        if found[2]:
            here = load_like(found[0], x * padded, nothing)
            mass = multiply_add(fill_like(item(found[1], x), nothing), mass, here)
        store(found[0], x * padded, mass)


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
    if len(down) == 2 and len(right) == 2 and down[1] * right[1] < CORNER:
        _cross(labels, padded, shape, down, right, scales, push, pull, given, values)
        return
    edges, by = np.empty((0, 2), np.int64), (pointer(push, 0), pointer(pull, 0), len(push) > 0)
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = fill_wide(np.float32(0))
        _convolve(like, c, padded, shape, edges, down, right, scales, given, values, by)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = fill(np.float32(0)), labels[1] - WIDTH
        _convolve(narrow, c, padded, shape, edges, down, right, scales, given, values, by)


@compiled
def _cross(
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
    """Do so with a kernel that reaches four pixels beside the one in its middle."""
    scenes, height, width = shape
    source, target, scale = pointer(given, 0), pointer(values, 0), pointer(scales, 0)
    before, after = pointer(push, 0), pointer(pull, 0)
    middle, flank, edge = down[0] * right[0], down[0] * right[1], down[1] * right[0]
    for row in range(scenes * height):
        y = row % height
        up, under = width if y > 0 else 0, width if y < height - 1 else 0
        for p in range(row * width, (row + 1) * width):
            left = 1 if p > row * width else 0
            ahead = 1 if p < (row + 1) * width - 1 else 0
            share = item(after, p)
            here = (p, share * middle * item(before, p))
            beside = (p - left, np.float32(left) * share * flank * item(before, p - left))
            other = (p + ahead, np.float32(ahead) * share * flank * item(before, p + ahead))
            above = (p - up, np.float32(up > 0) * share * edge * item(before, p - up))
            below = (p + under, np.float32(under > 0) * share * edge * item(before, p + under))
            five = here, beside, other, above, below
            for c in range(labels[0], labels[1] - WIDTH, WIDE):
                _five(fill_wide(np.float32(0)), c, p, padded, five, scale, source, target)
            if (labels[1] - labels[0]) % WIDE:
                c = labels[1] - WIDTH
                _five(fill(np.float32(0)), c, p, padded, five, scale, source, target)


@inlined
def _five(
    nothing: Any, c: int, p: int, padded: int, five: Any, scale: Any, source: Any, target: Any
) -> None:
    mass = nothing
    for place, weight in five:
        part = load_like(source, place * padded + c, nothing)
        mass = multiply_add(fill_like(weight, nothing), part, mass)
    here = load_like(target, p * padded + c, nothing)
    by = load_like(scale, c, nothing)
    store(target, p * padded + c, multiply_add(by, mass, here))
