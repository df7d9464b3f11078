"""Products with K tile by tile: without storing it, and without pairs proved to be negligible."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BOUND = 1e-5
"""Of each row and column of the normalised matrix, what may be left out."""

TILE_SIZE = {"cpu": 96, "cuda": 2048}
"""Pixels of a tile: small ones leave more out, large ones are fewer to look at."""

AT_ONCE = {"cpu": 2**19, "cuda": 2**27}
"""Pairs worked on at once: what fits a cache, or what keeps a GPU busy."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Pixels in T tiles of S, each compact in feature space, and which pairs of tiles matter.

    Attributes:
        order: ``(T, S)``: which pixel is where; a pixel may be repeated to fill the last places.
        real: ``(T, S)`` bool: places that are not such a filling.
        kept: ``(T, T)`` bool, symmetric: pairs that are summed.
    """

    order: Tensor
    real: Tensor
    kept: Tensor

    def gather(self, values: Tensor) -> Tensor:
        """Sort values ``(L, N)`` into tiles, ``(L, T, S)``; places that only fill a tile are 0."""
        return values[:, self.order] * self.real

    def scatter(self, sums: Tensor) -> Tensor:
        """Undo `gather`: ``(L, T, S)`` to ``(L, N)``."""
        values = sums.new_empty(len(sums), int(self.real.sum()))
        values[:, self.order[self.real]] = sums[:, self.real]
        return values


def tile(features: Tensor, bound: float = BOUND) -> Tiles:
    """Sort pixels into tiles, and find which pairs of tiles may be left out.

    Tiles come of halving the pixels again and again at the median of their widest feature. Two
    tiles whose boxes lie g apart hold no pair above exp(−g²/2), and D = K·1 of a tile is at least
    Σ n exp(−far²/2) over all tiles, far being the most that two of their pixels can lie apart.
    Hence a bound on what a pair of tiles adds to a row of D^-½ K D^-½, of K D⁻¹ or of D⁻¹ K. Per
    row, the least of these are left out while together they are below ``bound``, and a pair goes
    only if both its tiles let it: so each row and column sum of any of these matrices, and each
    element of D relatively, is wrong by less than ``bound``.

    Args:
        features: ``(D, N)``, each divided by its σ.
        bound: Of each row and column of the normalised matrix, what may be left out; 0 leaves
            nothing out.
    """
    order, real = _halve(features.T)
    places = features.T[order]
    low, high = places.amin(1), places.amax(1)
    count = real.sum(1).to(features)
    gap, far = 0.0 * count.outer(count), 0.0 * count.outer(count)
    for a, b in zip(low.T, high.T, strict=True):
        between = a.unsqueeze(1) - b
        gap += torch.maximum(between, between.T).clamp_min(0).square()
        far += torch.minimum(between, between.T).square()
    mass = ((-0.5 * far).exp() @ count).clamp_min(1)
    most = (-0.5 * gap).exp() * count / torch.minimum(mass, mass.unsqueeze(1))
    rising, which = most.sort(1)
    needed = torch.empty_like(most, dtype=torch.bool)
    needed.scatter_(1, which, rising.cumsum(1) >= bound)
    return Tiles(order, real, needed | needed.T)


def product(features: Tensor, values: Tensor, tiles: Tiles) -> Tensor:
    """Multiply values by K.

    Time grows with the pairs of tiles that are kept, memory with N. Gradients flow to features and
    values; K is computed again for them.

    Args:
        features: ``(D, N)``, each divided by its σ.
        values: ``(L, N)``.
        tiles: What `tile` made of the features.

    Returns:
        ``(L, N)``.
    """
    result: Tensor = _Product.apply(features, values, tiles)
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, values: Tensor, tiles: Tiles) -> Tensor:
        ctx.save_for_backward(features, values)
        ctx.tiles = tiles
        points, sorted_values = features.T[tiles.order], tiles.gather(values)
        sums = torch.zeros_like(sorted_values)
        for row, columns in _blocks(tiles):
            pair = sorted_values[:, row], sorted_values[:, columns]
            ahead, back = _block(points[row], points[columns], *pair)
            _add(sums, ahead, back, row, columns)
        return tiles.scatter(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        features, values = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:  # K is its own adjoint
            return None, _Product.apply(features, gradients[0], ctx.tiles), None
        tiles: Tiles = ctx.tiles
        points, sorted_values = features.T[tiles.order], tiles.gather(values)
        slopes = tiles.gather(gradients[0])
        to_points, to_values = torch.zeros_like(points), torch.zeros_like(sorted_values)
        for row, columns in _blocks(tiles):
            pair = sorted_values[:, row], sorted_values[:, columns]
            inputs = [x.detach().requires_grad_() for x in (points[row], points[columns], *pair)]
            with torch.enable_grad():
                outputs = _block(*inputs)
            outer = slopes[:, columns]
            outer[:, : int(columns[0] == row)] = 0  # a tile with itself is no two pairs
            grads = torch.autograd.grad(outputs, inputs, (slopes[:, row], outer))
            own_point, other_points, own_value, other_values = grads
            to_points[row] += own_point
            to_points.index_add_(0, columns, other_points)
            to_values[:, row] += own_value
            to_values.index_add_(1, columns, other_values)
        to_features = torch.zeros_like(features.T)
        to_features.index_add_(0, tiles.order.flatten(), to_points.flatten(0, 1))
        return to_features.T, tiles.scatter(to_values), None


def _block(a: Tensor, b: Tensor, at_a: Tensor, at_b: Tensor) -> tuple[Tensor, Tensor]:
    """Return what tiles ``b`` add to tile ``a``, and what it adds to them.

    Args:
        a: Features, ``(S, D)``.
        b: Features, ``(G, S, D)``.
        at_a: Values, ``(L, S)``.
        at_b: Values, ``(L, G, S)``.

    Returns:
        ``(L, S)`` and ``(L, G, S)``.
    """
    centre = a.detach().mean(0)  # near which squares are small, and differences of them exact
    a, b = a - centre, b.flatten(0, 1) - centre
    one, ones = torch.ones_like(a[:, :1]), torch.ones_like(b[:, :1])
    left = torch.cat((a, one, -0.5 * a.square().sum(1, keepdim=True)), 1)
    right = torch.cat((b, -0.5 * b.square().sum(1, keepdim=True), ones), 1)
    weights = (left @ right.T).exp_()
    return at_b.flatten(1) @ weights.T, (at_a @ weights).unflatten(1, at_b.shape[1:])


def _add(sums: Tensor, ahead: Tensor, back: Tensor, row: int, columns: Tensor) -> None:
    sums[:, row] += ahead
    first = int(columns[0] == row)  # a tile with itself is no two pairs
    sums.index_add_(1, columns[first:], back[:, first:])


def _blocks(tiles: Tiles) -> Iterator[tuple[int, Tensor]]:
    """Yield each pair of tiles that is kept once: a tile, and some at or after it."""
    size = tiles.order.shape[1]
    step = max(1, AT_ONCE.get(tiles.order.device.type, 2**19) // size**2)
    for row, kept in enumerate(tiles.kept):
        columns = kept[row:].nonzero().flatten() + row
        for part in columns.split(step):
            yield row, part


def _halve(places: Tensor) -> tuple[Tensor, Tensor]:
    """Halve pixels at the median of their widest feature until they are few: order and real."""
    count = len(places)
    most = TILE_SIZE.get(places.device.type, 96)
    times = max(0, math.ceil(math.log2(count / most)))
    size = math.ceil(count / 2**times)
    order = torch.arange(size * 2**times, device=places.device)
    real = order < count
    order = torch.where(real, order, 0).unsqueeze(0)
    real = real.unsqueeze(0)
    for _ in range(times):
        members = places[order]
        widest = (members.amax(1) - members.amin(1)).argmax(1).view(-1, 1, 1)
        rank = members.gather(2, widest.expand(-1, members.shape[1], 1)).squeeze(2).argsort(1)
        order = order.gather(1, rank).reshape(2 * len(order), -1)
        real = real.gather(1, rank).reshape(order.shape)
    return order, real
