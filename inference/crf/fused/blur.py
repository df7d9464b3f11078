"""The blur between two fused passes: [s, 1, s] along each axis of a permutohedral lattice.

The counterpart in torch is `inference.crf.lattice.factored_kernel.FactoredKernel.blurred`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import Float32s, Int32s, Span, jit
from .cpu.simd import (
    WIDE,
    WIDTH,
    broadcast,
    broadcast_like,
    broadcast_wide,
    get,
    load_like,
    pointer,
    store,
    width_of,
)
from .cpu.simd_math import add, multiply, multiply_add


class VertexRange(NamedTuple):
    """The vertices of a scene, or of all scenes, within a lattice.

    Attributes:
        first: The first vertex.
        occupied: After the last vertex that a pixel lies next to: these have sums, and get values.
        last: After the last vertex of all.
    """

    first: int
    occupied: int
    last: int


@jit
def blur_lattice(
    labels: Span,
    padded: int,
    base: int,
    span: VertexRange,
    neighbours: Int32s,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
    scratch: Float32s,
) -> None:
    """Add up what all threads splatted, blur it along each axis, and set the sums to zero.

    Args:
        labels: The labels to blur, at multiples of 8.
        padded: Labels of a row.
        base: The row of the lattice's first vertex.
        span: The vertices to blur.
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis.
        scales: ``(padded,)``: what each label is multiplied by.
        side: s.
        sums: ``(threads, rows · padded)``, in blocks of labels.
        values: ``(rows · padded,)``, in blocks of labels; set.
        scratch: ``(2, rows · padded)``, to work in.
    """
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = broadcast_wide(np.float32(0))
        _blur(like, c, padded, base, span, neighbours, scales, side, sums, values, scratch)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        _blur(narrow, c, padded, base, span, neighbours, scales, side, sums, values, scratch)


@jit
def _blur(
    zeros: Any,
    c: int,
    padded: int,
    base: int,
    span: VertexRange,
    neighbours: Int32s,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
    scratch: Float32s,
) -> None:
    """Blur as many labels as ``zeros`` holds, from ``c`` on, in rows of their own.

    Such rows stay in the cache, and no other thread writes next to them.
    """
    axes, size, wide = len(neighbours), neighbours.shape[2], width_of(zeros)
    beside, scale = broadcast_like(np.float32(side), zeros), load_like(scales, c, zeros)
    threads, every, flat = len(sums), sums.shape[1], pointer(sums, 0)
    block = every // padded * c + base * wide
    start = base * padded + (size + 1) * c
    source, target = pointer(scratch[0], start), pointer(scratch[1], start)
    blurred, near = pointer(values, block), pointer(neighbours, 0)
    for v in range(span.first, span.occupied):
        at = block + v * wide
        mass = load_like(flat, at, zeros)
        store(flat, at, zeros)
        for t in range(1, threads):
            mass = add(mass, load_like(flat, t * every + at, zeros))
            store(flat, t * every + at, zeros)
        store(source, v * wide, multiply(mass, scale))
    for v in range(span.occupied, span.last):
        store(source, v * wide, zeros)
    store(source, size * wide, zeros)
    store(target, size * wide, zeros)
    for a in range(axes):
        final = a == axes - 1
        for v in range(span.first, span.occupied if final else span.last):
            ahead = np.int64(get(near, 2 * a * size + v)) * wide
            behind = np.int64(get(near, (2 * a + 1) * size + v)) * wide
            both = add(load_like(source, ahead, zeros), load_like(source, behind, zeros))
            mass = multiply_add(beside, both, load_like(source, v * wide, zeros))
            if final:
                store(blurred, v * wide, mass)
            else:
                store(target, v * wide, mass)
        source, target = target, source
