"""Mean field of small scenes: all sweeps and blurs of a job in one call, on one thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blur import blur_lattice
from .compiled import Floats, compiled
from .convolve import blur_grid, blur_pixels
from .lanes import pointer
from .planes import Size, wipe
from .sweep import sweep


@compiled
def rounds(
    iterations: int,
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
    """Sweep and blur by turns, scene by scene; what a sweep is given comes first.

    Args:
        iterations: How many.
        size: As `sweep` has it.
        given: Likewise: its logits.
        planar: Likewise, of its mode.
        lattice: Likewise; its sums are ``(1, …)``.
        grid: Likewise.
        extra: Likewise.
        out: Likewise.
        room: Likewise.
        meshes: Of lattices: the row of the first vertex, how many there are, and which of them
            belong to each scene as `blur_lattice` has it, ``(K, 2 + 3 B)``; neighbours, one
            lattice after the other; scales, ``(K, L padded)``; their s; the axes' number; room for
            `blur_lattice`.
        grids: Taps down and right, ``(G, 2, R)``; scales, ``(G, L padded)``; H and W in cells;
            values and sums, ``(G, …)``.
        pixels: Taps, scales, and weights before and after, ``(N, P)``.
    """
    scenes, height, width, _, padded = size
    edges = np.empty((0, 2), np.int64)
    # constants have types of their own, for which all that is called would be compiled anew
    none, one, yes = scenes - scenes, scenes // max(scenes, scenes), scenes > 0
    labels = none, padded
    vertices, collect_by, push_by, values, sums, slots = lattice
    held = vertices, collect_by, push_by, values, sums[0], slots
    table, near, scales, sides, axes, spare = meshes
    taps, amounts, cells, found, added = grids
    lines, shares, push, pull = pixels
    down, span = cells[0], cells[0] * cells[1] * padded
    for scene in range(scenes):
        part = (
            scene * height,
            scene * height + height,
            scene * down,
            scene * down + down,
            none,
            none,
        )
        p, q = scene * height * width, (scene + 1) * height * width
        for i in range(iterations + 1):
            last = i == iterations
            mode = planar, i > 0, yes, not last, last
            sweep(part, size, mode, given, held, grid, extra, out, room)
            if last:
                break
            start = 0
            for k in range(len(table)):
                base, many = table[k, 0], table[k, 1]
                which = table[k, 2 + 3 * scene], table[k, 3 + 3 * scene], table[k, 4 + 3 * scene]
                stop = start + 2 * axes * many
                beside = near[start:stop].reshape((axes, 2, many))
                amount, side = scales[k], sides[k]
                blur_lattice(
                    labels, padded, base, which, beside, amount, side, sums, values, spare
                )
                start = stop
            for g in range(len(taps)):
                into = found[g, scene * span : (scene + 1) * span]
                masses = added[g, scene * span : (scene + 1) * span]
                shape, line = (one, down, cells[1]), taps[g]
                blur_grid(labels, padded, shape, edges, line[0], line[1], amounts[g], masses, into)
            here, own = extra[0][p * padded : q * padded], extra[1][p * padded : q * padded]
            wipe(pointer(here, 0), len(here))
            for n in range(len(lines)):
                shape, line, by = (one, height, width), lines[n], (push[n, p:q], pull[n, p:q])
                blur_pixels(
                    labels, padded, shape, line[0], line[1], shares[n], by[0], by[1], own, here
                )
