"""Scores: intersection over union of masks, F1 and average precision of class vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .labels import VOID, Labels


@dataclass(frozen=True)
class MaskScore:
    """Scores of predicted masks against true ones.

    Attributes:
        iou: Intersection over union of each label, in percent; None for a label that occurs
            neither in truth nor in prediction, which is left out of the mean.
        miou: Mean of ``iou``.
        accuracy: Share of correctly labelled pixels, in percent.
    """

    iou: dict[str, float | None]
    miou: float
    accuracy: float


@dataclass(frozen=True)
class ClassScore:
    """Scores of predicted classes against true ones, in percent.

    Attributes:
        f1: F1 of each class that occurs.
        macro_f1: Mean of ``f1``.
        ap: Average precision of each class that occurs.
        map: Mean of ``ap``.
    """

    f1: dict[str, float | None]
    macro_f1: float
    ap: dict[str, float | None]
    map: float


class MaskScorer:
    """The confusion matrix of masks over any number of scenes, and scores from it.

    Args:
        labels: The vocabulary.

    >>> scorer = MaskScorer(Labels(("background", "cat")))
    >>> scorer.add(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 255]]))
    >>> scorer.score().miou
    100.0
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self._counts = torch.zeros(len(labels.names), len(labels.names), dtype=torch.int64)

    def add(self, predicted: Tensor, true: Tensor) -> None:
        """Add masks of label ids of the same shape; pixels whose truth is 255 do not count.

        Raises:
            ValueError: If the shapes differ, or an id is no label's.
        """
        if predicted.shape != true.shape:
            raise ValueError(
                f"A mask {tuple(predicted.shape)} cannot be scored against one of "
                f"{tuple(true.shape)}; give both one size."
            )
        count, known = len(self.labels.names), true.cpu() != VOID
        rows, columns = (ids.cpu()[known].to(torch.int64) for ids in (true, predicted))
        for name, ids in (("ground truth", rows), ("prediction", columns)):
            if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < count:
                raise ValueError(f"The {name} holds an id that is none of the {count} labels.")
        pairs = torch.bincount(rows * count + columns, minlength=count * count)
        self._counts += pairs.view(count, count)

    @property
    def counts(self) -> Tensor:
        """Pixels by true label (row) and predicted label (column), ``(L, L)`` int64."""
        return self._counts.clone()

    def add_counts(self, counts: Tensor) -> None:
        """Add the counts of another scorer of the same labels."""
        self._counts += counts

    def score(self) -> MaskScore:
        """Return the scores of all masks added."""
        counts = self.counts.double()
        hits = counts.diag()
        union = counts.sum(0) + counts.sum(1) - hits
        iou = [100 * float(h / u) if u else None for h, u in zip(hits, union, strict=True)]
        total = float(counts.sum())
        accuracy = 100 * float(hits.sum()) / total if total else float("nan")
        return MaskScore(dict(zip(self.labels.names, iou, strict=True)), _mean(iou), accuracy)


def class_score(labels: Labels, probs: Tensor, true: Tensor, threshold: float = 0.5) -> ClassScore:
    """Score class probabilities against class vectors, both ``(N, C)``.

    For F1 a class is present above the threshold. A class that never occurs in truth is left out
    of the means.
    """
    f1: dict[str, float | None] = dict.fromkeys(labels.classes)
    ap: dict[str, float | None] = dict.fromkeys(labels.classes)
    columns = zip(labels.classes, probs.cpu().T, true.cpu().long().T, strict=True)
    for name, guess, truth in columns:
        if truth.any():
            f1[name] = 100 * _f1(guess > threshold, truth.bool())
            ap[name] = 100 * _average_precision(guess, truth)
    return ClassScore(f1, _mean(f1.values()), ap, _mean(ap.values()))


def _f1(predicted: Tensor, true: Tensor) -> float:
    """Return the F1 of one class over N scenes, both ``(N,)`` bool."""
    hits = (predicted & true).sum()
    return float(2 * hits / (predicted.sum() + true.sum()))


def _average_precision(probs: Tensor, true: Tensor) -> float:
    """Return the area under precision over recall, as a step function; both ``(N,)``.

    Scenes of equal probability are ranked together.
    """
    order = probs.argsort(descending=True)
    ranked = probs[order]
    ends = (ranked[1:] != ranked[:-1]).nonzero().squeeze(-1)
    last = torch.cat([ends, ends.new_tensor([len(order) - 1])])
    hits = true[order].cumsum(0)[last]
    precision = (hits / (last + 1)).flip(0)
    recall = torch.cat([(hits / hits[-1]).flip(0), torch.zeros(1)])
    return -float(((recall[1:] - recall[:-1]) * precision).sum())


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
