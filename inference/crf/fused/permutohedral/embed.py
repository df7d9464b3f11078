"""Embedding points in the permutohedral lattice: enclosing simplices and barycentric weights.

The counterpart in torch is `inference.crf.lattice.permutohedral`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..cpu.jit import Float32s, Int32s, Int64s, jit
from ..cpu.simd import WIDE, Pointer, broadcast_wide, get, load_wide, pointer, put, store
from ..cpu.simd_math import add, floor, is_less, multiply, subtract
from .hash_table import empty_table, find_slot, grown, table_of


class Axes(NamedTuple):
    """How features become lattice coordinates, and lattice points keys.

    Attributes:
        scales: ``(D,)`` float32: what each feature is multiplied by.
        strides: ``(D + 1,)`` int64: what a coordinate is multiplied by in a key.
        total: The sum of the strides.
        scene_step: From a scene's keys to those of the next scene.
    """

    scales: Float32s
    strides: Int64s
    total: int
    scene_step: int


class Embedding(NamedTuple):
    """Sixteen points in the lattice, one a column.

    Attributes:
        elevated: ``(D + 1, 16)``: coordinates in the plane where they sum to zero.
        rem0: ``(D + 1, 16)``: the nearest vertex of remainder 0.
        rank: ``(D + 1, 16)``: the rank of each coordinate's difference, 0 for the largest.
    """

    elevated: Pointer
    rem0: Pointer
    rank: Pointer


class Batch(NamedTuple):
    """Which of sixteen embedded points are written, and where.

    Attributes:
        column: The first of them.
        points: Number of points.
        start: The first point's number, counted over all scenes.
        dimensions: D.
        origin: What is added to the keys of this scene.
    """

    column: int
    points: int
    start: int
    dimensions: int
    origin: int


class Table(NamedTuple):
    """The vertices so far, by their keys.

    Attributes:
        slots: The hash table.
        mask: Its capacity less one.
        keys: ``(capacity / 2,)``: the key of each vertex.
        masses: ``(capacity / 2,)``: the sum of each vertex's weights.
    """

    slots: Pointer
    mask: int
    keys: Pointer
    masses: Pointer


class Work(NamedTuple):
    """Memory to work in.

    Attributes:
        fractions: ``(D + 1,)``: differences by rank, over D + 1.
        moves: ``(D + 1,)`` int64: what a step along the axis of each rank adds to a key.
    """

    fractions: Pointer
    moves: Pointer


@jit
def embed(
    features: Float32s,
    axes: Axes,
    first: int,
    last: int,
    vertices: Int32s,
    weights: Float32s,
    embedded: Float32s,
    fractions: Float32s,
    moves: Int64s,
) -> tuple[Int64s, Float32s]:
    """Find the simplices and barycentric weights of some points; number vertices as they come.

    Args:
        features: ``(B, D, N)``, each divided by its σ.
        axes: How features become keys.
        first: The first point, counted over the batch.
        last: The point after the last.
        vertices: ``(B N, D + 1)``, set for these points.
        weights: ``(B N, D + 1)``, set for these points.
        embedded: ``(3, D + 1, 16)``, to work in.
        fractions: ``(16 (D + 2),)``, to work in.
        moves: ``(D + 1,)``, to work in.

    Returns:
        The keys of the vertices, ``(M,)``, and the sums of their weights, ``(M,)``.
    """
    _, d, count = features.shape
    capacity: Any = np.int64(2**14)  # a constant would have a type of its own
    used: Any = np.int64(0)
    slots, keys = empty_table(capacity), np.empty(capacity // 2, np.int64)
    masses = np.empty(capacity // 2, np.float32)
    flat, spare = pointer(features, 0), pointer(fractions, 0)
    row = (d + 1) * WIDE
    points = Embedding(pointer(embedded, 0), pointer(embedded, row), pointer(embedded, 2 * row))
    to_vertices, to_weights = pointer(vertices, 0), pointer(weights, 0)
    scales, strides = pointer(axes.scales, 0), pointer(axes.strides, 0)
    work = Work(spare, pointer(moves, 0))
    start = first
    while start < last:
        scene = start // count
        some = min(WIDE, last - start, (scene + 1) * count - start)
        inside = start - scene * count
        begin = max(min(inside, count - WIDE), 0)  # a scene's last points are embedded once more
        if count < WIDE:
            _embed_few(pointer(flat, scene * d * count), count, scales, d, points, spare)
        else:
            _embed_points(pointer(flat, scene * d * count + begin), count, scales, d, points)
        if 2 * (used + WIDE * (d + 1)) > capacity:
            capacity *= 2
            keys, masses = grown(keys), grown(masses)
            slots = table_of(keys, used, capacity)
        table = Table(pointer(slots, 0), capacity - 1, pointer(keys, 0), pointer(masses, 0))
        batch = Batch(inside - begin, some, start, d, scene * axes.scene_step)
        used = _write(
            points, strides, axes.total, batch, to_vertices, to_weights, work, table, used
        )
        start += some
    return keys[:used], masses[:used]


@jit
def _embed_points(
    features: Pointer, stride: int, scales: Pointer, d: int, points: Embedding
) -> None:
    """Elevate sixteen points, round them to remainder 0, and rank their differences.

    Args:
        features: The first feature of the first point.
        stride: Numbers from one feature of a point to its next.
        scales: ``(D,)``.
        d: D.
        points: Set.

    Source:
        Adams, Baek & Davis (2010), section 3.1; names as in their code.
    """
    elevated, rem0, rank = points
    side, share = np.float32(d + 1), broadcast_wide(np.float32(1) / np.float32(d + 1))
    half, zeros = broadcast_wide(np.float32(0.5)), broadcast_wide(np.float32(0))
    above = zeros
    for i in range(d, 0, -1):
        part = multiply(load_wide(features, (i - 1) * stride), broadcast_wide(get(scales, i - 1)))
        store(elevated, i * WIDE, subtract(above, multiply(broadcast_wide(np.float32(i)), part)))
        above = add(above, part)
    store(elevated, 0, above)
    excess = zeros
    for i in range(d + 1):
        whole = floor(add(multiply(load_wide(elevated, i * WIDE), share), half))
        excess = add(excess, whole)
        store(rem0, i * WIDE, multiply(whole, broadcast_wide(side)))
    for i in range(d + 1):
        store(rank, i * WIDE, excess)
    one = broadcast_wide(np.float32(1))
    for i in range(d + 1):
        here = subtract(load_wide(elevated, i * WIDE), load_wide(rem0, i * WIDE))
        mine = load_wide(rank, i * WIDE)
        for j in range(i + 1, d + 1):
            there = subtract(load_wide(elevated, j * WIDE), load_wide(rem0, j * WIDE))
            behind = is_less(here, there)
            mine = add(mine, behind)
            store(rank, j * WIDE, add(load_wide(rank, j * WIDE), subtract(one, behind)))
        store(rank, i * WIDE, mine)
    most, wide = broadcast_wide(np.float32(d)), broadcast_wide(side)
    for i in range(d + 1):
        mine = load_wide(rank, i * WIDE)
        over = multiply(subtract(is_less(most, mine), is_less(mine, zeros)), wide)
        store(rank, i * WIDE, subtract(mine, over))
        store(rem0, i * WIDE, subtract(load_wide(rem0, i * WIDE), over))


@jit
def _embed_few(
    features: Pointer, count: int, scales: Pointer, d: int, points: Embedding, spare: Pointer
) -> None:
    """Embed all points of a scene that has fewer than sixteen, padded with zeros."""
    stride: Any = np.int64(WIDE)
    for i in range(d):
        for column in range(WIDE):
            part = get(features, i * count + column) if column < count else np.float32(0)
            put(spare, i * WIDE + column, part)
    _embed_points(spare, stride, scales, d, points)


@jit
def _write(
    points: Embedding,
    strides: Pointer,
    total: int,
    batch: Batch,
    vertices: Pointer,
    weights: Pointer,
    work: Work,
    table: Table,
    used: Any,
) -> Any:
    """Write the vertices and weights of some embedded points; new vertices join the table.

    Returns:
        How many vertices there are now.
    """
    d = batch.dimensions
    side, share = d + 1, np.float32(1) / np.float32(d + 1)
    for column in range(batch.column, batch.column + batch.points):
        at = (batch.start + column - batch.column) * side
        key: Any = np.int64(batch.origin)
        for i in range(side):
            r: Any = np.int64(get(points.rank, i * WIDE + column))
            whole = get(points.rem0, i * WIDE + column)
            put(work.fractions, r, (get(points.elevated, i * WIDE + column) - whole) * share)
            stride: Any = get(strides, i)
            put(work.moves, r, total - side * stride)
            key += np.int64(whole) * stride
        ahead = get(work.fractions, 0) - np.float32(1)
        for s in range(side):
            r = d - s
            here = get(work.fractions, r)
            weight = max(here - ahead, np.float32(0))
            put(weights, at + s, weight)
            ahead = here
            slot = find_slot(table.slots, table.mask, key)
            number = get(table.slots, slot + 1)
            if number < 0:
                put(table.slots, slot, key)
                put(table.slots, slot + 1, np.int64(used))
                put(table.keys, used, key)
                put(table.masses, used, np.float32(0))
                number, used = np.int64(used), used + 1
            put(vertices, at + s, np.int32(number))
            put(table.masses, number, get(table.masses, number) + weight)
            key += get(work.moves, r)
    return used
