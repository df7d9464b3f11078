"""The threshold above which a class counts as present: chosen where settings are chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.discriminative import ClassifiedScene

from ..build import Assembly
from ..prediction.predict import predict

CANDIDATES = tuple(round(0.01 * n, 2) for n in range(5, 96))
"""Thresholds that may be chosen."""


def calibrate(assembly: Assembly, dataset: SceneDataset, batch_size: int = 50) -> float:
    """Set a classifier's threshold to the best for these scenes, by macro-F1.

    Args:
        assembly: The classifier; its model keeps the threshold with its weights.
        dataset: Where settings are chosen, such as the ``tune`` split.
        batch_size: Scenes at once.

    Returns:
        The threshold; 0.5 where no scene has known classes.
    """
    assert isinstance(assembly.model, ClassifiedScene)
    probs, true = [], []
    assembly.model.eval()
    for first in range(0, len(dataset), batch_size):
        views = dataset.views(range(first, min(len(dataset), first + batch_size)))
        views = views.rows(views.having(("image", "classes"))).only(("image", "classes"))
        if len(views):
            views = views.to(next(assembly.model.parameters()).device)
            prediction = predict(assembly, views.only(("image",)), ["classes"])
            probs.append(prediction.views["classes"].cpu())
            true.append(views["classes"].cpu())
    chosen = best_threshold(torch.cat(probs), torch.cat(true)) if true else 0.5
    assembly.model.threshold = chosen
    return chosen


def best_threshold(probs: Tensor, true: Tensor) -> float:
    """Find the candidate of highest macro-F1, and of equals the one nearest to one half.

    Args:
        probs: Class probabilities, ``(N, C)``.
        true: Class vectors, ``(N, C)``; a class that never occurs is left out.

    >>> best_threshold(torch.tensor([[0.2], [0.4], [0.1]]), torch.tensor([[1.0], [1.0], [0.0]]))
    0.19
    """
    there = true.bool()[:, true.any(0)]
    guess = probs[:, true.any(0)]
    scores = {t: float(_f1(guess > t, there).mean()) for t in CANDIDATES}
    return max(CANDIDATES, key=lambda t: (scores[t], -abs(t - 0.5)))


def _f1(guess: Tensor, true: Tensor) -> Tensor:
    """Score each class: ``(C,)``."""
    hits = (guess & true).sum(0)
    return 2 * hits / (guess.sum(0) + true.sum(0))
