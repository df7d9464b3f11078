"""Overlays: an image with its mask in colour over it.

torchvision's `draw_segmentation_masks` is not used: it truncates where this rounds, needs one
boolean mask for each label, and would load torchvision in every `scene segment`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..labels import VOID, Labels


def overlaid(image: Tensor, mask: Tensor, labels: Labels, opacity: float = 0.5) -> Tensor:
    """Blend an image with its mask in the labels' colours.

    Args:
        image: ``(3, H, W)`` uint8.
        mask: Label ids ``(H, W)``; void pixels (255) of the image do not change.
        labels: The vocabulary, with colours.
        opacity: Opacity of the mask, from 0 to 1.

    Returns:
        ``(3, H, W)`` uint8.

    >>> grey = torch.full((3, 1, 2), 100, dtype=torch.uint8)
    >>> overlaid(grey, torch.tensor([[0, 255]]), Labels(("sky",), ((0, 0, 200),)))[:, 0].tolist()
    [[50, 100], [50, 100], [150, 100]]
    """
    mask = mask.cpu()
    colours = torch.from_numpy(labels.palette)[mask.long()].permute(2, 0, 1)
    mixed = torch.lerp(image.cpu().float(), colours.float(), opacity).round().to(torch.uint8)
    return torch.where(mask == VOID, image.cpu(), mixed)
