"""The permutohedral lattice: a sparse grid in feature space whose vertices stand for pixels.

Along an axis most vertices of a sparse lattice have no neighbour or one. A blur of [s, 1, s] that
runs from a chain's first vertex to its last needs each value once and can overwrite it; a vertex
without neighbours is left as it is.

The counterpart in torch is `inference.crf.lattice.permutohedral`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..cpu.jit import Float32s, Int32s, Int64s, Span, ThreadPool, jit, spans
from ..cpu.simd import WIDE, get, pointer, put
from .embed import Axes, embed
from .hash_table import bloom_filter, find_neighbours, full_table, join, missing_vertices


class Chains(NamedTuple):
    """All chains of a lattice, scene by scene and within a scene axis by axis.

    Attributes:
        order: ``(n + 1,)`` int32: the vertices of all chains, one chain after another; and 0.
        links: ``(n + 1,)`` float32: 1 where a vertex follows on the one before it in its chain, 0
            where it is the first; and 0.
        offsets: ``(scenes (D + 1) + 1,)``: where the chains of each scene's axes begin.
    """

    order: Int32s
    links: Float32s
    offsets: Int64s


@jit
def find_chains(neighbours: Int32s, bounds: Int64s) -> Chains:
    """Follow the neighbours of vertices that have one ahead, but none behind.

    Args:
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis; M if there is none.
        bounds: ``(scenes + 1,)``: the first vertex of each scene, and M.
    """
    axes, size, scenes = len(neighbours), neighbours.shape[2], len(bounds) - 1
    order = np.empty(axes * size + 1, np.int32)
    links = np.empty(axes * size + 1, np.float32)
    offsets, firsts = np.empty(scenes * axes + 1, np.int64), np.empty(size + 1, np.int32)
    n = 0
    for scene in range(scenes):
        for axis in range(axes):
            offsets[scene * axes + axis] = n
            ahead, behind = neighbours[axis, 0], neighbours[axis, 1]
            count = 0
            for w in range(bounds[scene], bounds[scene + 1]):  # without a branch
                firsts[count] = w
                count += (behind[w] == size) & (ahead[w] < size)
            for i in range(count):
                v: Any = np.int64(firsts[i])
                links[n] = 0
                while v < size:
                    order[n] = v
                    links[n + 1] = 1
                    n += 1
                    v = np.int64(ahead[v])
    offsets[scenes * axes] = n
    order[n], links[n] = 0, 0
    return Chains(order[: n + 1], links[: n + 1], offsets)


def join_chains(parts: Sequence[Chains]) -> Chains:
    """Put the chains of several lattices one after another; vertices keep their numbers."""
    if len(parts) == 1:
        return parts[0]
    orders, links, offsets = [], [], [np.zeros(1, np.int64)]
    start = 0
    for chains in parts:
        orders.append(chains.order[:-1])
        links.append(chains.links[:-1])
        offsets.append(chains.offsets[1:] + start)
        start += int(chains.offsets[-1])
    orders.append(np.zeros(1, np.int32))
    links.append(np.zeros(1, np.float32))
    return Chains(np.concatenate(orders), np.concatenate(links), np.concatenate(offsets))


WIDEST = 2.0**19
"""Widths that features may span: beyond, float32 no longer tells lattice coordinates apart."""

LEAST_MASS = 1e-20
"""What stands in for a smaller mass, of which the root is taken and divided by."""

KEY_RANGE = 2.0**62
"""Numbers of vertices that an exact key can name."""


@dataclass(frozen=True)
class Spacing:
    """How far apart vertices are, and how far a blur carries.

    Attributes:
        side: s; the blur along each axis is [s, 1, s].
        finer: The factor by which cells are smaller than equal variances ask for.
    """

    side: float
    finer: float

    @property
    def scale(self) -> float:
        """The side of a cell, over D + 1, for which all steps add up to a Gaussian's variance.

        In units of (D + 1)², splat and slice add 1/12 each, and all blurs together add what one of
        them has by its taps.
        """
        return self.finer * math.sqrt(1 / 6 + 2 * self.side / (1 + 2 * self.side))


DENSE, SPARSE = Spacing(0.45, 1.03), Spacing(0.4, 0.95)
"""Spacings for many points a vertex, and for few.

