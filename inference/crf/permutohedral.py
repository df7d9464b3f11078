"""The permutohedral lattice: a sparse grid in feature space, whose vertices stand for points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.crf.compiled import Floats, Ints, Keys, compiled
from inference.crf.crew import Crew, spans
from inference.crf.hashing import around, fresh, join, link, longer, numbered, seek, tabled
from inference.crf.lanes import (
    WIDE,
    add,
    fill_wide,
    floor,
    item,
    less,
    load_wide,
    multiply,
    pointer,
    put,
    store,
    subtract,
)

WIDEST = 2.0**19
"""Widths that features may span: beyond, float32 no longer tells lattice coordinates apart."""

WORD = 2.0**62
"""Numbers of vertices that an exact key can name."""

SIDE = 0.45
"""The blur along each axis is [s, 1, s]."""

FINER = 1.03
"""By what cells are smaller than equal variances ask for.

Both were measured: on photographs they give an appearance kernel errors a quarter to a third lower
than ½ and 1 do.
"""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices around P points of D features, and which vertices are neighbours.

    Attributes:
        vertices: ``(P, D + 1)``, those of the simplex that holds each point.
        weights: ``(P, D + 1)``, barycentric: where in it the point is; they sum to one.
        occupied: How many vertices have points; these come first.
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis; M if there is none.
        in_turn: Whether vertices are numbered in the order of points.
    """

    vertices: Ints
    weights: Floats
    occupied: int
    neighbours: Ints
    in_turn: bool

    @property
    def size(self) -> int:
        """M, how many vertices there are."""
        return int(self.neighbours.shape[2])

    @property
    def apart(self) -> bool:
        """Whether vertices stand scene by scene: they do where one thread found them."""
        return self.in_turn and self.occupied == self.size

    def shares(self, scenes: int) -> list[int]:
        """Give which vertices scenes have: the first, after the last occupied, after the last.

        Args:
            scenes: How many; more than one only if vertices are `apart`.
        """
        if scenes == 1:
            return [0, self.occupied, self.size]
        stops = np.maximum.accumulate(self.vertices.reshape(scenes, -1).max(1) + 1).tolist()
        starts = [0, *stops[:-1]]
        return [v for pair in zip(starts, stops, strict=True) for v in (*pair, pair[1])]

    @property
    def gain(self) -> float:
        """By what the lattice's kernel is to be multiplied to have the mass of the Gaussian's.

        Splatting a uniform density gives each vertex what lies in a cell of the lattice, and
        each of the D + 1 passes of [s, 1, s] multiplies it by 1 + 2 s.
        """
        d = self.vertices.shape[1] - 1
        cell = _scale() ** -d / math.sqrt(d + 1)
        return float((2 * math.pi) ** (d / 2) / (cell * (1 + 2 * SIDE) ** (d + 1)))


def mesh(features: Floats, crew: Crew, complete: bool = False) -> Mesh:
    """Lay the lattice around points.

    Args:
        features: ``(B, D, N)``, each over its σ; scenes of a batch share no vertex.
        crew: The threads that do it.
        complete: Add empty vertices with two occupied neighbours or more, where a blur would
            end, unless points are fewer than vertices. This doubles the vertices, and keeps more
            of the kernel's mass: without it some is lost, which normalising on both sides
            makes good (marginals come no nearer to exact ones with it), and others do not.

    Raises:
        OverflowError: If features span more widths than coordinates can hold; it says how many.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, https://doi.org/10.1111/j.1467-8659.2009.01645.x
    """
    batch, d, count = features.shape
    low, high = features.min(axis=(0, 2)), features.max(axis=(0, 2))
    if not float((high - low).max()) < WIDEST:
        raise OverflowError(f"{WIDEST:.1e}")
    scales, strides, step = _axes(low, high, batch)
    vertices = np.empty((batch * count, d + 1), np.int32)
    weights = np.empty((batch * count, d + 1), np.float32)
    parts = spans(batch * count, crew.threads, 1)

    def embed(part: tuple[int, int]) -> NDArray[np.int64]:
        room = np.empty((3, d + 1, WIDE), np.float32)
        edge = np.empty(WIDE * (d + 2), np.float32), np.empty(d + 1, np.int64)
        found: NDArray[np.int64] = _embed(
            features, scales, strides, step, *part, vertices, weights, room, *edge
        )
        return found

    own = crew.map(embed, parts)
    keys = own[0]
    for part, more in zip(parts[1:], own[1:], strict=True):
        keys, renamed = join(keys, more)
        _rename(vertices, *part, renamed)
    moves = strides.sum() - (d + 1) * strides
    occupied, neighbours = len(keys), _linked(keys, moves, crew)
    if complete and occupied <= batch * count:
        keys = np.concatenate((keys, around(keys, moves, neighbours)))
        neighbours = _linked(keys, moves, crew)
    return Mesh(vertices, weights, occupied, neighbours, len(parts) == 1)


def _linked(keys: Keys, moves: Keys, crew: Crew) -> Ints:
    """Find all neighbours, ``(D + 1, 2, M)``."""
    table = numbered(keys)
    neighbours = np.empty((len(moves), 2, len(keys)), np.int32)
    crew.map(lambda axis: link(keys, table, moves[axis], neighbours[axis]), range(len(moves)))
    return neighbours


