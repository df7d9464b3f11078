"""Overlays: a photograph that its mask shines through."""

from __future__ import annotations

import torch
from torch import Tensor

from ..labels import VOID, Labels


def overlaid(image: Tensor, mask: Tensor, labels: Labels, opacity: float = 0.5) -> Tensor:
    """Lay a mask in its labels' colours over the photograph it belongs to.

    Args:
        image: ``(3, H, W)`` uint8.
        mask: ``(H, W)`` label ids; where it is 255 (void) the photograph stays as it is.
        labels: Whose colours to take.
        opacity: Of the mask, from 0 to 1.

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
