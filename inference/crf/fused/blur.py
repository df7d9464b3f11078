"""The blur between two fused passes: [s, 1, s] along each axis of a permutohedral lattice.

The counterpart in torch is `inference.crf.lattice.factored_kernel.FactoredKernel.blurred`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .cpu.jit import Float32s, Span, jit
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
from .permutohedral.chains import Chains


class VertexRange(NamedTuple):
    """The vertices of one scene, or of all scenes, within a lattice.

    Attributes:
        first: The first vertex.
        occupied: After the last vertex that has a pixel next to it; those before it have sums.
        last: After the last vertex of all.
        offset: Where their chains begin in ``Chains.offsets``.
        axes: D + 1 for one scene, or D + 1 for each.
    """

    first: int
    occupied: int
    last: int
    offset: int
    axes: int


@jit
def blur_lattice(
    labels: Span,
    padded: int,
    base: int,
    span: VertexRange,
    chains: Chains,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
) -> None:
    """Add up what all threads splatted, blur it along each axis, and set the sums to zero.

    Args:
        labels: The labels to blur, at multiples of 8.
        padded: Labels of a row.
        base: The row of the lattice's first vertex.
        span: The vertices to blur.
        chains: The vertices that have neighbours, along each axis.
        scales: ``(padded,)``: what each label is multiplied by.
        side: s.
        sums: ``(threads, rows · padded)``, in blocks of labels.
        values: ``(rows · padded,)``, in blocks of labels; set.
    """
    for c in range(labels[0], labels[1] - WIDTH, WIDE):
        like = broadcast_wide(np.float32(0))
        _blur(like, c, padded, base, span, chains, scales, side, sums, values)
    if (labels[1] - labels[0]) % WIDE:
        narrow, c = broadcast(np.float32(0)), labels[1] - WIDTH
        _blur(narrow, c, padded, base, span, chains, scales, side, sums, values)


@jit
def _blur(
    zeros: Any,
    c: int,
    padded: int,
    base: int,
    span: VertexRange,
    chains: Chains,
    scales: Float32s,
    side: float,
    sums: Float32s,
    values: Float32s,
) -> None:
    """Blur as many labels as ``zeros`` holds, from ``c`` on, in place.

    Chains follow on each other without a branch: where one begins, a link of 0 cuts it off.
    """
    wide = width_of(zeros)
    beside, scale = broadcast_like(np.float32(side), zeros), load_like(scales, c, zeros)
    threads, every, flat = len(sums), sums.shape[1], pointer(sums, 0)
    block = every // padded * c + base * wide
    blurred = pointer(values, block)
    for v in range(span.first, span.occupied):
        at = block + v * wide
        mass = load_like(flat, at, zeros)
        store(flat, at, zeros)
        for t in range(1, threads):
            mass = add(mass, load_like(flat, t * every + at, zeros))
            store(flat, t * every + at, zeros)
        store(blurred, v * wide, multiply(mass, scale))
    for v in range(span.occupied, span.last):
        store(blurred, v * wide, zeros)
    order, links = pointer(chains.order, 0), pointer(chains.links, 0)
    for a in range(span.offset, span.offset + span.axes):
        first, stop = chains.offsets[a], chains.offsets[a + 1]
        at_here: Any = np.int64(get(order, first))
        behind, here = zeros, load_like(blurred, at_here * wide, zeros)
        for i in range(first + 1, stop + 1):
            at_ahead: Any = np.int64(get(order, i))
            ahead, link = (
                load_like(blurred, at_ahead * wide, zeros),
                broadcast_like(get(links, i), zeros),
            )
            both = multiply_add(link, ahead, behind)
            store(blurred, at_here * wide, multiply_add(beside, both, here))
            behind, here, at_here = multiply(link, here), ahead, at_ahead
