"""Calibration: whether what is said with probability p comes true that often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .labels import VOID

BINS = 15
"""Equal parts of 0 to 1 that probabilities are sorted into."""


@dataclass(frozen=True)
class Reliability:
    """What came of probabilities, bin by bin.

    Attributes:
        counts: How many probabilities fell into each bin.
        said: Their mean, 0 where there are none.
        true: The share of them that came true, likewise.
    """

    counts: tuple[int, ...]
    said: tuple[float, ...]
    true: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many probabilities there were."""
        return sum(self.counts)

    @property
    def error(self) -> float:
        """The expected calibration error in percent: how far ``said`` and ``true`` are apart.

        Source:
            Guo et al. (2017), On Calibration of Modern Neural Networks, eq. 3,
            https://arxiv.org/abs/1706.04599
        """
        return self._average([abs(s - t) for s, t in zip(self.said, self.true, strict=True)])

    @property
    def excess(self) -> float:
        """The mean probability less the share that came true, in percent: above 0, too sure."""
        return self._average([s - t for s, t in zip(self.said, self.true, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "count": self.count,
            "error": self.error if self.count else None,
            "excess": self.excess if self.count else None,
            "counts": list(self.counts),
            "said": list(self.said),
            "true": list(self.true),
        }

    def _average(self, values: list[float]) -> float:
        weighed = sum(n * value for n, value in zip(self.counts, values, strict=True))
        return 100 * weighed / self.count if self.count else float("nan")


class Calibrator:
    """Sorts probabilities into bins, in any number of helpings.

    >>> calibrator = Calibrator()
    >>> calibrator.add(torch.tensor([0.9, 0.9]), torch.tensor([True, False]))
    >>> round(calibrator.found().error, 3)
    40.0
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(3, BINS, dtype=torch.double)

    def add(self, said: Tensor, true: Tensor) -> None:
        """Take in probabilities and whether each came true, both of one shape."""
        said, true = said.flatten().cpu().double(), true.flatten().cpu().double()
        index = (said * BINS).long().clamp(0, BINS - 1)
        for row, values in enumerate((torch.ones_like(said), said, true)):
            self._sums[row].index_add_(0, index, values)

    def add_masks(self, probs: Tensor, true: Tensor) -> None:
        """Take in the most probable label of every pixel that is not void.

        Args:
            probs: Label probabilities, ``(N, labels, H, W)``.
            true: Label ids, ``(N, H, W)``.
        """
        said, label = probs.max(1)
        known = true != VOID
        self.add(said[known], label[known] == true[known])

    def found(self) -> Reliability:
        """Say what came of all of them."""
        counts, said, true = self._sums
        some = counts.clamp(min=1)
        return Reliability(
            tuple(int(n) for n in counts),
            tuple((said / some).tolist()),
            tuple((true / some).tolist()),
        )
