"""The lattice's vertices: numbering those in use, once each, and finding their neighbours."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from .bags import Bags, regular, transposed
from .cells import Cells
from .simplices import elevated, enclosing, stretch

BITS = 62
"""Keys are packed exactly if they fit so many bits."""

MARGIN = 3
"""Steps from a first corner to what may be looked up: a corner, an added vertex, its neighbour."""


def lattice(features: Tensor) -> Cells:
    """Lay a batch of images into permutohedral lattices, one an image, all built together.

    Args:
        features: ``(B, D, N)``, each over its σ.

    Returns:
        Cells of ``B N`` pixels, image by image. Vertices stand in the order of their keys.

    Raises:
        OverflowError: If features span more widths than can be told apart; it holds how many.

    Source:
        Adams, Baek & Davis (2010), Fast High-Dimensional Filtering Using the Permutohedral
        Lattice, https://graphics.stanford.edu/papers/permutohedral/
    """
    batch, size = len(features), features.shape[1] + 1
    points = elevated(features.transpose(0, 1).flatten(1))
    limit = 2.0**-7 / torch.finfo(points.dtype).eps
    widest = points.abs().amax()
    if not bool(widest < limit):
        raise OverflowError(f"{limit:.1e}")
    corner, turns, weights = enclosing(points)
    steps, first, codes = _keys(corner, turns, batch)
    corners, keys = _numbered(first, steps, turns, codes)
    keys, corners = _completed(keys, corners, steps)
    weights = weights.T.contiguous()
    return Cells(
        corners=corners,
        weights=weights,
        gather=transposed(corners, weights, len(keys)).in_parts(),
        passes=tuple(_blur(keys, step, weights) for step in steps),
        sent=_sent(weights),
        gain=_gain(size),
    )


def _keys(corner: Tensor, turns: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give the key of every axis, of each pixel's first corner, and a code of its simplex.

    A lattice point is a sum of whole steps along all axes but the last, which is minus the sum of
    the others; so D whole numbers name it, and a key is linear in them: a step along an axis adds
    the axis's number. Numbers are mixed by radix if `BITS` allow; else at random, modulo 2⁶⁴, and
    then two of M vertices fall together with probability M² / 2⁶⁵.
    """
    size = len(corner)
    places = (corner[-1] - corner[:-1]).long()
    low, high = places.amin(1) - MARGIN, places.amax(1) + MARGIN
    # the image is most significant, then the vertex, then which of its simplices
    sizes = [batch, *(high - low + 1).tolist(), *[size] * (size - 1)]
    radix = torch.tensor(_radix(sizes), device=corner.device)
    steps = torch.cat((radix[1:size], -radix[1:size].sum(0, keepdim=True)))
    image = torch.arange(batch, device=corner.device) * radix[0] - (low * radix[1:size]).sum()
    first = image.repeat_interleave(corner.shape[1] // batch)
    for place, one in zip(places, radix[1:size], strict=True):
        first.addcmul_(place, one)
    codes = first.clone()
    for turn, one in zip(turns[:-1], radix[size:], strict=True):
        codes.addcmul_(turn, one)
    return steps, first, codes


def _radix(sizes: list[int]) -> list[int]:
    """Give what each of several whole numbers is multiplied by to be told apart in their sum."""
    if math.prod(sizes) < 2**BITS:
        return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    draw = random.Random(len(sizes))
    return [draw.randrange(-(2**63), 2**63) for _ in sizes]


def _numbered(first: Tensor, steps: Tensor, turns: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Number the corners of all pixels, ``(P, D + 1)``, and give the keys of those numbers.

    Pixels in one simplex share its corners, and simplices are far fewer than pixels.
    """
    distinct, simplex = torch.unique(codes, return_inverse=True)
    pixel = torch.arange(len(codes), device=codes.device)
    member = torch.empty_like(distinct).scatter_(0, simplex, pixel)
    turn = turns[:, member].long()
    walk = torch.zeros_like(turn).scatter_(0, turn, steps.unsqueeze(1).expand_as(turn))
    walked = torch.cat((first[member].unsqueeze(0), walk[:-1])).cumsum(0)
    keys, corner = torch.unique(walked.T, return_inverse=True)
    return corner.to(torch.int32)[simplex], keys


def _completed(keys: Tensor, corners: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Add the vertices with two or more neighbours in use: values pass through them.

    Returns:
        All keys in order, and the corners by their new numbers.
    """
    around = (keys.unsqueeze(1) + torch.cat((steps, -steps))).flatten()
    found, counts = torch.unique(around, return_counts=True)
    every = torch.unique(torch.cat((keys, found[counts > 1])))
    moved = torch.searchsorted(every, keys, out_int32=True)
    return every, moved[corners.long()]


def _blur(keys: Tensor, step: Tensor, like: Tensor) -> Bags:
    """Make the blur ½, 1, ½ along one axis; what is not in use counts as zero."""
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
    return regular(around, weights)


def _gain(size: int) -> float:
    """Give what makes the lattice's mass that of exp(−|x|² / 2) in D = ``size`` − 1 dimensions.

    The blur multiplies mass by 2^(D + 1), and there is a vertex in every 1 / (finer^D √(D + 1))
    of the features' space.
    """
    d, finer = size - 1, math.sqrt(2 / 3) * stretch(size - 1)
    return math.pow(math.sqrt(2 * math.pi) * finer, d) * math.sqrt(size) * math.pow(0.5, size)


def _sent(like: Tensor) -> Tensor:
    """Give what a complete lattice sends between the D + 1 corners of a simplex.

    Corners m steps apart are joined by m steps ahead, or by the other D + 1 − m back.
    """
    size = like.shape[1]
    apart = torch.arange(size, device=like.device)
    apart = (apart.unsqueeze(1) - apart).abs().to(like)
    there_and_back = torch.eye(size).to(like) * 0.5**size
    return torch.pow(0.5, apart) + torch.pow(0.5, size - apart) + there_and_back
