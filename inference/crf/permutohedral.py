"""The permutohedral lattice: a sparse grid in feature space, whose vertices stand for points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.crf.compiled import Floats, Ints, Keys, compiled
from inference.crf.crew import Crew, spans

WIDEST = 2.0**19
"""Widths that features may span: beyond, float32 no longer tells lattice coordinates apart."""

WORD = 2.0**62
"""Numbers of vertices that an exact key can name."""

LANES = 16
"""Points whose coordinates are found together, so that the compiler can use vectors."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices around P points of D features, and which vertices are neighbours.

    Attributes:
        vertices: ``(P, D + 1)``, the vertices of the simplex that holds each point.
        weights: ``(P, D + 1)``, barycentric: where in the simplex it is; sums to one.
        occupied: How many vertices have points; these come first.
        neighbours: ``(D + 1, 2, M)``, forwards and backwards along each axis; M itself stands for
            a neighbour that is not there.
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
        each of the D + 1 passes of [½, 1, ½] doubles it.
        """
        d = self.vertices.shape[1] - 1
        cell = 1.5 ** (d / 2) / math.sqrt(d + 1)
        return float((2 * math.pi) ** (d / 2) / (cell * 2 ** (d + 1)))


def mesh(features: Floats, crew: Crew, complete: bool = True) -> Mesh:
    """Lay the lattice around points.

    Args:
        features: ``(B, D, N)``, each over its σ; scenes of a batch share no vertex.
        crew: The threads that do it.
        complete: Add empty vertices with two occupied neighbours or more, so that a blur does
            not end where no point happens to lie. This lowers the error of filtering.

    Raises:
        ValueError: If features span more widths than coordinates can hold.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, https://doi.org/10.1111/j.1467-8659.2009.01645.x
    """
    batch, d, count = features.shape
    low, high = features.min(axis=(0, 2)), features.max(axis=(0, 2))
    if not float((high - low).max()) < WIDEST:
        worst = int((high - low).argmax())
        raise Overflow(worst, float(high[worst] - low[worst]))
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
    keys, table, ids = _merge(own[0])
    for part, more in zip(parts[1:], own[1:], strict=True):
        keys, table, ids, renamed = _join(keys, table, ids, more)
        _rename(vertices, *part, renamed)
    occupied = len(keys)
    moves = strides.sum() - (d + 1) * strides
    forwards = np.empty((d + 1, occupied), np.int32)
    crew.map(lambda axis: _along(keys, table, ids, moves[axis], forwards[axis]), range(d + 1))
    if complete:
        keys, table, ids = _complete(keys, table, ids, moves, forwards)
    neighbours = np.empty((d + 1, 2, len(keys)), np.int32)
    crew.map(lambda axis: _link(keys, table, ids, moves[axis], neighbours[axis]), range(d + 1))
    return Mesh(vertices, weights, occupied, neighbours)


class Overflow(ValueError):
    """Features span more widths than lattice coordinates can hold.

    Attributes:
        feature: Which of the D.
        widths: How many it spans.
    """

    def __init__(self, feature: int, widths: float) -> None:
        super().__init__(
            f"feature {feature} spans {widths:.3g} of its widths, more than the keys of a "
            f"lattice can hold ({WIDEST:.3g}); make its σ larger."
        )
        self.feature, self.widths = feature, widths


def _axes(low: Floats, high: Floats, batch: int) -> tuple[Floats, NDArray[np.int64], int]:
    """Give scales of features, and by what a step along each coordinate changes a key.

    A key is a number in mixed radix, one digit a coordinate, so that no two vertices share one.
    With many features the digits may not fit; odd numbers at random then stand in, of which 10⁶
    vertices would share one by a chance of 10⁻⁷.
    """
    d = len(low)
    scales = np.array(
        [math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    )
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
    keys, table, ids = np.empty(1024, np.int64), np.empty(4096, np.int64), _blank(4096)
    used = 0
    total = strides.sum()
    place = np.empty((d + 1, LANES), np.float32)
    near = np.empty((d + 1, LANES), np.float32)
    rank = np.empty((d + 1, LANES), np.int32)
    at = np.empty(d + 1, np.int32)
    b = np.empty(d + 2, np.float32)
    seen, known = np.zeros(d + 1, np.int64), np.full(d + 1, -1, np.int32)
    for start in range(first, last, LANES):
        _locate(features, scales, start, min(LANES, last - start), place, near, rank)
        for lane in range(min(LANES, last - start)):
            p = start + lane
            b[:] = 0
            key = (p // count) * step
            for i in range(d + 1):
                r = rank[i, lane]
                delta = (place[i, lane] - near[i, lane]) / np.float32(d + 1)
                b[d - r] += delta
                b[d + 1 - r] -= delta
                at[d - r] = i
                key += np.int64(near[i, lane]) * strides[i]
            b[0] += 1 + b[d + 1]
            for s in range(d + 1):
                if known[s] < 0 or key != seen[s]:
                    slot = _find(table, ids, key)
                    if ids[slot] < 0:
                        if used == len(keys):
                            keys = _doubled(keys)
                            table, ids = _table(keys, used, 4 * len(keys))
                            slot = _find(table, ids, key)
                        table[slot], ids[slot], keys[used] = key, used, key
                        used += 1
                    seen[s], known[s] = key, ids[slot]
                vertices[p, s] = known[s]
                weights[p, s] = max(b[s], np.float32(0))
                key += total - (d + 1) * strides[at[s]]
    return keys[:used].copy()


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
    """Lift points onto the plane of the lattice; find the nearest vertex of remainder 0.

    ``place`` holds coordinates, which sum to zero; ``near`` those of the vertex; ``rank`` the
    order, greatest first, of the differences.
    """
    d, count = features.shape[1], features.shape[2]
    side = np.float32(d + 1)
    total = np.zeros(LANES, np.float32)
    for i in range(d, 0, -1):
        for lane in range(LANES):
            p = start + min(lane, lanes - 1)
            part = features[p // count, i - 1, p % count] * scales[i - 1]
            place[i, lane] = total[lane] - i * part
            total[lane] += part
    place[0] = total
    excess = np.zeros(LANES, np.float32)
    for i in range(d + 1):
        for lane in range(LANES):
            near[i, lane] = np.floor(place[i, lane] / side + np.float32(0.5))
            excess[lane] += near[i, lane]
            near[i, lane] *= side
            rank[i, lane] = np.int32(excess[lane])
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
def _blank(capacity: int) -> Ints:
    return np.full(capacity, -1, np.int32)


@compiled
def _find(table: Keys, ids: Ints, key: Any) -> Any:
    """Give the slot of a key, or the empty one where it would go."""
    mask = len(table) - 1
    mixed = key * np.int64(-7046029254386353131)
    slot = (mixed ^ (mixed >> 32)) & mask
    while ids[slot] >= 0 and table[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def _doubled(keys: Keys) -> Keys:
    more = np.empty(2 * len(keys), np.int64)
    more[: len(keys)] = keys
    return more


@compiled
def _table(keys: Keys, used: int, capacity: int) -> tuple[Keys, Ints]:
    """Lay out a hash table of the first keys."""
    table, ids = np.empty(capacity, np.int64), _blank(capacity)
    for i in range(used):
        slot = _find(table, ids, keys[i])
        table[slot], ids[slot] = keys[i], i
    return table, ids


@compiled
def _merge(keys: Keys) -> tuple[Keys, Keys, Ints]:
    capacity = 4096
    while capacity < 3 * len(keys):
        capacity *= 2
    table, ids = _table(keys, len(keys), capacity)
    return keys, table, ids


@compiled
def _join(keys: Keys, table: Keys, ids: Ints, more: Keys) -> tuple[Keys, Keys, Ints, Ints]:
    """Add keys to a table; say what each is called there."""
    used = len(keys)
    every = np.empty(used + len(more), np.int64)
    every[:used] = keys
    renamed = np.empty(len(more), np.int32)
    for i in range(len(more)):
        slot = _find(table, ids, more[i])
        if ids[slot] < 0:
            if 2 * used >= len(table):
                table, ids = _table(every, used, 2 * len(table))
                slot = _find(table, ids, more[i])
            table[slot], ids[slot], every[used] = more[i], used, more[i]
            used += 1
        renamed[i] = ids[slot]
    return every[:used].copy(), table, ids, renamed


@compiled
def _rename(vertices: Ints, first: int, last: int, renamed: Ints) -> None:
    for p in range(first, last):
        for s in range(vertices.shape[1]):
            vertices[p, s] = renamed[vertices[p, s]]


@compiled
def _along(keys: Keys, table: Keys, ids: Ints, move: int, found: Ints) -> None:
    """Find the next vertex of each along an axis, or −1."""
    for v in range(len(keys)):
        found[v] = ids[_find(table, ids, keys[v] + move)]


@compiled
def _link(keys: Keys, table: Keys, ids: Ints, move: int, found: Ints) -> None:
    """Find the neighbours of each vertex along an axis, both ways."""
    size = len(keys)
    found[:] = size
    for v in range(size):
        w = ids[_find(table, ids, keys[v] + move)]
        if w >= 0:
            found[0, v], found[1, w] = w, v


@compiled
def _complete(
    keys: Keys, table: Keys, ids: Ints, moves: Keys, forwards: Ints
) -> tuple[Keys, Keys, Ints]:
    """Add vertices that are empty, but have at least two neighbours that are not."""
    axes, used = forwards.shape
    capacity = 4096
    while capacity < 8 * used:
        capacity *= 2
    empty, hits = np.empty(capacity, np.int64), _blank(capacity)
    order = np.empty(capacity, np.int64)
    guests = 0
    back = np.empty(used, np.bool_)
    for a in range(axes):
        back[:] = False
        for v in range(used):
            if forwards[a, v] >= 0:
                back[forwards[a, v]] = True
        for v in range(used):
            for way in range(2):
                if (forwards[a, v] >= 0) if way == 0 else back[v]:
                    continue
                key = keys[v] + (moves[a] if way == 0 else -moves[a])
                slot = _find(empty, hits, key)
                if hits[slot] < 0:
                    if 2 * guests >= capacity:
                        empty, hits = _grown(empty, hits)
                        bigger = np.empty(2 * capacity, np.int64)
                        bigger[:guests] = order[:guests]
                        order, capacity = bigger, 2 * capacity
                        slot = _find(empty, hits, key)
                    empty[slot], hits[slot], order[guests] = key, 0, key
                    guests += 1
                hits[slot] += 1
    more = np.empty(guests, np.int64)
    kept = 0
    for i in range(guests):
        if hits[_find(empty, hits, order[i])] >= 2:
            more[kept] = order[i]
            kept += 1
    every, table, ids, _ = _join(keys, table, ids, more[:kept])
    return every, table, ids


@compiled
def _grown(empty: Keys, hits: Ints) -> tuple[Keys, Ints]:
    """Double a table of keys and counts."""
    table, counts = np.empty(2 * len(empty), np.int64), _blank(2 * len(empty))
    for i in range(len(empty)):
        if hits[i] >= 0:
            slot = _find(table, counts, empty[i])
            table[slot], counts[slot] = empty[i], hits[i]
    return table, counts
