"""The lattice's vertices: numbering those in use, once each, and finding their neighbours."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inference.crf.bags import Bags, regular, transposed
from inference.crf.cells import Cells
from inference.crf.simplices import elevated, enclosing, stretch

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
    batch, size, count = len(features), features.shape[1] + 1, features.shape[2]
    points = elevated(features.transpose(0, 1).flatten(1))
    limit = 2.0**-7 / torch.finfo(points.dtype).eps
    widest = points.abs().amax()
    if not bool(widest < limit):
        raise OverflowError(f"{limit:.1e}")
    corner, axes, weights = enclosing(points)
    image = torch.arange(batch, device=features.device).repeat_interleave(count)
    first, steps, codes = _keys(corner, axes, image)
    corners, keys = _numbered(first, steps[axes], codes)
    keys, corners = _completed(keys, corners, steps)
    weights = weights.T.contiguous()
    return Cells(
        corners,
        weights,
        transposed(corners, weights, len(keys)).in_parts(),
        tuple(_blur(keys, step, weights) for step in steps),
        _gain(size),
        _gain(size) * _own(weights),
    )


def _keys(corner: Tensor, axes: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the key of each pixel's first corner, of each axis, and a code of the whole simplex.

    A lattice point is a sum of whole steps along all axes but the last, which is minus the sum of
    the others; so D whole numbers name it, and a key is linear in them: a step along an axis adds
    the axis's number. Numbers are mixed by radix if `BITS` allow; else at random, modulo 2⁶⁴, and
    then two of M vertices fall together with probability M² / 2⁶⁵.
    """
    size = len(corner)
    places = torch.cat((corner[-1] - corner[:-1], axes[:-1], image.unsqueeze(0)))
    low, high = places.amin(1), places.amax(1)
    extents = high - low + 1
    low[: size - 1] -= MARGIN
    extents[: size - 1] += 2 * MARGIN
    sizes = extents.tolist()
    # from the most significant: simplices of a vertex stand together, vertices by image
    order = [len(sizes) - 1, *range(len(sizes) - 1)]
    if math.prod(sizes) < 2**BITS:
        radix = torch.empty(len(sizes), dtype=torch.int64)
        total = 1
        for i in reversed(order):
            radix[i], total = total, total * sizes[i]
    else:
        generator = torch.Generator().manual_seed(size)
        radix = torch.randint(-(2**63), 2**63 - 1, (len(sizes),), generator=generator)
    radix = radix.to(corner.device)
    mixed = (places - low.unsqueeze(1)) * radix.unsqueeze(1)
    steps = torch.cat((radix[: size - 1], -radix[: size - 1].sum(0, keepdim=True)))
    return mixed[: size - 1].sum(0) + mixed[-1], steps, mixed.sum(0)


def _numbered(first: Tensor, steps: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Number the corners of all pixels, ``(P, D + 1)``, and give the keys of those numbers.

    Pixels in one simplex share its corners, and simplices are far fewer than pixels.
    """
    distinct, simplex = torch.unique(codes, return_inverse=True)
    pixel = torch.arange(len(codes), device=codes.device)
    member = torch.empty_like(distinct).scatter_(0, simplex, pixel)
    walked = torch.cat((first[member].unsqueeze(0), steps[:-1, member])).cumsum(0)
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
    # absent neighbours stand as the vertex itself, with weight 0
    below = place.clone()
    below[above[there]] = place[there]
    above = torch.where(there, above, place)
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


def _own(weights: Tensor) -> Tensor:
    """Give bᵀ G b for each pixel, G being what a complete lattice sends between its corners.

    Corners m steps apart are joined by m steps ahead, or by the other D + 1 − m back.
    """
    size = weights.shape[1]
    apart = torch.arange(size, device=weights.device)
    apart = (apart.unsqueeze(1) - apart).abs().to(weights)
    sent = torch.pow(0.5, apart) + torch.pow(0.5, size - apart)
    sent += torch.eye(size).to(weights) * 0.5**size
    return ((weights @ sent) * weights).sum(1)
