"""Placing points in the permutohedral lattice: their simplices, and where in these they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import Floats, Ints, Keys, compiled
from .hashing import fresh, longer, seek, tabled
from .lanes import WIDE, fill_wide, item, load_wide, pointer, put, store
from .vectors import add, floor, less, multiply, subtract


@compiled
def embed(
    features: Floats,
    scales: Floats,
    strides: Keys,
    every: int,
    step: int,
    first: int,
    last: int,
    vertices: Ints,
    weights: Floats,
    room: Floats,
    parts: Floats,
    moves: Keys,
) -> tuple[Keys, Floats]:
    """Find simplices and weights of some points; give keys of vertices, and sums of weights.

    Args:
        features: ``(B, D, N)``.
        scales: ``(D,)``.
        strides: ``(D + 1,)``.
        every: Their sum.
        step: From a scene's keys to the next scene's.
        first: The first point, counted over the batch.
        last: Likewise.
        vertices: ``(B N, D + 1)``, to be set.
        weights: Likewise.
        room: ``(3, D + 1, 16)``, to work in.
        parts: ``(16 (D + 2),)``, likewise.
        moves: ``(D + 1,)``, likewise.
    """
    _, d, count = features.shape
    capacity: Any = np.int64(2**14)  # a constant would have a type of its own
    used: Any = np.int64(0)
    table, keys = fresh(capacity), np.empty(capacity // 2, np.int64)
    loads = np.empty(capacity // 2, np.float32)
    flat, scaling = pointer(features, 0), pointer(scales, 0)
    row = (d + 1) * WIDE
    place, near, rank = pointer(room, 0), pointer(room, row), pointer(room, 2 * row)
    to = pointer(vertices, 0), pointer(weights, 0)
    by = pointer(strides, 0), every
    start = first
    while start < last:
        scene = start // count
        lanes = min(WIDE, last - start, (scene + 1) * count - start)
        inside = start - scene * count
        begin = max(min(inside, count - WIDE), 0)  # a scene's last points are placed once more
        if count < WIDE:
            here = pointer(flat, scene * d * count), count, scaling, d
            _locate_few(here, place, near, rank, pointer(parts, 0))
        else:
            _locate(pointer(flat, scene * d * count + begin), count, scaling, d, place, near, rank)
        if 2 * (used + WIDE * (d + 1)) > capacity:
            capacity *= 2
            keys, loads = longer(keys), longer(loads)
            table = tabled(keys, used, capacity)
        hashed = pointer(table, 0), capacity - 1, pointer(keys, 0), pointer(loads, 0)
        spot = inside - begin, lanes, start, d, scene * step
        spare = pointer(parts, 0), pointer(moves, 0)
        used = _enter(place, near, rank, by, spot, to, spare, hashed, used)
        start += lanes
    return keys[:used], loads[:used]


@compiled
def _locate(
    features: Any, count: int, scales: Any, d: int, place: Any, near: Any, rank: Any
) -> None:
    """Find coordinates, the nearest vertex of remainder 0, and the ranks of their differences.

    Args:
        features: Of the first of sixteen points; the next feature is ``count`` numbers on.
        count: N.
        scales: ``(D,)``.
        d: D.
        place: ``(D + 1, 16)``, to be set.
        near: Likewise.
        rank: Likewise.
    """
    side, share = np.float32(d + 1), fill_wide(np.float32(1) / np.float32(d + 1))
    half, nothing = fill_wide(np.float32(0.5)), fill_wide(np.float32(0))
    above = nothing
    for i in range(d, 0, -1):
        part = multiply(load_wide(features, (i - 1) * count), fill_wide(item(scales, i - 1)))
        store(place, i * WIDE, subtract(above, multiply(fill_wide(np.float32(i)), part)))
        above = add(above, part)
    store(place, 0, above)
    excess = nothing
    for i in range(d + 1):
        whole = floor(add(multiply(load_wide(place, i * WIDE), share), half))
        excess = add(excess, whole)
        store(near, i * WIDE, multiply(whole, fill_wide(side)))
    for i in range(d + 1):
        store(rank, i * WIDE, excess)
    one = fill_wide(np.float32(1))
    for i in range(d + 1):
        here = subtract(load_wide(place, i * WIDE), load_wide(near, i * WIDE))
        mine = load_wide(rank, i * WIDE)
        for j in range(i + 1, d + 1):
            there = subtract(load_wide(place, j * WIDE), load_wide(near, j * WIDE))
            behind = less(here, there)
            mine = add(mine, behind)
            store(rank, j * WIDE, add(load_wide(rank, j * WIDE), subtract(one, behind)))
        store(rank, i * WIDE, mine)
    most, wide = fill_wide(np.float32(d)), fill_wide(side)
    for i in range(d + 1):
        mine = load_wide(rank, i * WIDE)
        over = multiply(subtract(less(most, mine), less(mine, nothing)), wide)
        store(rank, i * WIDE, subtract(mine, over))
        store(near, i * WIDE, subtract(load_wide(near, i * WIDE), over))


@compiled
def _locate_few(given: Any, place: Any, near: Any, rank: Any, spare: Any) -> None:
    """Do so for all points of a scene of fewer than sixteen."""
    features, count, scales, d = given
    apart: Any = np.int64(WIDE)
    for i in range(d):
        for lane in range(WIDE):
            part = item(features, i * count + lane) if lane < count else np.float32(0)
            put(spare, i * WIDE + lane, part)
    _locate(spare, apart, scales, d, place, near, rank)


@compiled
def _enter(
    place: Any,
    near: Any,
    rank: Any,
    by: Any,
    spot: Any,
    to: Any,
    spare: Any,
    hashed: Any,
    used: int,
) -> int:
    """Write the vertices and weights of a few points, and enter new vertices in the table."""
    (strides, every), (back, lanes, start, d, origin) = by, spot
    (vertices, weights), (parts, moves), (table, mask, keys, loads) = to, spare, hashed
    side, share = d + 1, np.float32(1) / np.float32(d + 1)
    for lane in range(back, back + lanes):
        at = (start + lane - back) * side
        key = np.int64(origin)
        for i in range(side):
            r = np.int64(item(rank, i * WIDE + lane))
            whole = item(near, i * WIDE + lane)
            put(parts, r, (item(place, i * WIDE + lane) - whole) * share)
            stride = item(strides, i)
            put(moves, r, every - side * stride)
            key += np.int64(whole) * stride
        ahead = item(parts, 0) - np.float32(1)
        for s in range(side):
            r = d - s
            here = item(parts, r)
            weight = max(here - ahead, np.float32(0))
            put(weights, at + s, weight)
            ahead = here
            slot = seek(table, mask, key)
            number = item(table, slot + 1)
            if number < 0:
                put(table, slot, key)
                put(table, slot + 1, np.int64(used))
                put(keys, used, key)
                put(loads, used, np.float32(0))
                number, used = np.int64(used), used + 1
            put(vertices, at + s, np.int32(number))
            put(loads, number, item(loads, number) + weight)
            key += item(moves, r)
    return used
