"""The permutohedral lattice: a sparse grid in feature space, whose vertices stand for points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import Floats, Ints, Keys, compiled
from .crew import Crew, spans
from .embedding import embed
from .hashing import around, join, link, marked, numbered
from .lanes import WIDE, item, pointer, put

WIDEST = 2.0**19
"""Widths that features may span: beyond, float32 no longer tells lattice coordinates apart."""

LEAST = 1e-20
"""What stands in for a lesser mass."""

WORD = 2.0**62
"""Numbers of vertices that an exact key can name."""


@dataclass(frozen=True)
class Spacing:
    """How far apart vertices are, and how far a blur carries.

    Attributes:
        side: The blur along each axis is [s, 1, s].
        finer: By what cells are smaller than equal variances ask for.
    """

    side: float
    finer: float

    @property
    def scale(self) -> float:
        """The side of a cell, over D + 1, for which all steps add up to a Gaussian's variance.

        In units of (D + 1)², splat and slice add 1/12 each, and all blurs what one has by its
        taps.
        """
        return self.finer * math.sqrt(1 / 6 + 2 * self.side / (1 + 2 * self.side))


DENSE, SPARSE = Spacing(0.45, 1.03), Spacing(0.4, 0.95)
"""For many points a vertex, and for few.

Measured on photographs, an appearance kernel, relative L2 to exact filters: at full size 0.034
by the first, where s = ½ without refinement gives 0.042; on 41×41 pixels and widths of SEC's
training 0.056 by the second, where the first gives 0.071.
"""

CROWDED = 12
"""Points a vertex from which on vertices are few."""

FEW = 2**11
"""Points of a scene up to which they are few."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices around P points of D features, and which vertices are neighbours.

    Attributes:
        vertices: ``(P, D + 1)``, those of the simplex that holds each point.
        weights: ``(P, D + 1)``, barycentric: where in it the point is; they sum to one.
        loads: ``(occupied,)``, the sum of each vertex's weights.
        occupied: How many vertices have points; these come first.
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis; M if there is none.
        spacing: How far apart they are.
        in_turn: Whether vertices are numbered in the order of points.
    """

    vertices: Ints
    weights: Floats
    loads: Floats
    occupied: int
    neighbours: Ints
    spacing: Spacing
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
        cell = self.spacing.scale**-d / math.sqrt(d + 1)
        mass = cell * (1 + 2 * self.spacing.side) ** (d + 1)
        return float((2 * math.pi) ** (d / 2) / mass)


def mesh(features: Floats, crew: Crew, complete: bool | None = None) -> Mesh:
    """Lay the lattice around points.

    Args:
        features: ``(B, D, N)``, each over its σ; scenes of a batch share no vertex.
        crew: The threads that do it.
        complete: Add empty vertices with two occupied neighbours or more, where a blur would
            end, unless points are fewer than vertices. This doubles the vertices, and keeps mass
            that else is lost, which normalising on both sides makes good and others do not. None
            does so where vertices are few, so that it costs little: there it brings most.

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
    spacing = SPARSE if count <= FEW and not complete else DENSE
    scales, strides, step = _axes(low, high, batch, spacing.scale)
    vertices = np.empty((batch * count, d + 1), np.int32)
    weights = np.empty((batch * count, d + 1), np.float32)
    parts = spans(batch * count, crew.threads, 1)

    every = int(strides.sum())

    def place(part: tuple[int, int]) -> tuple[Keys, Floats]:
        room = np.empty((3, d + 1, WIDE), np.float32)
        edge = np.empty(WIDE * (d + 2), np.float32), np.empty(d + 1, np.int64)
        return embed(features, scales, strides, every, step, *part, vertices, weights, room, *edge)

    own = crew.map(place, parts)
    keys, loads = own[0]
    for part, (more, added) in zip(parts[1:], own[1:], strict=True):
        keys, renamed = join(keys, more)
        _rename(vertices, *part, renamed)
        loads = np.concatenate((loads, np.zeros(len(keys) - len(loads), np.float32)))
        loads[renamed] += added
    moves = every - (d + 1) * strides
    occupied, neighbours = len(keys), _linked(keys, moves, crew)
    share = 1 if complete else CROWDED
    if complete is not False and share * occupied <= batch * count:
        keys = np.concatenate((keys, around(keys, moves, neighbours)))
        neighbours = _linked(keys, moves, crew)
    return Mesh(vertices, weights, loads, occupied, neighbours, spacing, len(parts) == 1)


