"""Whether two masks are of one scene, as when an image was drawn with one and shows another."""

from __future__ import annotations

import torch
from torch import Tensor

from .labels import Labels


def overlap(first: Tensor, second: Tensor, labels: Labels) -> Tensor:
    """Give the mean intersection over union of two masks, over the labels in either.

    Args:
        first: ``(B, H, W)`` label ids.
        second: The same.
        labels: The vocabulary.

    Returns:
        ``(B,)`` in [0, 1]; 1 only if they are alike.

    >>> overlap(torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 1]]]), Labels(("a", "b")))
    tensor([0.5833])
    """
    ids = torch.arange(len(labels.names), device=first.device).view(-1, 1, 1)
    a, b = first.flatten(1) == ids, second.flatten(1) == ids  # (labels, B, pixels)
    union = (a | b).sum(-1)
    ratios = (a & b).sum(-1) / union.clamp(min=1)
    return ratios.sum(0) / (union > 0).sum(0)
