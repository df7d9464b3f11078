"""The messages of all kernels, Σ weight · compatibility · (K Q), and their adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .csr import CSRMatrix, FactoredKernel, uniform_rows


@dataclass(frozen=True, eq=False)
class NormalisedKernel:
    """One kernel with its normalisation: after · (K − diagonal) · before.

    Attributes:
        kernel: K.
        before: ``(P,)``.
        after: ``(P,)``; the same object as ``before`` where they are equal.
        diagonal: ``(P,)``: what is subtracted of the self terms; None keeps them.
    """

    kernel: FactoredKernel
    before: Tensor
    after: Tensor
    diagonal: Tensor | None

    @cached_property
    def transposed(self) -> NormalisedKernel:
        """The transpose, except that blurs still run forwards (see `Messages.reverse`)."""
        if self.before is self.after:
            return self
        return NormalisedKernel(self.kernel, self.after, self.before, self.diagonal)

    @cached_property
    def splat(self) -> CSRMatrix:
        """The matrix that takes rows of pixels to vertices, normalisation included."""
        return self.kernel.splat.scale_columns(self.before)

    @property
    def slice_weights(self) -> Tensor:
        """The weights that take vertices to pixels, ``(P, E)``, normalisation included."""
        return self.kernel.weights * self.after.unsqueeze(1)

    @cached_property
    def subtracted(self) -> Tensor | None:
        """What of each row of Q is subtracted from its messages, ``(P, 1)``; None is nothing."""
        if self.diagonal is None:
            return None
        return (self.before * self.diagonal * self.after).unsqueeze(1)


@dataclass(frozen=True, eq=False)
class Messages:
    """The sum over kernels of mixing · (K Q), on rows: one row of L numbers a pixel.

    A mixing is weight · compatibility: a number, the diagonal of a matrix, or a matrix.

    Attributes:
        kernels: The kernels.
        reverse: Whether blurs run in reverse order: with transposed kernels and mixings, this is
            then the adjoint.
    """

    kernels: tuple[NormalisedKernel, ...]
    reverse: bool = False

    def __call__(self, rows: Tensor, mixings: Sequence[Tensor]) -> Tensor:
        """Return the messages, ``(P, L)``; gradients flow to rows and to mixings.

        Autograd keeps the rows, and nothing else that is as large.

        Args:
            rows: Q, ``(P, L)``.
            mixings: One a kernel: ``()``, ``(L,)`` or ``(L, L)``.
        """
        if not self.kernels:
            return torch.zeros_like(rows)
        return cast(Tensor, _MessageFunction.apply(self, rows, *mixings))

    @cached_property
    def transposed(self) -> Messages:
        """The transpose, to be called with transposed mixings."""
        return Messages(tuple(one.transposed for one in self.kernels), not self.reverse)

    def splat(self, rows: Tensor) -> list[Tensor]:
        """Splat rows ``(P, L)`` on the vertices of every kernel, ``(count, L)`` each."""
        return [one.splat @ rows for one in self.kernels]

    def blur(self, rows: Tensor) -> list[Tensor]:
        """Splat rows ``(P, L)`` on the vertices of every kernel, and blur them there."""
        tables = zip(self.kernels, self.splat(rows), strict=True)
        return [one.kernel.blurred(table, self.reverse) for one, table in tables]

    def slice(self, tables: Sequence[Tensor], rows: Tensor, mixings: Sequence[Tensor]) -> Tensor:
        """Mix the labels of vertices, and slice them at the pixels; subtract self terms.

        Args:
            tables: Blurred values at the vertices of each kernel, ``(count, L)``.
            rows: Q, ``(P, L)``, whose self terms are subtracted where kernels say so.
            mixings: One a kernel.

        Returns:
            ``(P, L)``.
        """
        mixed = [_mix(table, mixing) for table, mixing in zip(tables, mixings, strict=True)]
        messages = self._slice @ (mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        for one, mixing in zip(self.kernels, mixings, strict=True):
            if one.subtracted is not None:
                messages -= _mix(rows * one.subtracted, mixing)
        return messages

    @cached_property
    def _slice(self) -> CSRMatrix:
        """The matrix that takes the vertices of all kernels, one after another, to pixels."""
        vertices, total = [], 0
        for one in self.kernels:
            vertices.append(one.kernel.vertices + total)
            total += one.kernel.count
        weights = [one.slice_weights for one in self.kernels]
        return uniform_rows(torch.cat(vertices, 1), torch.cat(weights, 1))


class _MessageFunction(Function):
    @staticmethod
    def forward(ctx: Any, messages: Messages, rows: Tensor, *mixings: Tensor) -> Tensor:
        ctx.messages = messages
        ctx.save_for_backward(rows, *mixings)
        return messages.slice(messages.blur(rows), rows, mixings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0].contiguous()
        needed = ctx.needs_input_grad[2:]
        with torch.autocast(grad.device.type, enabled=False):
            return None, *_backward(ctx.messages, grad, ctx.saved_tensors, needed)


def _backward(
    messages: Messages, grad: Tensor, saved: Sequence[Tensor], needed: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of rows and mixings.

    No further filtering is needed for mixings: <g, K Q> = <Kᵀ g, Q>, and Kᵀ g is at the vertices.
    """
    rows, *mixings = saved
    tables = messages.transposed.blur(grad)
    flipped = [mixing.mT if mixing.ndim == 2 else mixing for mixing in mixings]
    gradients: list[Tensor | None] = [messages.transposed.slice(tables, grad, flipped)]
    if not any(needed):
        return gradients + [None] * len(mixings)
    each = zip(messages.kernels, tables, messages.splat(rows), mixings, strict=True)
    for one, table, splatted, mixing in each:
        pairs = table.T @ splatted
        if one.subtracted is not None:
            pairs -= grad.T @ (rows * one.subtracted)
        gradients.append(_like_mixing(pairs, mixing))
    return gradients


def _mix(rows: Tensor, mixing: Tensor) -> Tensor:
    """Multiply every row by a number, a diagonal or a matrix."""
    return rows @ mixing.T if mixing.ndim == 2 else rows * mixing


def _like_mixing(pairs: Tensor, mixing: Tensor) -> Tensor:
    """Reduce the gradient of a full matrix, ``(L, L)``, to that of a diagonal or a number."""
    if mixing.ndim == 2:
        return pairs
    return pairs.diagonal() if mixing.ndim else pairs.trace()
