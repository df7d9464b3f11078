"""The blur between two sweeps: along the axes of a lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import Floats, Ints, Span, compiled
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
from .vectors import add, multiply, multiply_add


@compiled
def blur_lattice(
    labels: Span,
    padded: int,
    base: int,
    which: tuple[int, int, int],
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
        which: The first of the vertices to blur, after the last of those that have sums and get
            values, and after the last of all.
        neighbours: ``(D + 1, 2, M)``.
        scales: By what each label is multiplied.
        side: s.
        sums: ``(sweeps, rows · padded)``, in blocks of labels as a sweep has them.
        values: Where the result goes, flat, likewise.
        spare: ``(2, rows · padded)``, to work in.
    """
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = fill_wide(np.float32(0))
        _blur(like, c, padded, base, which, neighbours, scales, side, sums, values, spare)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = fill(np.float32(0)), labels[1] - WIDTH
        _blur(narrow, c, padded, base, which, neighbours, scales, side, sums, values, spare)


@compiled
def _blur(
    nothing: Any,
    c: int,
    padded: int,
    base: int,
    which: tuple[int, int, int],
    neighbours: Ints,
    scales: Floats,
    side: float,
    sums: Floats,
    values: Floats,
    spare: Floats,
) -> None:
    """Blur as many labels as ``nothing`` has, from ``c`` on, in rows of their own.

    These stay in the cache, and no other thread writes next to them.
    """
    axes, size, wide = len(neighbours), neighbours.shape[2], lanes_of(nothing)
    beside, scale = fill_like(np.float32(side), nothing), load_like(scales, c, nothing)
    sweeps, every, flat = len(sums), sums.shape[1], pointer(sums, 0)
    block = every // padded * c + base * wide
    start = base * padded + (size + 1) * c
    source, target = pointer(spare[0], start), pointer(spare[1], start)
    found, near = pointer(values, block), pointer(neighbours, 0)
    first, occupied, stop = which
    for v in range(first, occupied):
        at = block + v * wide
        mass = load_like(flat, at, nothing)
        store(flat, at, nothing)
        for t in range(1, sweeps):
            mass = add(mass, load_like(flat, t * every + at, nothing))
            store(flat, t * every + at, nothing)
        store(source, v * wide, multiply(mass, scale))
    for v in range(occupied, stop):
        store(source, v * wide, nothing)
    store(source, size * wide, nothing)
    store(target, size * wide, nothing)
    for a in range(axes):
        last = a == axes - 1
        for v in range(first, occupied if last else stop):
            one = np.int64(item(near, 2 * a * size + v)) * wide
            other = np.int64(item(near, (2 * a + 1) * size + v)) * wide
            both = add(load_like(source, one, nothing), load_like(source, other, nothing))
            mass = multiply_add(beside, both, load_like(source, v * wide, nothing))
            if last:
                store(found, v * wide, mass)
            else:
                store(target, v * wide, mass)
        source, target = target, source
