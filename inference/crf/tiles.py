"""Sums over all pairs of pixels without holding them, less those proved to add next to nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BOUND = 1e-5
"""Of each row and column of the normalised matrix, what may be left out."""

MOST = {"cpu": 96, "cuda": 2048}
"""Pixels of a tile: small ones leave more out, large ones are fewer to look at."""

AT_ONCE = {"cpu": 2**19, "cuda": 2**27}
"""Pairs worked on at once: what a cache holds, or what keeps a device busy."""


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
        """Sort ``values``, ``(L, N)``, into tiles, ``(L, T, S)``; fillings are silent."""
        return values[:, self.order] * self.real

    def scatter(self, sums: Tensor) -> Tensor:
        """Undo `gather`: ``(L, T, S)`` to ``(L, N)``."""
        found = sums.new_empty(len(sums), int(self.real.sum()))
        found[:, self.order[self.real]] = sums[:, self.real]
        return found


def tile(features: Tensor, bound: float = BOUND) -> Tiles:
    """Sort pixels into tiles and say which pairs of tiles may be left out.

    Tiles come of halving the pixels again and again at the median of their widest feature. Two
    tiles whose boxes lie g apart hold no pair above exp(−g²/2), and D = K·1 of a tile is at least
    Σ n exp(−far²/2) over all tiles, far being the most that two of their pixels can lie apart.
    Hence a bound on what a pair of tiles adds to a row of D^-½ K D^-½, of K D⁻¹ or of D⁻¹ K. Per
    row, the least of these are left out while together they are below ``bound``, and a pair goes
    only if both its tiles let it: so each row and column sum of any of these matrices, and each
    element of D relatively, is wrong by less than ``bound``.

    Args:
        features: ``(D, N)``, each divided by its σ.
        bound: See above; 0 leaves nothing out.
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
    """Multiply ``values``, ``(L, N)``, by K of ``features``, ``(D, N)``.

    Time grows with the pairs kept, memory with N. Gradients flow to both; K is worked out anew for
    them.
    """
    found: Tensor = _Product.apply(features, values, tiles)
    return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, values: Tensor, tiles: Tiles) -> Tensor:
        ctx.save_for_backward(features, values)
        ctx.tiles = tiles
        places, heard = features.T[tiles.order], tiles.gather(values)
        sums = torch.zeros_like(heard)
        for row, columns in _blocks(tiles):
            ahead, back = _block(places[row], places[columns], heard[:, row], heard[:, columns])
            _add(sums, ahead, back, row, columns)
        return tiles.scatter(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        features, values = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:  # K is its own adjoint
            return None, _Product.apply(features, gradients[0], ctx.tiles), None
        tiles: Tiles = ctx.tiles
        places, heard = features.T[tiles.order], tiles.gather(values)
        pulled = tiles.gather(gradients[0])
        to_places, to_heard = torch.zeros_like(places), torch.zeros_like(heard)
        for row, columns in _blocks(tiles):
            given = (places[row], places[columns], heard[:, row], heard[:, columns])
            parts = [part.detach().requires_grad_() for part in given]
            with torch.enable_grad():
                made = _block(*parts)
            outer = pulled[:, columns]
            outer[:, : int(columns[0] == row)] = 0  # a tile with itself is no two pairs
            found = torch.autograd.grad(made, parts, (pulled[:, row], outer))
            place, others, ahead, back = found
            to_places[row] += place
            to_places.index_add_(0, columns, others)
            to_heard[:, row] += ahead
            to_heard.index_add_(1, columns, back)
        to_features = torch.zeros_like(features.T)
        to_features.index_add_(0, tiles.order.flatten(), to_places.flatten(0, 1))
        return to_features.T, tiles.scatter(to_heard), None


def _block(a: Tensor, b: Tensor, at_a: Tensor, at_b: Tensor) -> tuple[Tensor, Tensor]:
    """Give what tiles ``b`` add to tile ``a``, and what it adds to them.

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
    """Give each pair of tiles that is kept once: a tile, and some at or after it."""
    size = tiles.order.shape[1]
    step = max(1, AT_ONCE.get(tiles.order.device.type, 2**19) // size**2)
    for row, kept in enumerate(tiles.kept):
        columns = kept[row:].nonzero().flatten() + row
        for part in columns.split(step):
            yield row, part


def _halve(places: Tensor) -> tuple[Tensor, Tensor]:
    """Halve pixels at the median of their widest feature until they are few: order and real."""
    count = len(places)
    most = MOST.get(places.device.type, 96)
    times = max(0, math.ceil(math.log2(count / most)))
    size = math.ceil(count / 2**times)
    order = torch.arange(size * 2**times, device=places.device)
    real = order < count
    order = torch.where(real, order, 0).unsqueeze(0)
    real = real.unsqueeze(0)
    for _ in range(times):
        held = places[order]
        widest = (held.amax(1) - held.amin(1)).argmax(1).view(-1, 1, 1)
        rank = held.gather(2, widest.expand(-1, held.shape[1], 1)).squeeze(2).argsort(1)
        order = order.gather(1, rank).reshape(2 * len(order), -1)
        real = real.gather(1, rank).reshape(order.shape)
    return order, real
