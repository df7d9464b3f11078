"""Whether a drawn scene hangs together: its mask against its classes, and against its image."""

from __future__ import annotations

import torch
from torch import Tensor

from scene.labels import Labels


def present(masks: Tensor, labels: Labels, least: float) -> Tensor:
    """Say which classes cover a share of each mask: ``(B, H, W)`` to ``(B, C)`` bool.

    Args:
        masks: Label ids.
        labels: The vocabulary.
        least: The smallest share of the pixels that counts; 0 = one pixel.

    >>> cats = Labels(("background", "cat", "dog"))
    >>> present(torch.tensor([[[0, 0, 0, 1], [0, 2, 2, 2]]]), cats, 0.25)
    tensor([[False,  True]])
    """
    flat = masks.flatten(1)
    shares = torch.stack([(flat == i).float().mean(-1) for i in labels.ids], dim=-1)
    return (shares > 0) & (shares >= least)


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
