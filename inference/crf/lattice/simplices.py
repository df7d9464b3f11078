"""Embedding points in the permutohedral lattice: enclosing simplices and barycentric weights.

The counterpart in Numba is `inference.crf.fused.permutohedral.embed`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


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
