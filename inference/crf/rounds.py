"""Mean field of small scenes: all sweeps and blurs of a job in one call, on one thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.crf.blur import blur_grid, blur_lattice, blur_pixels
from inference.crf.compiled import Floats, compiled
from inference.crf.planes import Size
from inference.crf.sweep import sweep


@compiled
def rounds(
    iterations: int,
    part: tuple[int, ...],
    size: Size,
    given: Floats,
    planar: bool,
    lattice: Any,
    grid: Any,
    extra: Any,
    out: Floats,
    room: Floats,
    meshes: Any,
    grids: Any,
    pixels: Any,
) -> None:
    """Sweep and blur by turns; what a sweep of all rows is given comes first.

    Args:
        iterations: How many.
        part: As `sweep` has it.
        size: Likewise.
        given: Likewise: its logits.
        planar: Likewise, of its mode.
        lattice: Likewise; its sums are ``(1, …)``.
        grid: Likewise.
        extra: Likewise.
        out: Likewise.
        room: Likewise.
        meshes: Of lattices: their first rows, how many vertices have sums, how many there are,
            ``(K, 3)``; neighbours, one lattice after the other; scales, ``(K, L padded)``; s;
            the axes' number; room for `blur_lattice`.
        grids: Taps down and right, ``(G, 2, R)``; scales, ``(G, L padded)``; ``(B, H, W)`` in
            cells; values and sums, ``(G, …)``.
        pixels: Taps, scales, and weights before and after, ``(N, P)``.
    """
    padded = size[4]
    labels = (0, padded)
    edges = np.empty((0, 2), np.int64)
    vertices, collect_by, push_by, values, sums, slots = lattice
    held = vertices, collect_by, push_by, values, sums[0], slots
    for i in range(iterations + 1):
        last = i == iterations
        sweep(
            part, size, (planar, i > 0, True, not last, last), given, held, grid, extra, out, room
        )
        if last:
            break
        table, near, scales, side, axes, spare = meshes
        start = 0
        for k in range(len(table)):
            many = table[k, 2]
            stop = start + 2 * axes * many
            beside = near[start:stop].reshape((axes, 2, many))
            blur_lattice(
                labels,
                padded,
                table[k, 0],
                table[k, 1],
                beside,
                scales[k],
                side,
                sums,
                values,
                spare,
            )
            start = stop
        taps, scales, shape, found, cells = grids
        for g in range(len(taps)):
            down, right = taps[g, 0], taps[g, 1]
            blur_grid(labels, padded, shape, edges, down, right, scales[g], cells[g], found[g])
        taps, scales, push, pull = pixels
        extra[0][:] = 0
        for n in range(len(taps)):
            down, right = taps[n, 0], taps[n, 1]
            blur_pixels(
                labels,
                padded,
                size[:3],
                down,
                right,
                scales[n],
                push[n],
                pull[n],
                extra[1],
                extra[0],
            )
