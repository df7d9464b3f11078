"""What the fused pass reads and writes, as typed tuples that compiled code takes.

P is the number of pixels of a batch, S the number of vertices around a pixel over all lattices
(D + 1 each), G the number of smoothness kernels at half resolution. Arrays are float32 and flat
(one-dimensional, contiguous) unless said otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cpu.jit import Float32s, Int32s, Int64s
from .cpu.simd import Pointer


class RowRange(NamedTuple):
    """The rows of pixels that one thread updates, and the rows of the grid that it may add to.

    Two threads' pixels may be next to one row of the grid; each then adds to a spare row of its
    own, which the blur adds to the row it stands for.

    Attributes:
        first: The first row of pixels, counted over the batch.
        last: The row of pixels after the last.
        grid_first: The first row of the grid that no other thread adds to.
        grid_last: The row of the grid after the last of those.
        grid_before: A spare row that stands for the one before ``grid_first``.
        grid_after: A spare row that stands for ``grid_last``.
    """

    first: int
    last: int
    grid_first: int
    grid_last: int
    grid_before: int
    grid_after: int


class Mode(NamedTuple):
    """The steps that a fused pass takes.

    Attributes:
        channels_first: Logits are ``(B, L, H, W)``, not ``(B, H, W, padded)``.
        slice: Add the messages of all kernels to the logits.
        softmax: Take the softmax.
        splat: Splat the result on vertices and grids, and store it for convolutions of pixels.
        write: Write the result out, channels first.
    """

    channels_first: bool
    slice: bool
    softmax: bool
    splat: bool
    write: bool


class LatticeArrays(NamedTuple):
    """The permutohedral lattices of all kernels, side by side.

    Attributes:
        vertices: ``(P, S)`` int32: the rows of the vertices around each pixel.
        slice_weights: ``(P, S)``: barycentric weights, normalised as slicing needs them.
        splat_weights: ``(P, S)``: barycentric weights, normalised as splatting needs them.
        values: ``(rows, padded)`` in blocks of labels (`inference.crf.fused.layout.block_of`):
            blurred values, to be sliced.
        sums: Splatted values, in the layout of ``values``; added to.
        slots: S.
    """

    vertices: Int32s
    slice_weights: Float32s
    splat_weights: Float32s
    values: Float32s
    sums: Float32s
    slots: int


class GridArrays(NamedTuple):
    """The smoothness kernels that are convolved at half the resolution.

    Attributes:
        slice_weights: ``(G, P)``: what a pixel's message is multiplied by.
        splat_weights: ``(G, P)``: what a pixel's marginals are multiplied by.
        values: ``(G, grid rows, grid columns, padded)``: convolved values, to be upsampled.
        sums: Downsampled values, in the layout of ``values`` with spare rows; added to.
        kinds: G.
    """

    slice_weights: Float32s
    splat_weights: Float32s
    values: Float32s
    sums: Float32s
    kinds: int


class PixelArrays(NamedTuple):
    """The smoothness kernels that are convolved at full resolution; both arrays may be empty.

    Attributes:
        messages: ``(P, padded)``: the sum of their messages.
        marginals: ``(P, padded)``: the marginals, stored to be convolved.
    """

    messages: Float32s
    marginals: Float32s


class Chunk(NamedTuple):
    """Some consecutive pixels of one row, and the rows of labels they are worked on in.

    Attributes:
        pixel: The first pixel, counted over the batch.
        column: Its column, an even number.
        length: Number of pixels.
        padded: Labels, rounded up to whole narrow vectors.
        pitch: Numbers from one row of labels to the next.
    """

    pixel: int
    column: int
    length: int
    padded: int
    pitch: int


class LatticeTable(NamedTuple):
    """The vertices around pixels, and what is sliced from them or splatted on them.

    Attributes:
        vertices: ``(P, S)`` int32.
        weights: ``(P, S)``.
        table: Values to slice, or sums to add to, in blocks of labels.
        slots: S.
        rows: Rows of the table.
    """

    vertices: Pointer
    weights: Pointer
    table: Pointer
    slots: int
    rows: int


class GridTable(NamedTuple):
    """A row of pixels at full height and half the width, upsampled from grids or summed for them.

    Attributes:
        weights: ``(G, P)``.
        row: ``(G, span)``: of each grid, values at this row of pixels.
        kinds: G.
        span: Numbers of a row: grid columns times padded labels.
        pixels: P.
    """

    weights: Pointer
    row: Pointer
    kinds: int
    span: int
    pixels: int


class PixelTable(NamedTuple):
    """Values of all pixels, to be read or written.

    Attributes:
        values: ``(P, padded)``.
        used: Whether there are any.
    """

    values: Pointer
    used: bool


class Tables(NamedTuple):
    """All that a pixel gets messages from, or all that its marginals go to.

    Attributes:
        lattice: Permutohedral lattices.
        grid: Grids at half resolution.
        pixels: Convolutions at full resolution.
    """

    lattice: LatticeTable
    grid: GridTable
    pixels: PixelTable


def share_rows(batch: int, height: int, threads: int) -> tuple[list[RowRange], Int64s]:
    """Share the rows of pixels among threads; each begins with an even row of a scene.

    Args:
        batch: B.
        height: H.
        threads: The most parts to make.

    Returns:
        The rows of each thread; and, ``(E, 2)``, the spare rows of the grid that are used, each
        with the row that it stands for.
    """
    down, count = (height + 1) // 2 + 2, batch * height
    cuts = [count * t // threads for t in range(threads)]
    starts = sorted({cut - (cut % height) % 2 for cut in cuts})
    stops = [*starts[1:], count]
    parts: list[RowRange] = []
    edges = []
    for t, (first, stop) in enumerate(zip(starts, stops, strict=True)):
        before, after = batch * down + 2 * t, batch * down + 2 * t + 1
        low, high = (_first_grid_row(row, height, down) for row in (first, stop))
        if first % height:
            edges.append((before, low - 1))
        if stop % height:
            edges.append((after, high))
        parts.append(RowRange(first, stop, low, high, before, after))
    return parts, np.array(edges, np.int64).reshape(-1, 2)


def _first_grid_row(row: int, height: int, down: int) -> int:
    """Return the first row of the grid that belongs to rows of pixels from here on."""
    scene, inside = divmod(row, height)
    return scene * down + (1 + inside // 2 if inside else 0)
