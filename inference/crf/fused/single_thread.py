"""All iterations of mean field in one compiled call, scene by scene, on one thread.

Small scenes take less time for their arithmetic than Python does for a dozen calls; several
threads then do several groups of scenes, each by such a call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blur import VertexRange, blur_grid, blur_lattice, blur_pixels
from .cpu.jit import Float32s, Int64s, jit
from .fused_pass import fused_pass
from .layout import Shape
from .permutohedral.lattice import Chains
from .separable import Plane
from .tables import GridArrays, LatticeArrays, Mode, PixelArrays, RowRange


class LatticeBlurs(NamedTuple):
    """What is needed to blur the K lattices of some scenes.

    Attributes:
        table: ``(K, 1 + 5 B)``: the row of a lattice's first vertex, and of each scene the numbers
            of its `VertexRange`.
        chains: The chains of all lattices, one lattice after another.
        scales: ``(K, padded)``: what each label is multiplied by.
        sides: ``(K,)``: s.
        sums: ``(1, rows · padded)``, in blocks of labels.
    """

    table: Int64s
    chains: Chains
    scales: Float32s
    sides: Float32s
    sums: Float32s


class GridBlurs(NamedTuple):
    """What is needed to convolve the G grids at half resolution.

    Attributes:
        taps: ``(G, 2, R)``: taps down and right from the centre.
        scales: ``(G, padded)``: what each label is multiplied by.
        height: Rows of a scene's grid.
        width: Columns of the grid.
        values: ``(G, B · height · width · padded)``.
        sums: As the values, and spare rows.
    """

    taps: Float32s
    scales: Float32s
    height: int
    width: int
    values: Float32s
    sums: Float32s


class PixelBlurs(NamedTuple):
    """What is needed for the N convolutions at full resolution.

    Attributes:
        taps: ``(N, 2, R)``: taps down and right from the centre.
        scales: ``(N, padded)``: what each label is multiplied by.
        before: ``(N, P)``: what pixels are multiplied by first.
        after: ``(N, P)``: what results are multiplied by.
    """

    taps: Float32s
    scales: Float32s
    before: Float32s
    after: Float32s


@jit
def iterate(
    iterations: int,
    shape: Shape,
    logits: Float32s,
    channels_first: bool,
    lattice: LatticeArrays,
    grid: GridArrays,
    pixels: PixelArrays,
    out: Float32s,
    scratch: Float32s,
    lattice_blurs: LatticeBlurs,
    grid_blurs: GridBlurs,
    pixel_blurs: PixelBlurs,
) -> None:
    """Take fused passes and blurs by turns, scene by scene.

    Args:
        iterations: Number of iterations; one more pass writes the result.
        shape: Shape of the batch.
        logits: Flat.
        channels_first: Whether logits are ``(B, L, H, W)``, not ``(B, H, W, padded)``.
        lattice: Values to slice, and sums to add to.
        grid: Values to upsample, and sums to add to.
        pixels: Messages to add, and where to store the marginals.
        out: ``(B, L, H, W)``, flat; set.
        scratch: Numbers for the fused pass to work in.
        lattice_blurs: How to blur the lattices.
        grid_blurs: How to convolve the grids.
        pixel_blurs: How to convolve pixels.
    """
    scenes, height, width, padded = shape.batch, shape.height, shape.width, shape.padded
    edges = np.empty((0, 2), np.int64)
    # constants have types of their own, for which all that is called would be compiled anew
    none, one, yes = scenes - scenes, scenes // max(scenes, scenes), scenes > 0
    labels = none, padded
    table = lattice_blurs.table
    down = grid_blurs.height
    span = down * grid_blurs.width * padded
    for scene in range(scenes):
        first = scene * height
        rows = RowRange(first, first + height, scene * down, scene * down + down, none, none)
        p, q = scene * height * width, (scene + 1) * height * width
        for i in range(iterations + 1):
            last = i == iterations
            mode = Mode(channels_first, i > 0, yes, not last, last)
            fused_pass(rows, shape, mode, logits, lattice, grid, pixels, out, scratch)
            if last:
                break
            for k in range(len(table)):
                at = 1 + 5 * scene
                blur_lattice(
                    labels,
                    padded,
                    table[k, 0],
                    VertexRange(
                        table[k, at],
                        table[k, at + 1],
                        table[k, at + 2],
                        table[k, at + 3],
                        table[k, at + 4],
                    ),
                    lattice_blurs.chains,
                    lattice_blurs.scales[k],
                    lattice_blurs.sides[k],
                    lattice_blurs.sums,
                    lattice.values,
                )
            for g in range(len(grid_blurs.taps)):
                blur_grid(
                    labels,
                    padded,
                    Plane(one, down, grid_blurs.width),
                    edges,
                    grid_blurs.taps[g, 0],
                    grid_blurs.taps[g, 1],
                    grid_blurs.scales[g],
                    grid_blurs.sums[g, scene * span : (scene + 1) * span],
                    grid_blurs.values[g, scene * span : (scene + 1) * span],
                )
            messages = pixels.messages[p * padded : q * padded]
            marginals = pixels.marginals[p * padded : q * padded]
            for n in range(len(pixel_blurs.taps)):
                blur_pixels(
                    labels,
                    padded,
                    Plane(one, height, width),
                    pixel_blurs.taps[n, 0],
                    pixel_blurs.taps[n, 1],
                    pixel_blurs.scales[n],
                    pixel_blurs.before[n, p:q],
                    pixel_blurs.after[n, p:q],
                    marginals,
                    messages,
                    n > 0,
                )
