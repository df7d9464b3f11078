"""What all kernels together add to the logits, through cells, and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .bags import Bags, regular
from .cells import Cells


@dataclass(frozen=True, eq=False)
class Part:
    """One kernel, normalised: after · (K − own) · before, and ``own`` is 0 if it is kept.

    Attributes:
        cells: K.
        before: ``(P,)``.
        after: ``(P,)``; the same object as ``before`` if they are equal.
        own: ``(P,)``, or None to keep what a pixel sends to itself.
    """

    cells: Cells
    before: Tensor
    after: Tensor
    own: Tensor | None

    @cached_property
    def turned(self) -> Part:
        """Give the transpose, but for the order of the blur."""
        if self.before is self.after:
            return self
        return Part(self.cells, self.after, self.before, self.own)

    @cached_property
    def gather(self) -> Bags:
        """Take rows of pixels to the cells."""
        return self.cells.gather.scaled(self.before)

    @property
    def shares(self) -> Tensor:
        """Give the weights that take cells to pixels, ``(P, E)``."""
        return self.cells.weights * self.after.unsqueeze(1)

    @cached_property
    def kept(self) -> Tensor | None:
        """Give what is to be taken off again, ``(P, 1)``."""
        if self.own is None:
            return None
        return (self.before * self.own * self.after).unsqueeze(1)


@dataclass(frozen=True, eq=False)
class Pull:
    """The sum over kernels of mixture · (K Q), on rows: one row of L numbers a pixel.

    A mixture is weight · compatibility: a number, the diagonal of a matrix, or a matrix.

    Attributes:
        parts: The kernels.
        back: Whether blurs run in the reverse order: then this is the adjoint of the other.
    """

    parts: tuple[Part, ...]
    back: bool = False

    def __call__(self, rows: Tensor, mixtures: Sequence[Tensor]) -> Tensor:
        """Work the sum out; gradients flow to rows ``(P, L)`` and to mixtures.

        Autograd keeps the rows, and nothing else that is as large.
        """
        if not self.parts:
            return torch.zeros_like(rows)
        return cast(Tensor, _Pulled.apply(self, rows, *mixtures))

    @cached_property
    def turned(self) -> Pull:
        """Give the transpose; mixtures must be transposed too."""
        return Pull(tuple(part.turned for part in self.parts), not self.back)

    def reach(self, rows: Tensor) -> list[Tensor]:
        """Take rows to the cells of every kernel, ``(count, L)`` each."""
        return [part.gather(rows) for part in self.parts]

    def blurred(self, rows: Tensor) -> list[Tensor]:
        """Take rows to the cells of every kernel, and blur them there."""
        tables = zip(self.parts, self.reach(rows), strict=True)
        return [part.cells.blurred(table, self.back) for part, table in tables]

    def spread(self, tables: Sequence[Tensor], rows: Tensor, mixtures: Sequence[Tensor]) -> Tensor:
        """Mix cells and sum them up at the pixels, less what ``rows`` sent to themselves."""
        mixed = [_mix(table, mix) for table, mix in zip(tables, mixtures, strict=True)]
        found = self._slice(mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        for part, mix in zip(self.parts, mixtures, strict=True):
            if part.kept is not None:
                found -= _mix(rows * part.kept, mix)
        return found

    @cached_property
    def _slice(self) -> Bags:
        """Take all cells, kernel by kernel, to the pixels."""
        corners, total = [], 0
        for part in self.parts:
            corners.append(part.cells.corners + total)
            total += part.cells.count
        return regular(torch.cat(corners, 1), torch.cat([part.shares for part in self.parts], 1))


class _Pulled(Function):
    @staticmethod
    def forward(ctx: Any, pull: Pull, rows: Tensor, *mixtures: Tensor) -> Tensor:
        ctx.pull = pull
        ctx.save_for_backward(rows, *mixtures)
        return pull.spread(pull.blurred(rows), rows, mixtures)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slope = grads[0].contiguous()
        with torch.autocast(slope.device.type, enabled=False):
            return None, *_backward(ctx.pull, slope, ctx.saved_tensors, ctx.needs_input_grad[2:])


def _backward(
    pull: Pull, slope: Tensor, saved: Sequence[Tensor], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """Give the gradients to rows and mixtures; <g, K Q> = <Kᵀ g, Q>, and the cells hold Kᵀ g."""
    rows, *mixtures = saved
    tables = pull.turned.blurred(slope)
    flipped = [mix.mT if mix.ndim == 2 else mix for mix in mixtures]
    found: list[Tensor | None] = [pull.turned.spread(tables, slope, flipped)]
    if not any(wanted):
        return found + [None] * len(mixtures)
    each = zip(pull.parts, tables, pull.reach(rows), mixtures, strict=True)
    for part, table, sent, mix in each:
        pairs = table.T @ sent
        if part.kept is not None:
            pairs -= slope.T @ (rows * part.kept)
        found.append(_shape(pairs, mix))
    return found


def _mix(rows: Tensor, mixture: Tensor) -> Tensor:
    """Multiply every row by a number, a diagonal or a matrix."""
    return rows @ mixture.T if mixture.ndim == 2 else rows * mixture


def _shape(pairs: Tensor, mixture: Tensor) -> Tensor:
    """Keep of the slopes ``(L, L)`` what the mixture has a say in."""
    if mixture.ndim == 2:
        return pairs
    return pairs.diagonal() if mixture.ndim else pairs.trace()
