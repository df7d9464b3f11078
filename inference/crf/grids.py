"""The smoothness kernel as cells: a grid of pixels, or a coarser one, and Gaussians along it."""

from __future__ import annotations

import torch
from torch import Tensor

from .bags import regular
from .cells import Cells
from .smoothing import coarse_taps, hat, nodes, spacing


def grid(widths: tuple[float, float], like: Tensor) -> Cells:
    """Lay the pixels of one image on a grid, as fine as the widths ask.

    Args:
        widths: σ in pixels, vertical and horizontal.
        like: ``(..., H, W)``; says the size, the device and the float type.

    Returns:
        Cells of ``H W`` pixels.
    """
    rows, columns = (_Line(*pair, like) for pair in zip(widths, like.shape[-2:], strict=True))
    return Cells(
        *_crossed(rows.corners, columns.corners, columns.count),
        gather=regular(*_crossed(rows.around, columns.around, columns.pixels)).in_parts(),
        passes=(
            regular(*_crossed(rows.taps, columns.still, columns.count)),
            regular(*_crossed(rows.still, columns.taps, columns.count)),
        ),
        sent=torch.kron(rows.sent, columns.sent),
    )


class _Line:
    """Pixels and nodes of one axis, each table a pair of numbers and weights, ``(n, each)``."""

    def __init__(self, sigma: float, pixels: int, like: Tensor) -> None:
        self.pixels, step = pixels, spacing(sigma, pixels)
        self.count = nodes(pixels, step)
        place = torch.arange(pixels, device=like.device, dtype=torch.int32)
        node = torch.arange(self.count, device=like.device, dtype=torch.int32)
        self.still = (node.unsqueeze(1), torch.ones_like(node, dtype=like.dtype).unsqueeze(1))
        between = torch.from_numpy(coarse_taps(sigma, step)).to(like)
        self.taps = _window(node, between, self.count)
        if step == 1:
            self.around, self.corners = self.still, self.still
            self.sent = between[len(between) // 2].reshape(1, 1)
            return
        first = (node - 1) * step - step // 2
        self.around = _span(first, torch.from_numpy(hat(step)).to(like), pixels)
        share = ((place.to(like) - (step - 1) / 2) / step) % 1.0
        lower = torch.div(place + step // 2, step, rounding_mode="floor")
        self.corners = (torch.stack((lower, lower + 1), 1), torch.stack((1 - share, share), 1))
        middle = len(between) // 2
        apart = torch.tensor([[middle, middle + 1], [middle + 1, middle]])
        self.sent = between[apart.to(like.device)]


Table = tuple[Tensor, Tensor]


def _window(node: Tensor, taps: Tensor, count: int) -> Table:
    """Centre taps on every node, and cut off what no node of the line can reach."""
    middle = len(taps) // 2
    radius = min(middle, count - 1)
    return _span(node - radius, taps[middle - radius : middle + radius + 1], count)


def _span(first: Tensor, weights: Tensor, count: int) -> Table:
    """Take ``len(weights)`` numbers from each ``first`` on; those off the line weigh nothing."""
    number = first.unsqueeze(1) + torch.arange(len(weights), device=first.device).to(first)
    inside = (number >= 0) & (number < count)
    return number.clamp(0, count - 1), weights * inside


def _crossed(rows: Table, columns: Table, width: int) -> Table:
    """Cross a table of rows with one of columns, ``width`` a row: ``(n m, each of both)``."""
    number = rows[0][:, None, :, None] * width + columns[0][None, :, None, :]
    weights = rows[1][:, None, :, None] * columns[1][None, :, None, :]
    n, m, a, b = number.shape
    return number.reshape(n * m, a * b), weights.reshape(n * m, a * b)
