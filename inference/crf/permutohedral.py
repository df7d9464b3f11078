"""The permutohedral lattice: a sparse grid in feature space, whose vertices stand for points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.crf.compiled import Floats, Ints, Keys, compiled
from inference.crf.crew import Crew, spans
from inference.crf.hashing import around, find, fresh, join, link, longer, numbered, tabled
from inference.crf.lanes import item

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

LANES = 16
"""Points that are placed together."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices around P points of D features, and which vertices are neighbours.

    Attributes:
        vertices: ``(P, D + 1)``, those of the simplex that holds each point.
        weights: ``(P, D + 1)``, barycentric: where in it the point is; they sum to one.
        occupied: How many vertices have points; these come first.
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis; M if there is none.
    """

    vertices: Ints
    weights: Floats
    occupied: int
    neighbours: Ints

    @property
    def size(self) -> int:
        """M, how many vertices there are."""
        return int(self.neighbours.shape[2])

    @property
    def gain(self) -> float:
        """By what the lattice's kernel is to be multiplied to have the mass of the Gaussian's.

        Splatting a uniform density gives each vertex what lies in a cell of the lattice, and
        each of the D + 1 passes of [s, 1, s] multiplies it by 1 + 2 s.
        """
        d = self.vertices.shape[1] - 1
        cell = _scale() ** -d / math.sqrt(d + 1)
        return float((2 * math.pi) ** (d / 2) / (cell * (1 + 2 * SIDE) ** (d + 1)))


def mesh(features: Floats, crew: Crew, complete: bool | None = None) -> Mesh:
    """Lay the lattice around points.

    Args:
        features: ``(B, D, N)``, each over its σ; scenes of a batch share no vertex.
        crew: The threads that do it.
        complete: Add empty vertices with two occupied neighbours or more, where a blur would
            end; this lowers the error. None does so unless points are fewer than vertices.

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
        found: NDArray[np.int64] = _embed(
            features, scales, strides, step, *part, vertices, weights
        )
        return found

    own = crew.map(embed, parts)
    keys = own[0]
    for part, more in zip(parts[1:], own[1:], strict=True):
        keys, renamed = join(keys, more)
        _rename(vertices, *part, renamed)
    occupied = len(keys)
    moves = strides.sum() - (d + 1) * strides
    neighbours = _linked(keys, moves, crew)
    if occupied <= batch * count if complete is None else complete:
        keys = np.concatenate((keys, around(keys, moves, neighbours)))
        neighbours = _linked(keys, moves, crew)
    return Mesh(vertices, weights, occupied, neighbours)


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
) -> Keys:
    """Find simplices and weights of points ``first`` to ``last``; give the keys of vertices."""
    d, count = features.shape[1], features.shape[2]
    capacity = 2**14
    table, keys = fresh(capacity), np.empty(capacity // 2, np.int64)
    used = 0
    place = np.empty((d + 1, LANES), np.float32)
    near = np.empty((d + 1, LANES), np.float32)
    rank = np.empty((d + 1, LANES), np.int32)
    start = first
    while start < last:
        scene = start // count
        inside = start - scene * count
        lanes = min(LANES, last - start, count - inside)
        _locate(features[scene], scales, inside, lanes, place, near, rank)
        if 2 * (used + LANES * (d + 1)) > capacity:
            capacity *= 2
            keys = longer(keys)
            table = tabled(keys, used, capacity)
        used = _enter(
            place,
            near,
            rank,
            strides,
            scene * step,
            lanes,
            start,
            vertices,
            weights,
            table,
            keys,
            used,
        )
        start += lanes
    return keys[:used].copy()


@compiled
def _enter(
    place: Floats,
    near: Floats,
    rank: Ints,
    strides: Keys,
    origin: int,
    lanes: int,
    start: int,
    vertices: Ints,
    weights: Floats,
    table: Keys,
    keys: Keys,
    used: int,
) -> int:
    """Write the vertices and weights of a few points, and enter new vertices in the table."""
    side = len(place)
    d = side - 1
    total = strides.sum()
    parts, moves = np.empty(side + 1, np.float32), np.empty(side, np.int64)
    share = np.float32(1) / np.float32(side)
    for lane in range(lanes):
        p = start + lane
        key = np.int64(origin)
        for i in range(side):
            r = rank[i, lane]
            parts[r] = (place[i, lane] - near[i, lane]) * share
            moves[r] = total - side * strides[i]
            key += np.int64(near[i, lane]) * strides[i]
        parts[side] = parts[0] - np.float32(1)
        ahead = parts[side]
        for s in range(side):
            r = d - s
            weights[p, s] = max(parts[r] - ahead, np.float32(0))
            ahead = parts[r]
            slot = find(table, key)
            if item(table, slot + 1) < 0:
                table[slot], table[slot + 1], keys[used] = key, used, key
                used += 1
            vertices[p, s] = item(table, slot + 1)
            key += moves[r]
    return used


@compiled
def _locate(
    features: Floats,
    scales: Floats,
    start: int,
    lanes: int,
    place: Floats,
    near: Floats,
    rank: Ints,
) -> None:
    """Find coordinates, the nearest vertex of remainder 0, and the ranks of their differences."""
    d = len(features)
    side = np.float32(d + 1)
    place[:] = 0
    total = np.zeros(LANES, np.float32)
    for i in range(d, 0, -1):
        for lane in range(lanes):
            part = features[i - 1, start + lane] * scales[i - 1]
            place[i, lane] = total[lane] - i * part
            total[lane] += part
    place[0] = total
    excess = np.zeros(LANES, np.float32)
    for i in range(d + 1):
        for lane in range(LANES):
            near[i, lane] = np.floor(place[i, lane] / side + np.float32(0.5))
            excess[lane] += near[i, lane]
            near[i, lane] *= side
    for i in range(d + 1):
        for lane in range(LANES):
            rank[i, lane] = np.int32(excess[lane])
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            for lane in range(LANES):
                less = place[i, lane] - near[i, lane] < place[j, lane] - near[j, lane]
                rank[i, lane] += np.int32(less)
                rank[j, lane] += np.int32(not less)
    for i in range(d + 1):
        for lane in range(LANES):
            over = np.int32(rank[i, lane] > d) - np.int32(rank[i, lane] < 0)
            rank[i, lane] -= over * np.int32(d + 1)
            near[i, lane] -= over * side


@compiled
def _rename(vertices: Ints, first: int, last: int, renamed: Ints) -> None:
    for p in range(first, last):
        for s in range(vertices.shape[1]):
            vertices[p, s] = renamed[vertices[p, s]]