def balance(laid: Mesh, crew: Crew) -> Floats:
    """Normalise a lattice on both sides: multiply the weights of points by D^-½, and give it.

    D = K·1 comes from sums of weights, which laying the lattice has left at vertices.
    """
    spread = np.zeros((2, laid.size + 1), np.float32)
    spread[0, : laid.occupied] = laid.loads
    found = spread[_spread(laid.neighbours, laid.spacing.side, spread)]
    factors = np.empty(len(laid.weights), np.float32)

    def do(part: tuple[int, int]) -> None:
        _balance(laid.vertices, laid.weights, found, laid.gain, *part, factors)

    crew.map(do, spans(len(factors), crew.threads, 1))
    return factors


@compiled
def _spread(neighbours: Ints, side: float, masses: Floats) -> int:
    """Blur numbers at vertices, ``(2, M + 1)``, from row to row; say in which row they end."""
    size, share = neighbours.shape[2], np.float32(side)
    for a in range(len(neighbours)):
        source, target = pointer(masses[a % 2], 0), pointer(masses[(a + 1) % 2], 0)
        ahead, behind = pointer(neighbours[a, 0], 0), pointer(neighbours[a, 1], 0)
        for v in range(size):
            both = item(source, item(ahead, v)) + item(source, item(behind, v))
            put(target, v, item(source, v) + share * both)
    return len(neighbours) % 2


@compiled
def _balance(
    vertices: Ints, weights: Floats, masses: Floats, gain: float, first: int, last: int, to: Floats
) -> None:
    """Collect the masses of points, and multiply weights by 1 over their square roots."""
    slots = vertices.shape[1]
    near, shares = pointer(vertices, 0), pointer(weights, 0)
    held, into = pointer(masses, 0), pointer(to, 0)
    for p in range(first, last):
        mass = np.float32(0)
        for s in range(p * slots, (p + 1) * slots):
            mass += item(shares, s) * item(held, item(near, s))
        factor = np.float32(1) / np.sqrt(max(mass * np.float32(gain), np.float32(LEAST)))
        for s in range(p * slots, (p + 1) * slots):
            put(shares, s, item(shares, s) * factor)
        put(into, p, factor)


def _linked(keys: Keys, moves: Keys, crew: Crew) -> Ints:
    """Find all neighbours, ``(D + 1, 2, M)``."""
    table, marks = numbered(keys), marked(keys)
    neighbours = np.empty((len(moves), 2, len(keys)), np.int32)
    crew.map(
        lambda part: link(keys, table, marks, moves, *part, neighbours),
        spans(len(moves), crew.threads, 1),
    )
    return neighbours


def _axes(
    low: Floats, high: Floats, batch: int, cell: float
) -> tuple[Floats, NDArray[np.int64], int]:
    """Give scales of features, and by what a step along each coordinate changes a key.

    A key is a number in mixed radix, one digit a coordinate, so that no two vertices share one.
    With many features the digits may not fit; odd numbers at random then stand in, of which 10⁶
    vertices would share one by a chance of 10⁻⁷.
    """
    d = len(low)
    scales = np.array([cell * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)])
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
def _rename(vertices: Ints, first: int, last: int, renamed: Ints) -> None:
    for p in range(first, last):
        for s in range(vertices.shape[1]):
            vertices[p, s] = renamed[vertices[p, s]]
