"""The mean and the deviation of what is seen in training, to standardise it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST = 1e-4
"""The least deviation: of a number that never varies it is not known."""


class Moments(nn.Module):
    """The mean and deviation of numbers over all batches counted so far, each batch alike.

    Before the first they are 0 and 1.

    Args:
        size: N, how many numbers.
    """

    mean: Tensor
    deviation: Tensor
    batches: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def count(self, mean: Tensor, square: Tensor) -> None:
        """Count a batch.

        Args:
            mean: Of its numbers, ``(N,)``.
            square: The mean of their squares, ``(N,)``.
        """
        self.batches += 1
        share = 1 / self.batches
        squares = self.deviation.square() + self.mean.square()
        squares = squares + (square - squares) * share
        self.mean += (mean - self.mean) * share
        variance = squares - self.mean.square()
        self.deviation.copy_(variance.clamp(min=LEAST**2).sqrt())

    @torch.no_grad()
    def count_rows(self, values: Tensor) -> None:
        """Count a batch of vectors ``(B, N)`` or of maps ``(B, N, rows, columns)``; B may be 0."""
        if not len(values):
            return
        others = [place for place in range(values.dim()) if place != 1]
        self.count(values.mean(others), values.square().mean(others))

    def forward(self, values: Tensor) -> Tensor:
        """Standardise vectors ``(B, N)`` or maps ``(B, N, rows, columns)``."""
        shape = (-1, *[1] * (values.dim() - 2))
        return (values - self.mean.view(shape)) / self.deviation.view(shape)
