"""The permutohedral lattice in torch: its vertices, numbered by sorted keys, and its blurs.

The counterpart in Numba is `inference.crf.fused.permutohedral.lattice`.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import torch
from torch import Tensor

from .csr import CSRMatrix, transposed, uniform_rows
from .factored_kernel import FactoredKernel
from .simplices import elevate, enclosing_simplex, refinement

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
    moved = torch.searchsorted(every, occupied, out_int32=True)
    return every, moved[vertices.long()]


def _blur(keys: Tensor, step: Tensor, like: Tensor) -> CSRMatrix:
    """Return the matrix of the blur ½, 1, ½ along one axis; missing vertices count as zero."""
    wanted = keys + step
    above = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
    there = keys[above] == wanted
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