Measured on photographs, an appearance kernel, relative L2 to exact filters: at full size 0.034
with the first, where s = ½ and no refinement give 0.042; on 41×41 pixels and widths of SEC's
training 0.056 with the second, where the first gives 0.071.
"""

CROWDED = 12
"""Points a vertex from which on vertices are few."""

FEW = 2**11
"""Points of a scene up to which they are few."""


@dataclass(frozen=True, eq=False)
class PermutohedralLattice:
    """Vertices around P points of D features, and which vertices are neighbours.

    Attributes:
        vertices: ``(P, D + 1)`` int32: those of the simplex that encloses each point.
        weights: ``(P, D + 1)``: barycentric coordinates of each point in it; they sum to one.
        masses: ``(occupied,)``: the sum of each vertex's weights.
        occupied: How many vertices have points; these come first.
        neighbours: ``(D + 1, 2, M)`` int32: ahead and behind along each axis; M if there is none.
        chains: The order in which blurs run; by scene if vertices are, else as of one scene.
        spacing: How far apart the vertices are.
        in_order: Whether vertices are numbered in the order of points.
    """

    vertices: Int32s
    weights: Float32s
    masses: Float32s
    occupied: int
    neighbours: Int32s
    chains: Chains
    spacing: Spacing
    in_order: bool

    @property
    def size(self) -> int:
        """M, how many vertices there are."""
        return int(self.neighbours.shape[2])

    @property
    def by_scene(self) -> bool:
        """Whether each scene's vertices are consecutive: they are where one thread built them."""
        return self.in_order and self.occupied == self.size

    def bounds(self, scenes: int) -> Int64s:
        """Return the first vertex of each scene, and M, ``(scenes + 1,)``.

        Args:
            scenes: Number of scenes; more than one only if vertices are `by_scene`.
        """
        return _bounds(self.vertices, scenes, self.size)

    @property
    def gain(self) -> float:
        """The factor that gives the lattice's kernel the mass of the Gaussian.

        Splatting a uniform density gives each vertex the mass of a cell of the lattice, and each
        of the D + 1 passes of [s, 1, s] multiplies it by 1 + 2 s.
        """
        d = self.vertices.shape[1] - 1
        cell = self.spacing.scale**-d / math.sqrt(d + 1)
        mass = cell * (1 + 2 * self.spacing.side) ** (d + 1)
        return float((2 * math.pi) ** (d / 2) / mass)


def build_lattice(
    features: Float32s, pool: ThreadPool, complete: bool | None = None
) -> PermutohedralLattice:
    """Build the lattice around points.

    Args:
        features: ``(B, D, N)``, each divided by its σ; scenes of a batch share no vertex.
        pool: The threads that build it.
        complete: Add empty vertices with two or more occupied neighbours, where a blur would
            otherwise end. This doubles the vertices, and keeps mass that is lost without them;
            symmetric normalisation makes up for that loss, other normalisations do not. True adds
            them unless points are fewer than vertices; None adds them where vertices are few, so
            that they cost little and bring most; False adds none.

    Raises:
        OverflowError: If features span more widths than coordinates can hold; the message is how
            many they can hold.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, https://doi.org/10.1111/j.1467-8659.2009.01645.x
    """
    batch, d, count = features.shape
    low, high = features.min(axis=(0, 2)), features.max(axis=(0, 2))
    if not float((high - low).max()) < WIDEST:
        raise OverflowError(f"{WIDEST:.1e}")
    spacing = SPARSE if count <= FEW and not complete else DENSE
    axes = _axes(low, high, batch, spacing.scale)
    vertices = np.empty((batch * count, d + 1), np.int32)
    weights = np.empty((batch * count, d + 1), np.float32)
    parts = spans(batch * count, pool.threads, 1)

    def embed_part(part: Span) -> tuple[Int64s, Float32s]:
        embedded = np.empty((3, d + 1, WIDE), np.float32)
        work = np.empty(WIDE * (d + 2), np.float32), np.empty(d + 1, np.int64)
        return embed(features, axes, *part, vertices, weights, embedded, *work)

    own = pool.map(embed_part, parts)
    keys, masses = own[0]
    for part, (more, added) in zip(parts[1:], own[1:], strict=True):
        keys, numbers = join(keys, more)
        _renumber(vertices, *part, numbers)
        masses = np.concatenate((masses, np.zeros(len(keys) - len(masses), np.float32)))
        masses[numbers] += added
    moves = axes.total - (d + 1) * axes.strides
    occupied, neighbours = len(keys), _neighbours(keys, moves, pool)
    share = 1 if complete else CROWDED
    if complete is not False and share * occupied <= batch * count:
        keys = np.concatenate((keys, missing_vertices(keys, moves, neighbours)))
        neighbours = _neighbours(keys, moves, pool)
    in_order, size = len(parts) == 1, len(keys)
    scenes = batch if in_order and occupied == size else 1
    chains = find_chains(neighbours, _bounds(vertices, scenes, size))
    return PermutohedralLattice(
        vertices, weights, masses, occupied, neighbours, chains, spacing, in_order
    )


