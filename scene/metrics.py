"""Scores: intersection over union of masks, F1 and average precision of class vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.classification import (
    MulticlassConfusionMatrix,
    MultilabelAveragePrecision,
    MultilabelF1Score,
)

from scene.labels import VOID, Labels


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
        f1: F1 at a probability of one half, of each class that occurs.
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
        self._counts = MulticlassConfusionMatrix(len(labels.names), ignore_index=VOID)

    def add(self, predicted: Tensor, true: Tensor) -> None:
        """Count masks of label ids of equal shape; pixels whose truth is 255 do not count."""
        self._counts.update(predicted.cpu(), true.cpu().long())

    def score(self) -> MaskScore:
        """Score all that was counted."""
        counts = self._counts.confmat.double()
        hits = counts.diag()
        union = counts.sum(0) + counts.sum(1) - hits
        iou = [100 * float(h / u) if u else None for h, u in zip(hits, union, strict=True)]
        total = float(counts.sum())
        accuracy = 100 * float(hits.sum()) / total if total else float("nan")
        return MaskScore(dict(zip(self.labels.names, iou, strict=True)), _mean(iou), accuracy)


def class_score(labels: Labels, probs: Tensor, true: Tensor) -> ClassScore:
    """Score class probabilities against class vectors, both ``(N, C)``.

    A class that never occurs in truth is left out of the means.
    """
    count, truth = len(labels.classes), true.cpu().long()
    occurs = truth.any(0).tolist()
    found = []
    for metric in (
        MultilabelF1Score(count, average=None),
        MultilabelAveragePrecision(count, average=None),
    ):
        values = 100 * torch.atleast_1d(metric(probs.cpu(), truth))
        found.append(
            [float(v) if there else None for v, there in zip(values, occurs, strict=True)]
        )
    f1, ap = found
    names = labels.classes
    return ClassScore(
        dict(zip(names, f1, strict=True)), _mean(f1), dict(zip(names, ap, strict=True)), _mean(ap)
    )


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
