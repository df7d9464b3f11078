"""Scores: intersection over union of masks, F1 and average precision of class vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.functional.classification import binary_average_precision, binary_f1_score

from .labels import VOID, Labels


@dataclass(frozen=True)
class MaskScore:
    """How well predicted masks fit true ones.

    Attributes:
        iou: Intersection over union of each label, in percent; None for a label that occurs
            neither in truth nor in prediction, which is left out of the mean.
        miou: Their mean.
        accuracy: Share of pixels labelled rightly, in percent.
    """

    iou: dict[str, float | None]
    miou: float
    accuracy: float


@dataclass(frozen=True)
class ClassScore:
    """How well predicted classes fit true ones, in percent.

    Attributes:
        f1: F1 of each class that occurs.
        macro_f1: Their mean.
        ap: Average precision of each class that occurs.
        map: Their mean.
    """

    f1: dict[str, float | None]
    macro_f1: float
    ap: dict[str, float | None]
    map: float


class MaskScorer:
    """Counts pixels of truth against prediction, over any number of scenes.

    Args:
        labels: The vocabulary.

    >>> scorer = MaskScorer(Labels(("background", "cat")))
    >>> scorer.add(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 255]]))
    >>> scorer.score().miou
    100.0
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self._counts = MulticlassConfusionMatrix(max(2, len(labels.names)), ignore_index=VOID)

    def add(self, predicted: Tensor, true: Tensor) -> None:
        """Count masks of label ids of equal shape; pixels whose truth is 255 do not count."""
        self._counts.update(predicted.cpu(), true.cpu().to(torch.int64))

    @property
    def counts(self) -> Tensor:
        """Pixels by true label (row) and predicted label (column), ``(L, L)`` int64."""
        count = len(self.labels.names)
        found: Tensor = self._counts.confmat[:count, :count].clone()
        return found

    def add_counts(self, counts: Tensor) -> None:
        """Add what another scorer of the same labels has counted."""
        count = len(self.labels.names)
        self._counts.confmat[:count, :count] += counts

    def score(self) -> MaskScore:
        """Score all that was counted."""
        counts = self.counts.double()
        hits = counts.diag()
        union = counts.sum(0) + counts.sum(1) - hits
        iou = [100 * float(h / u) if u else None for h, u in zip(hits, union, strict=True)]
        total = float(counts.sum())
        accuracy = 100 * float(hits.sum()) / total if total else float("nan")
        return MaskScore(dict(zip(self.labels.names, iou, strict=True)), _mean(iou), accuracy)


def class_score(labels: Labels, probs: Tensor, true: Tensor, threshold: float = 0.5) -> ClassScore:
    """Score class probabilities against class vectors, both ``(N, C)``.

    For F1 a class is present above the threshold. One that never occurs in truth is left out of
    the means.
    """
    f1: dict[str, float | None] = dict.fromkeys(labels.classes)
    ap: dict[str, float | None] = dict.fromkeys(labels.classes)
    columns = zip(labels.classes, probs.cpu().T, true.cpu().long().T, strict=True)
    for name, guess, truth in columns:
        if truth.any():
            f1[name] = 100 * float(binary_f1_score(guess, truth, threshold))
            ap[name] = 100 * float(binary_average_precision(guess, truth))
    return ClassScore(f1, _mean(f1.values()), ap, _mean(ap.values()))


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