def _scale() -> float:
    """Give the side of a cell, over D + 1, for which all steps add up to a Gaussian's variance.

    In units of (D + 1)², splat and slice add 1/12 each, and all blurs what one has by its taps.
    """
    return FINER * math.sqrt(1 / 6 + 2 * SIDE / (1 + 2 * SIDE))


def _axes(low: Floats, high: Floats, batch: int) -> tuple[Floats, NDArray[np.int64], int]:
    """Give scales of features, and by what a step along each coordinate changes a key.

    A key is a number in mixed radix, one digit a coordinate, so that no two vertices share one.
    With many features the digits may not fit; odd numbers at random then stand in, of which 10⁶
    vertices would share one by a chance of 10⁻⁷.
    """
    d = len(low)
    scales = np.array([_scale() * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)])
    spread = (high.astype(np.float64) - low) * scales
    digits = [
        math.ceil(spread[i:].sum() + (i * spread[i - 1] if i else 0.0)) + 8 * (d + 1)
        for i in range(d)
    ]
    if math.prod(map(float, digits)) * batch < WORD:
        radix = [math.prod(digits[:i]) for i in range(d)]
        strides = np.array([*radix, 0], np.int64)
        return scales.astype(np.float32), strides, math.prod(digits)
    odd = np.random.default_rng(0).integers(-(2**62), 2**62, d + 1) * 2 + 1
    step = int(odd[d])
    odd[d] = 0
    return scales.astype(np.float32), odd, step


@compiled
def scale(weights: Floats, factors: Floats, first: int, last: int) -> None:
    """Multiply the weights of points ``first`` to ``last`` by a number each."""
    for p in range(first, last):
        for s in range(weights.shape[1]):
            weights[p, s] *= factors[p]


@compiled
def _embed(
    features: Floats,
    scales: Floats,
    strides: Keys,
    step: int,
    first: int,
    last: int,
    vertices: Ints,
    weights: Floats,
    room: Floats,
    parts: Floats,
    moves: Keys,
) -> Keys:
    """Find simplices and weights of points ``first`` to ``last``; give the keys of vertices.

    Args:
        features: ``(B, D, N)``.
        scales: ``(D,)``.
        strides: ``(D + 1,)``.
        step: From a scene's keys to the next scene's.
        first: Counted over the batch.
        last: Likewise.
        vertices: ``(B N, D + 1)``, to be set.
        weights: Likewise.
        room: ``(3, D + 1, 16)``, to work in.
        parts: ``(16 (D + 2),)``, likewise.
        moves: ``(D + 1,)``, likewise.
    """
    _, d, count = features.shape
    capacity, used = 2**14, 0
    table, keys = fresh(capacity), np.empty(capacity // 2, np.int64)
    flat, scaling = pointer(features.reshape(-1), 0), pointer(scales, 0)
    row = (d + 1) * WIDE
    work = room.reshape(-1)
    place, near, rank = pointer(work, 0), pointer(work, row), pointer(work, 2 * row)
    to = pointer(vertices.reshape(-1), 0), pointer(weights.reshape(-1), 0)
    by = pointer(strides, 0), strides.sum()
    start = first
    while start < last:
        scene = start // count
        lanes = min(WIDE, last - start, (scene + 1) * count - start)
        inside = start - scene * count
        begin = max(min(inside, count - WIDE), 0)  # a scene's last points are placed once more
        if count < WIDE:
            _locate_few(features[scene], scaling, place, near, rank, parts)
        else:
            _locate(pointer(flat, scene * d * count + begin), count, scaling, d, place, near, rank)
        if 2 * (used + WIDE * (d + 1)) > capacity:
            capacity *= 2
            keys = longer(keys)
            table = tabled(keys, used, capacity)
        hashed = pointer(table, 0), capacity - 1, pointer(keys, 0)
        spot = inside - begin, lanes, start, d, scene * step
        spare = pointer(parts, 0), pointer(moves, 0)
        used = _enter(place, near, rank, by, spot, to, spare, hashed, used)
        start += lanes
    return keys[:used].copy()


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
def _locate_few(
    features: Floats, scales: Any, place: Any, near: Any, rank: Any, spare: Floats
) -> None:
    """Do so for all points of a scene of fewer than sixteen."""
    d, count = features.shape
    spare[:] = 0
    for i in range(d):
        spare[i * WIDE : i * WIDE + count] = features[i]
    _locate(pointer(spare, 0), WIDE, scales, d, place, near, rank)


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
    (vertices, weights), (parts, moves), (table, mask, keys) = to, spare, hashed
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
            put(weights, at + s, max(here - ahead, np.float32(0)))
            ahead = here
            slot = seek(table, mask, key)
            number = item(table, slot + 1)
            if number < 0:
                put(table, slot, key)
                put(table, slot + 1, np.int64(used))
                put(keys, used, key)
                number, used = np.int64(used), used + 1
            put(vertices, at + s, np.int32(number))
            key += item(moves, r)
    return used


@compiled
def _rename(vertices: Ints, first: int, last: int, renamed: Ints) -> None:
    for p in range(first, last):
        for s in range(vertices.shape[1]):
            vertices[p, s] = renamed[vertices[p, s]]
