"""Sparse matrices times rows, as weighted sums of bags of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 1024
"""Rows in a bag before it is summed in parts: one thread sums a bag, so no bag may hold it up."""


@dataclass(frozen=True, eq=False)
class Bags:
    """A sparse matrix, row by row: row r is the bag ``starts[r]:starts[r + 1]``.

    Sums run in the order of the bag whatever stands around it, so the same bag gives the same
    bits, alone or in a batch.

    Attributes:
        starts: ``(R + 1,)`` integer, from 0 to S.
        columns: ``(S,)`` of the same type: which rows are summed.
        weights: ``(S,)``, or None for ones.
        parts: Sums the sums of this one's rows; None if they are the answer.
    """

    starts: Tensor
    columns: Tensor
    weights: Tensor | None
    parts: Bags | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        """Sum rows ``(n, L)`` bag by bag, ``(R, L)``."""
        found = F.embedding_bag(
            self.columns,
            rows,
            self.starts,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )
        return found if self.parts is None else self.parts(found)

    def scaled(self, by: Tensor) -> Bags:
        """Give the sums of rows that are multiplied by ``by``, ``(n,)``, first."""
        weights = by.index_select(0, self.columns)
        if self.weights is not None:
            weights *= self.weights
        return replace(self, weights=weights)

    def repeated(self, times: int, rows: int) -> Bags:
        """Put the matrix down the diagonal again and again; each stands over ``rows`` rows."""
        if times == 1:
            return self
        size = len(self.columns)
        kind = index_type(times * max(size, rows))
        again = torch.arange(times, device=self.columns.device, dtype=kind).unsqueeze(1)
        starts = (self.starts[:-1].to(kind) + again * size).flatten()
        return Bags(
            torch.cat((starts, starts.new_tensor([times * size]))),
            (self.columns.to(kind) + again * rows).flatten(),
            None if self.weights is None else self.weights.repeat(times),
            None if self.parts is None else self.parts.repeated(times, len(self.starts) - 1),
        )

    def in_parts(self, longest: int = LONGEST) -> Bags:
        """Give the same sums with no bag longer than that: long ones are summed in parts."""
        starts = self.starts.long()
        pieces = (starts.diff() + longest - 1) // longest
        first = pieces.cumsum(0) - pieces
        owner = torch.repeat_interleave(pieces)
        if len(owner) == len(pieces) and bool((pieces == 1).all()):
            return self
        within = torch.arange(len(owner), device=starts.device) - first[owner]
        cuts = torch.cat((starts[owner] + within * longest, starts[-1:]))
        whole = Bags(
            torch.cat((first, first.new_tensor([len(owner)]))).to(self.starts),
            torch.arange(len(owner), device=starts.device).to(self.starts),
            None,
        )
        return Bags(cuts.to(self.starts), self.columns, self.weights, whole)


def regular(columns: Tensor, weights: Tensor) -> Bags:
    """Make bags of one length: ``columns`` and ``weights`` are ``(R, E)``."""
    count, each = columns.shape
    kind = index_type(columns.numel())
    starts = torch.arange(0, count * each + 1, each, device=columns.device, dtype=kind)
    return Bags(starts, columns.flatten().to(kind), weights.flatten())


def transposed(columns: Tensor, weights: Tensor, count: int) -> Bags:
    """Make the bags of the transpose of ``regular(columns, weights)``, which has ``count`` rows.

    A bag's entries stand in the order of the rows they came from.
    """
    each = columns.shape[1]
    kind = index_type(columns.numel())
    ordered, order = torch.sort(columns.flatten().to(kind), stable=True)
    bounds = torch.arange(count + 1, device=columns.device, dtype=kind)
    starts = torch.searchsorted(ordered, bounds, out_int32=kind == torch.int32)
    return Bags(starts, (order // each).to(kind), weights.flatten().index_select(0, order))


def index_type(count: int) -> torch.dtype:
    """Give the narrowest type that counts so far: short indices are read faster."""
    return torch.int32 if count < 2**31 else torch.int64
