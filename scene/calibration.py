"""Calibration: confidence against accuracy, in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .labels import VOID

BINS = 15
"""Number of bins of equal width from 0 to 1."""


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of predictions, bin by bin.

    Attributes:
        counts: Number of predictions in each bin.
        confidence: Mean predicted probability in each bin; 0 in an empty bin.
        accuracy: Share of predictions in each bin that are true; 0 in an empty bin.
    """

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def count(self) -> int:
        """Number of predictions."""
        return sum(self.counts)

    @property
    def error(self) -> float:
        """The expected calibration error in percent: the mean of |confidence − accuracy|.

        Source:
            Guo et al. (2017), On Calibration of Modern Neural Networks, eq. 3,
            https://arxiv.org/abs/1706.04599
        """
        return self._average(
            [abs(c - a) for c, a in zip(self.confidence, self.accuracy, strict=True)]
        )

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus mean accuracy, in percent; positive = overconfident."""
        return self._average([c - a for c, a in zip(self.confidence, self.accuracy, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "count": self.count,
            "error": self.error if self.count else None,
            "overconfidence": self.overconfidence if self.count else None,
            "counts": list(self.counts),
            "confidence": list(self.confidence),
            "accuracy": list(self.accuracy),
        }

    def _average(self, values: list[float]) -> float:
        weighed = sum(n * value for n, value in zip(self.counts, values, strict=True))
        return 100 * weighed / self.count if self.count else float("nan")


class ReliabilityCounter:
    """Counts predictions in bins of confidence, batch by batch.

    >>> counter = ReliabilityCounter()
    >>> counter.add(torch.tensor([0.9, 0.9]), torch.tensor([True, False]))
    >>> round(counter.score().error, 3)
    40.0
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(3, BINS, dtype=torch.double)

    def add(self, confidence: Tensor, true: Tensor) -> None:
        """Add predictions.

        Args:
            confidence: Predicted probabilities, of any shape.
            true: Whether each is true, of the same shape.
        """
        confidence, true = (x.flatten().cpu().double() for x in (confidence, true))
        index = (confidence * BINS).long().clamp(0, BINS - 1)
        for row, values in enumerate((torch.ones_like(confidence), confidence, true)):
            self._sums[row].index_add_(0, index, values)

    def add_masks(self, probs: Tensor, true: Tensor) -> None:
        """Add the most probable label of every pixel that is not void.

        Args:
            probs: Label probabilities, ``(N, labels, H, W)``.
            true: Label ids, ``(N, H, W)``.
        """
        confidence, label = probs.max(1)
        known = true != VOID
        self.add(confidence[known], label[known] == true[known])

    def score(self) -> Reliability:
        """Return confidence and accuracy of all predictions, bin by bin."""
        counts, confidence, true = self._sums
        some = counts.clamp(min=1)
        return Reliability(
            tuple(int(n) for n in counts),
            tuple((confidence / some).tolist()),
            tuple((true / some).tolist()),
        )
