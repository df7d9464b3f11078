"""A kernel matrix in factors, K ≈ Aᵀ G A: A splats pixels on vertices, G blurs, Aᵀ slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .csr import CSRMatrix, index_type


@dataclass(frozen=True, eq=False)
class FactoredKernel:
    """Vertices near which P pixels lie, and a Gaussian between vertices.

    Vertices are those of a permutohedral lattice, or the nodes of a regular grid.

    Attributes:
        vertices: ``(P, E)`` integer: the vertices around each pixel.
        weights: ``(P, E)``: barycentric or bilinear weights; they sum to one.
        splat: A, of one row a vertex.
        blurs: Symmetric matrices between vertices; G is their product times ``gain``, and its
            transpose is their product in reverse.
        local: ``(E, E)``: G between the vertices around one pixel, if none near them is missing,
            without the gain.
        gain: What G is multiplied by.
    """

    vertices: Tensor
    weights: Tensor
    splat: CSRMatrix
    blurs: tuple[CSRMatrix, ...]
    local: Tensor
    gain: float = 1.0

    @property
    def count(self) -> int:
        """How many vertices there are."""
        return len(self.blurs[0].starts) - 1

    def diagonal(self) -> Tensor:
        """Return the diagonal of K, ``(P,)``: the self term of each pixel."""
        return ((self.weights @ self.local) * self.weights).sum(1) * self.gain

    def repeated(self, times: int) -> FactoredKernel:
        """Return the kernel of ``times`` images that share their features."""
        if times == 1:
            return self
        pixels, kind = len(self.vertices), index_type(times * self.count)
        again = torch.arange(times, device=self.vertices.device, dtype=kind)
        return replace(
            self,
            vertices=(self.vertices.to(kind) + again.view(-1, 1, 1) * self.count).flatten(0, 1),
            weights=self.weights.repeat(times, 1),
            splat=self.splat.block_diagonal(times, pixels),
            blurs=tuple(blur.block_diagonal(times, self.count) for blur in self.blurs),
        )

    def blurred(self, rows: Tensor, reverse: bool = False) -> Tensor:
        """Multiply rows ``(count, L)`` by G, or by its transpose if ``reverse``."""
        for blur in reversed(self.blurs) if reverse else self.blurs:
            rows = blur @ rows
        return rows if self.gain == 1 else rows.mul_(self.gain)
