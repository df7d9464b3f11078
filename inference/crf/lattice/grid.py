"""The smoothness kernel in factors: a grid of pixels or a coarser one, and Gaussians along it.

The counterpart in Numba is `inference.crf.fused.blur`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..gaussian import coarse_taps, hat, nodes, spacing
from .csr import FactoredKernel, uniform_rows


def build_grid(widths: tuple[float, float], like: Tensor) -> FactoredKernel:
    """Resample the pixels of one image on a grid, as fine as the widths ask.

    Args:
        widths: σ in pixels, vertical and horizontal.
        like: ``(..., H, W)``; says the size, the device and the float type.

    Returns:
        The kernel of ``H W`` pixels.
    """
    rows, columns = (_Line(*pair, like) for pair in zip(widths, like.shape[-2:], strict=True))
    return FactoredKernel(
        *_outer(rows.upsample, columns.upsample, columns.count),
        splat=uniform_rows(
            *_outer(rows.downsample, columns.downsample, columns.pixels)
        ).in_parts(),
        blurs=(
            uniform_rows(*_outer(rows.blur, columns.identity, columns.count)),
            uniform_rows(*_outer(rows.identity, columns.blur, columns.count)),
        ),
        local=torch.kron(rows.local, columns.local),
    )


class Table(NamedTuple):
    """A sparse matrix of n rows with E entries each.

    Attributes:
        columns: ``(n, E)`` integer.
        weights: ``(n, E)``.
    """

    columns: Tensor
    weights: Tensor


class _Line:
    """Pixels and nodes of one axis of an image, and the matrices between them.

    Attributes:
        pixels: Number of pixels.
        count: Number of nodes.
        upsample: From nodes to pixels.
        downsample: From pixels to nodes.
        blur: From nodes to nodes, the Gaussian.
        identity: From nodes to nodes.
        local: The Gaussian between the nodes around one pixel, ``(E, E)``.
    """

    def __init__(self, sigma: float, pixels: int, like: Tensor) -> None:
        self.pixels, step = pixels, spacing(sigma, pixels)
        self.count = nodes(pixels, step)
        place = torch.arange(pixels, device=like.device, dtype=torch.int32)
        node = torch.arange(self.count, device=like.device, dtype=torch.int32)
        ones = torch.ones_like(node, dtype=like.dtype)
        self.identity = Table(node.unsqueeze(1), ones.unsqueeze(1))
        between = torch.from_numpy(coarse_taps(sigma, step)).to(like)
        self.blur = _window(node, between, self.count)
        if step == 1:
            self.downsample, self.upsample = self.identity, self.identity
            self.local = between[len(between) // 2].reshape(1, 1)
            return
        first = (node - 1) * step - step // 2
        self.downsample = _span(first, torch.from_numpy(hat(step)).to(like), pixels)
        share = ((place.to(like) - (step - 1) / 2) / step) % 1.0
        lower = torch.div(place + step // 2, step, rounding_mode="floor")
        near, weights = torch.stack((lower, lower + 1), 1), torch.stack((1 - share, share), 1)
        self.upsample = Table(near, weights)
        middle = len(between) // 2
        apart = torch.tensor([[middle, middle + 1], [middle + 1, middle]])
        self.local = between[apart.to(like.device)]


def _window(node: Tensor, taps: Tensor, count: int) -> Table:
    """Return the matrix of a convolution with ``taps``; what no node can reach is cut off."""
    middle = len(taps) // 2
    radius = min(middle, count - 1)
    return _span(node - radius, taps[middle - radius : middle + radius + 1], count)


def _span(first: Tensor, weights: Tensor, count: int) -> Table:
    """Return the matrix that weighs consecutive numbers from each ``first`` on, if on the line."""
    number = first.unsqueeze(1) + torch.arange(len(weights), device=first.device).to(first)
    inside = (number >= 0) & (number < count)
    return Table(number.clamp(0, count - 1), weights * inside)


def _outer(rows: Table, columns: Table, width: int) -> Table:
    """Return the Kronecker product of a matrix on rows and one on columns, ``width`` a row."""
    number = rows.columns[:, None, :, None] * width + columns.columns[None, :, None, :]
    weights = rows.weights[:, None, :, None] * columns.weights[None, :, None, :]
    n, m, a, b = number.shape
    return Table(number.reshape(n * m, a * b), weights.reshape(n * m, a * b))
