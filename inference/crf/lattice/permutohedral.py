"""The permutohedral lattice in torch: enclosing simplices, vertices by sorted keys, blurs.

The counterparts in Numba are `embed` and `lattice` in `inference.crf.fused.permutohedral`.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import torch
from torch import Tensor

from .csr import CSRMatrix, FactoredKernel, transposed, uniform_rows


class Simplex(NamedTuple):
    """The simplices that enclose P points.

    Its vertices are reached from that of remainder 0 by steps along all axes but one, each axis
    once; a step along the last would lead back.

    Attributes:
        rem0: ``(D + 1, P)``, whole numbers as floats: the vertex of remainder 0.
        order: ``(D + 1, P)`` int32: the turn of each axis, 0 to D.
        weights: ``(D + 1, P)``: barycentric weights of the vertices, ≥ 0, of sum one.
    """

    rem0: Tensor
    order: Tensor
    weights: Tensor


def elevate(features: Tensor) -> Tensor:
    """Map D features to the plane Σ x = 0 of D + 1 coordinates, in units of D + 1.

    Distances keep their ratios. A hat at either end and a blur of ½, 1, ½ along each axis have
    the variance ⅔, so with features times √⅔ the kernel's variance is 1. `refinement` is one
    more factor.

    Args:
        features: ``(D, P)``, each divided by its σ.

    Returns:
        ``(D + 1, P)``: 1 is the distance between lattice points along a coordinate.
    """
    d = len(features)
    place = torch.arange(1, d + 1, dtype=features.dtype, device=features.device).unsqueeze(1)
    scaled = features * (math.sqrt(2 / 3) * refinement(d) / (place * (place + 1)).sqrt())
    later = scaled.flip(0).cumsum(0).flip(0)
    zero = torch.zeros_like(features[:1])
    return torch.cat((later, zero)) - torch.cat((zero, place * scaled))


def refinement(d: int) -> float:
    """Return how much finer than its variance asks the lattice of D dimensions is.

    Its kernel has the spectrum ∏ (sin θ / θ)² over the D + 1 axes, which falls faster than the
    Gaussian of the same variance; a kernel narrower by this is nearer to the Gaussian, and the
    error of filtering photographs falls by a third. In more dimensions the gaps between points
    narrow the kernel already.
    """
    return 1 + 0.08 * d / (d + 3) if d <= 6 else 1.0


def enclosing_simplex(points: Tensor) -> Simplex:
    """Find the simplex that encloses each point.

    Args:
        points: ``(D + 1, P)``, as `elevate` returns them.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, section 3.1, https://graphics.stanford.edu/papers/permutohedral/
    """
    size = len(points)
    rem0 = points.round()
    rest = points - rem0
    rank = _ranks(rest) + rem0.sum(0).to(torch.int32)
    wrap = (rank < 0).to(torch.int32) - (rank >= size).to(torch.int32)
    rank += size * wrap
    rem0 += wrap
    rest -= wrap
    falling = _sorted(rest)
    steps = [falling[k - 1] - falling[k] for k in range(size - 1, 0, -1)]
    first = (1 + falling[-1] - falling[0]).clamp_min(0)
    weights = torch.stack([first, *steps])
    return Simplex(rem0, rank.neg_().add_(size - 1), weights)


def _ranks(rest: Tensor) -> Tensor:
    """Count, for each of ``(n, P)``, how many of the n are larger; ties go by place."""
    rank = torch.zeros_like(rest, dtype=torch.int32)
    for i in range(len(rest)):
        for j in range(i + 1, len(rest)):
            less = (rest[i] < rest[j]).to(torch.int32)
            rank[i] += less
            rank[j] += 1 - less
    return rank


def _sorted(rest: Tensor) -> list[Tensor]:
    """Sort ``(n, P)`` along n, the largest first: odd-even transposition, whole rows at a time."""
    rows = list(rest)
    for turn in range(len(rows)):
        for i in range(turn % 2, len(rows) - 1, 2):
            high, low = torch.maximum(rows[i], rows[i + 1]), torch.minimum(rows[i], rows[i + 1])
            rows[i], rows[i + 1] = high, low
    return rows


BITS = 62
"""Keys are packed exactly if they fit so many bits."""

MARGIN = 3
"""Steps from a remainder-0 vertex to any key looked up: a vertex, an added one, a neighbour."""


def build_lattice(features: Tensor) -> FactoredKernel:
    """Embed a batch of images in permutohedral lattices, one an image, all built together.

    Args:
        features: ``(B, D, N)``, each divided by its σ.

    Returns:
        The kernel of ``B N`` pixels, image by image. Vertices stand in the order of their keys.

    Raises:
        OverflowError: If features span more widths than can be told apart; the message is how
            many can be.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, https://graphics.stanford.edu/papers/permutohedral/
    """
    batch, size = len(features), features.shape[1] + 1
    points = elevate(features.transpose(0, 1).flatten(1))
    limit = 2.0**-7 / torch.finfo(points.dtype).eps
    widest = points.abs().amax()
    if not bool(widest < limit):
        raise OverflowError(f"{limit:.1e}")
    simplex = enclosing_simplex(points)
    keys = _keys(simplex.rem0, simplex.order, batch)
    vertices, occupied = _number(keys, simplex.order)
    every, vertices = _complete(occupied, vertices, keys.steps)
    weights = simplex.weights.T.contiguous()
    return FactoredKernel(
        vertices=vertices,
        weights=weights,
        splat=transposed(vertices, weights, len(every)).in_parts(),
        blurs=tuple(_blur(every, step, weights) for step in keys.steps),
        local=_local(weights),
        gain=_gain(size),
    )


class Keys(NamedTuple):
    """Numbers that name lattice points and simplices.

    Attributes:
        steps: ``(D + 1,)`` int64: what a step along each axis adds to a key.
        rem0: ``(P,)`` int64: the key of the remainder-0 vertex of each pixel's simplex.
        simplices: ``(P,)`` int64: a code of each pixel's simplex.
    """

    steps: Tensor
    rem0: Tensor
    simplices: Tensor


def _keys(rem0: Tensor, order: Tensor, batch: int) -> Keys:
    """Name the axes' steps, each pixel's remainder-0 vertex, and its simplex.

    A lattice point is a sum of whole steps along all axes but the last, which is minus the sum of
    the others; so D whole numbers name it, and a key is linear in them: a step along an axis adds
    the axis's number. Numbers are mixed by radix if `BITS` allow; else at random, modulo 2⁶⁴, and
    then two of M vertices fall together with probability M² / 2⁶⁵.
    """
    size = len(rem0)
    places = (rem0[-1] - rem0[:-1]).long()
    low, high = places.amin(1) - MARGIN, places.amax(1) + MARGIN
    # the image is most significant, then the vertex, then which of its simplices
    sizes = [batch, *(high - low + 1).tolist(), *[size] * (size - 1)]
    radix = torch.tensor(_radix(sizes), device=rem0.device)
    steps = torch.cat((radix[1:size], -radix[1:size].sum(0, keepdim=True)))
    image = torch.arange(batch, device=rem0.device) * radix[0] - (low * radix[1:size]).sum()
    first = image.repeat_interleave(rem0.shape[1] // batch)
    for place, one in zip(places, radix[1:size], strict=True):
        first.addcmul_(place, one)
    simplices = first.clone()
    for turn, one in zip(order[:-1], radix[size:], strict=True):
        simplices.addcmul_(turn, one)
    return Keys(steps, first, simplices)


def _radix(sizes: list[int]) -> list[int]:
    """Return factors of several integers by which their sum still tells all of them apart."""
    if math.prod(sizes) < 2**BITS:
        return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    draw = random.Random(len(sizes))
    return [draw.randrange(-(2**63), 2**63) for _ in sizes]


def _number(keys: Keys, order: Tensor) -> tuple[Tensor, Tensor]:
    """Number the vertices around all pixels.

    Pixels in one simplex share its vertices, and simplices are far fewer than pixels.

    Args:
        keys: Of the pixels' simplices.
        order: ``(D + 1, P)``: the turn of each axis, as in `Simplex`.

    Returns:
        The numbers, ``(P, D + 1)`` int32; and the key of each number, ``(M,)``.
    """
    distinct, simplex = torch.unique(keys.simplices, return_inverse=True)
    pixel = torch.arange(len(keys.simplices), device=order.device)
    member = torch.empty_like(distinct).scatter_(0, simplex, pixel)
    turn = order[:, member].long()
    steps = keys.steps.unsqueeze(1).expand_as(turn)
    walk = torch.zeros_like(turn).scatter_(0, turn, steps)
    walked = torch.cat((keys.rem0[member].unsqueeze(0), walk[:-1])).cumsum(0)
    occupied, vertex = torch.unique(walked.T, return_inverse=True)
    return vertex.to(torch.int32)[simplex], occupied


def _complete(occupied: Tensor, vertices: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Add the vertices with two or more occupied neighbours: values pass through them.

    Returns:
        All keys in order, ``(M,)``; and the vertices by their new numbers, ``(P, D + 1)``.
    """
    around = (occupied.unsqueeze(1) + torch.cat((steps, -steps))).flatten()
    near, counts = torch.unique(around, return_counts=True)
    every = torch.unique(torch.cat((occupied, near[counts > 1])))
    ranks = torch.searchsorted(every, occupied, out_int32=True)
    return every, ranks[vertices.long()]


