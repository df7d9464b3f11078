"""A kernel matrix through few cells: K ≈ Aᵀ G A, where A spreads pixels over cells."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inference.crf.bags import Bags, index_type


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells near which P pixels lie, and a Gaussian between cells.

    Attributes:
        corners: ``(P, E)`` integer: the cells about each pixel.
        weights: ``(P, E)``: how near each is; they sum to one.
        gather: A by rows, one bag of pixels a cell.
        passes: Symmetric matrices between cells; G is the mean of their product and its reverse,
            times ``gain``. So K is symmetric, and its own adjoint.
        gain: See above.
        own: ``(P,)``: the diagonal of K, what a pixel sends to itself.
        commute: Whether the reverse product is the same, and need not be worked out.
    """

    corners: Tensor
    weights: Tensor
    gather: Bags
    passes: tuple[Bags, ...]
    gain: float
    own: Tensor
    commute: bool = False

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.passes[0].starts) - 1

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
            own=self.own.repeat(times),
        )

    def blurred(self, rows: Tensor) -> Tensor:
        """Multiply rows ``(count, L)`` by G."""
        found, back = rows, rows
        for bags in self.passes:
            found = bags(found)
        if self.commute:
            return found if self.gain == 1 else found.mul_(self.gain)
        for bags in reversed(self.passes):
            back = bags(back)
        return found.add_(back).mul_(0.5 * self.gain)
