"""Sparse matrices in compressed rows (CSR), and kernel matrices in factors of them, K ≈ Aᵀ G A."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 1024
"""Entries of a row above which it is summed in parts: one thread sums a row, and would be last."""


@dataclass(frozen=True, eq=False)
class CSRMatrix:
    """A sparse matrix of R rows; entries ``starts[r]:starts[r + 1]`` are those of row r.

    A row's entries are summed in their order whatever stands around it, so a matrix gives the same
    bits alone or in a batch. Products are done by `torch.nn.functional.embedding_bag`.

    Attributes:
        starts: ``(R + 1,)`` integer, from 0 to S.
        columns: ``(S,)``, of the type of ``starts``.
        weights: ``(S,)``: the entries' values; None is ones.
        parts: What sums the rows of this matrix, where long rows were cut; None if none was.
    """

    starts: Tensor
    columns: Tensor
    weights: Tensor | None
    parts: CSRMatrix | None = None

    def __matmul__(self, rows: Tensor) -> Tensor:
        """Multiply dense rows ``(n, L)`` by the matrix, ``(R, L)``."""
        product = F.embedding_bag(
            self.columns,
            rows,
            self.starts,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )
        return product if self.parts is None else self.parts @ product

    def scale_columns(self, factors: Tensor) -> CSRMatrix:
        """Return the matrix times a diagonal one, whose diagonal is ``factors``, ``(n,)``."""
        weights = factors.index_select(0, self.columns)
        if self.weights is not None:
            weights *= self.weights
        return replace(self, weights=weights)

    def block_diagonal(self, times: int, columns: int) -> CSRMatrix:
        """Return a matrix with copies of this one down its diagonal.

        Args:
            times: Number of copies.
            columns: Columns of each.
        """
        if times == 1:
            return self
        size = len(self.columns)
        kind = index_type(times * max(size, columns))
        again = torch.arange(times, device=self.columns.device, dtype=kind).unsqueeze(1)
        starts = (self.starts[:-1].to(kind) + again * size).flatten()
        return CSRMatrix(
            torch.cat((starts, starts.new_tensor([times * size]))),
            (self.columns.to(kind) + again * columns).flatten(),
            None if self.weights is None else self.weights.repeat(times),
            None if self.parts is None else self.parts.block_diagonal(times, len(self.starts) - 1),
        )

    def in_parts(self, longest: int = LONGEST) -> CSRMatrix:
        """Return an equal matrix whose rows of more than ``longest`` entries are cut in parts."""
        starts = self.starts.long()
        pieces = (starts.diff() + longest - 1) // longest
        first = pieces.cumsum(0) - pieces
        owner = torch.repeat_interleave(pieces)
        if len(owner) == len(pieces) and bool((pieces == 1).all()):
            return self
        within = torch.arange(len(owner), device=starts.device) - first[owner]
        cuts = torch.cat((starts[owner] + within * longest, starts[-1:]))
        whole = CSRMatrix(
            torch.cat((first, first.new_tensor([len(owner)]))).to(self.starts),
            torch.arange(len(owner), device=starts.device).to(self.starts),
            None,
        )
        return CSRMatrix(cuts.to(self.starts), self.columns, self.weights, whole)


def uniform_rows(columns: Tensor, weights: Tensor) -> CSRMatrix:
    """Return the matrix whose rows all have E entries.

    Args:
        columns: ``(R, E)`` integer.
        weights: ``(R, E)``.
    """
    count, each = columns.shape
    kind = index_type(columns.numel())
    starts = torch.arange(0, count * each + 1, each, device=columns.device, dtype=kind)
    return CSRMatrix(starts, columns.flatten().to(kind), weights.flatten())


def transposed(columns: Tensor, weights: Tensor, count: int) -> CSRMatrix:
    """Return the transpose of ``uniform_rows(columns, weights)``.

    A row's entries stand in the order of the rows they came from.

    Args:
        columns: ``(R, E)`` integer, below ``count``.
        weights: ``(R, E)``.
        count: Rows of the result.
    """
    each = columns.shape[1]
    kind = index_type(columns.numel())
    ordered, order = torch.sort(columns.flatten().to(kind), stable=True)
    bounds = torch.arange(count + 1, device=columns.device, dtype=kind)
    starts = torch.searchsorted(ordered, bounds, out_int32=kind == torch.int32)
    return CSRMatrix(starts, (order // each).to(kind), weights.flatten().index_select(0, order))


def index_type(count: int) -> torch.dtype:
    """Return the narrowest integer type that counts so far: short indices are read faster."""
    return torch.int32 if count < 2**31 else torch.int64


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