def _bounds(vertices: Int32s, scenes: int, size: int) -> Int64s:
    """Return the first vertex of each scene, and M; each scene's vertices must be consecutive."""
    bounds = np.zeros(scenes + 1, np.int64)
    if scenes > 1:
        np.maximum.accumulate(vertices.reshape(scenes, -1).max(1) + 1, out=bounds[1:])
    bounds[scenes] = size
    return bounds


def normalise_symmetrically(lattice: PermutohedralLattice, pool: ThreadPool) -> Float32s:
    """Multiply the weights of each point by D^-½, in place.

    D = K·1 is the blur of the vertices' masses, sliced at the points.

    Returns:
        D^-½, ``(P,)``.
    """
    masses = np.zeros((2, lattice.size + 1), np.float32)
    masses[0, : lattice.occupied] = lattice.masses
    blurred = masses[_blur_masses(lattice.neighbours, lattice.spacing.side, masses)]
    factors = np.empty(len(lattice.weights), np.float32)

    def scale_part(part: Span) -> None:
        _scale_by_mass(lattice.vertices, lattice.weights, blurred, lattice.gain, *part, factors)

    pool.map(scale_part, spans(len(factors), pool.threads, 1))
    return factors


@jit
def scale_weights(weights: Float32s, factors: Float32s, first: int, last: int) -> None:
    """Multiply the weights of points ``first`` to ``last`` by one number each, in place."""
    for p in range(first, last):
        for s in range(weights.shape[1]):
            weights[p, s] *= factors[p]


@jit
def _blur_masses(neighbours: Int32s, side: float, masses: Float32s) -> int:
    """Blur one number a vertex, ``(2, M + 1)``, from row to row; return the row of the result."""
    size, share = neighbours.shape[2], np.float32(side)
    for a in range(len(neighbours)):
        source, target = pointer(masses[a % 2], 0), pointer(masses[(a + 1) % 2], 0)
        ahead, behind = pointer(neighbours[a, 0], 0), pointer(neighbours[a, 1], 0)
        for v in range(size):
            both = get(source, get(ahead, v)) + get(source, get(behind, v))
            put(target, v, get(source, v) + share * both)
    return len(neighbours) % 2


@jit
def _scale_by_mass(
    vertices: Int32s,
    weights: Float32s,
    masses: Float32s,
    gain: float,
    first: int,
    last: int,
    factors: Float32s,
) -> None:
    """Slice the masses at points ``first`` to ``last``, and divide weights by their roots."""
    slots = vertices.shape[1]
    near, shares = pointer(vertices, 0), pointer(weights, 0)
    values, into = pointer(masses, 0), pointer(factors, 0)
    for p in range(first, last):
        mass = np.float32(0)
        for s in range(p * slots, (p + 1) * slots):
            mass += get(shares, s) * get(values, get(near, s))
        factor = np.float32(1) / np.sqrt(max(mass * np.float32(gain), np.float32(LEAST_MASS)))
        for s in range(p * slots, (p + 1) * slots):
            put(shares, s, get(shares, s) * factor)
        put(into, p, factor)


def _neighbours(keys: Int64s, moves: Int64s, pool: ThreadPool) -> Int32s:
    """Find all neighbours, ``(D + 1, 2, M)``."""
    table, bits = full_table(keys), bloom_filter(keys)
    neighbours = np.empty((len(moves), 2, len(keys)), np.int32)
    pool.map(
        lambda part: find_neighbours(keys, table, bits, moves, *part, neighbours),
        spans(len(moves), pool.threads, 1),
    )
    return neighbours


def _axes(low: Float32s, high: Float32s, batch: int, cell: float) -> Axes:
    """Choose scales of features, and strides of coordinates in keys.

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
    if math.prod(map(float, digits)) * batch < KEY_RANGE:
        radix = [math.prod(digits[:i]) for i in range(d)]
        strides, step = np.array([*radix, 0], np.int64), math.prod(digits)
    else:
        strides = np.random.default_rng(0).integers(-(2**62), 2**62, d + 1) * 2 + 1
        step = int(strides[d])
        strides[d] = 0
    return Axes(scales.astype(np.float32), strides, int(strides.sum()), step)


@jit
def _renumber(vertices: Int32s, first: int, last: int, numbers: Int32s) -> None:
    """Replace the vertices of points ``first`` to ``last`` by their numbers among all."""
    for p in range(first, last):
        for s in range(vertices.shape[1]):
            vertices[p, s] = numbers[vertices[p, s]]
