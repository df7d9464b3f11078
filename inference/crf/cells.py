"""A kernel matrix through few cells: K ≈ Aᵀ G A, where A spreads pixels over cells."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .bags import Bags, index_type


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells near which P pixels lie, and a Gaussian between cells.

    Attributes:
        corners: ``(P, E)`` integer: the cells about each pixel.
        weights: ``(P, E)``: how near each is; they sum to one.
        gather: A by rows, one bag of pixels a cell.
        passes: Symmetric matrices between cells; G is their product, times ``gain``, and its
            transpose their product in reverse.
        sent: ``(E, E)``: what G sends between the cells about a pixel, if none about is missing;
            without the gain.
        gain: See above.
    """

    corners: Tensor
    weights: Tensor
    gather: Bags
    passes: tuple[Bags, ...]
    sent: Tensor
    gain: float = 1.0

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.passes[0].starts) - 1

    def own(self) -> Tensor:
        """Give the diagonal of K, ``(P,)``: what a pixel sends to itself."""
        return ((self.weights @ self.sent) * self.weights).sum(1) * self.gain

    def repeated(self, times: int) -> Cells:
        """Give as many images the same cells, each its own copy."""
        if times == 1:
            return self
        pixels, kind = len(self.corners), index_type(times * self.count)
        again = torch.arange(times, device=self.corners.device, dtype=kind)
        return replace(
            self,
            corners=(self.corners.to(kind) + again.view(-1, 1, 1) * self.count).flatten(0, 1),
            weights=self.weights.repeat(times, 1),
            gather=self.gather.repeated(times, pixels),
            passes=tuple(bags.repeated(times, self.count) for bags in self.passes),
        )

    def blurred(self, rows: Tensor, turned: bool = False) -> Tensor:
        """Multiply rows ``(count, L)`` by G, or by its transpose."""
        for bags in reversed(self.passes) if turned else self.passes:
            rows = bags(rows)
        return rows if self.gain == 1 else rows.mul_(self.gain)