def _blur(keys: Tensor, step: Tensor, like: Tensor) -> CSRMatrix:
    """Return the matrix of the blur ½, 1, ½ along one axis; missing vertices count as zero."""
    neighbours = keys + step
    above = torch.searchsorted(keys, neighbours).clamp_max(len(keys) - 1)
    there = keys[above] == neighbours
    place = torch.arange(len(keys), device=keys.device)
    # absent neighbours stand as the vertex itself, with weight 0; one place more takes the rest
    below = torch.arange(len(keys) + 1, device=keys.device)
    below.scatter_(0, torch.where(there, above, len(keys)), place)
    above = torch.where(there, above, place)
    below = below[:-1]
    around = torch.stack((place, above, below), dim=1)
    weights = 0.5 * (around != place.unsqueeze(1)).to(like)
    weights[:, 0] = 1.0
    return uniform_rows(around, weights)


def _gain(size: int) -> float:
    """Return the factor that makes the lattice's mass that of exp(−|x|² / 2), D = ``size`` − 1.

    The blurs multiply mass by 2^(D + 1), and there is a vertex in every 1 / (finer^D √(D + 1)) of
    the features' space.
    """
    d, finer = size - 1, math.sqrt(2 / 3) * refinement(size - 1)
    return math.pow(math.sqrt(2 * math.pi) * finer, d) * math.sqrt(size) * math.pow(0.5, size)


def _local(like: Tensor) -> Tensor:
    """Return the blur of a complete lattice between the vertices of a simplex, (D + 1, D + 1).

    Vertices m steps apart are joined by m steps ahead, or by the other D + 1 − m back.
    """
    size = like.shape[1]
    apart = torch.arange(size, device=like.device)
    apart = (apart.unsqueeze(1) - apart).abs().to(like)
    there_and_back = torch.eye(size).to(like) * 0.5**size
    return torch.pow(0.5, apart) + torch.pow(0.5, size - apart) + there_and_back
