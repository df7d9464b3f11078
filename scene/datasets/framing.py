"""Framing: resize and crop of an image of any shape to a fixed size, and the inverse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Frame:
    """Resize until the image just covers a size, then crop the centre.

    Images are resized bilinearly with antialiasing, masks by nearest neighbour. Both keep pixel
    centres, so an image and its mask stay aligned.

    Args:
        original: Stored height and width, in pixels.
        size: Height and width of the result, in pixels.

    >>> Frame((200, 100), (64, 64)).resized
    (128, 64)
    """

    original: tuple[int, int]
    size: tuple[int, int]

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width after resizing, before the crop: one of them is that of ``size``."""
        scale = max(new / old for new, old in zip(self.size, self.original, strict=True))
        height, width = (
            max(new, round(old * scale)) for new, old in zip(self.size, self.original, strict=True)
        )
        return height, width

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the resized image at which the crop begins."""
        (height, width), (tall, wide) = self.size, self.resized
        return (tall - height) // 2, (wide - width) // 2

    @property
    def covered(self) -> Tensor:
        """The stored pixels whose centre is within the crop, ``(H0, W0)`` bool."""
        down, across = (
            (at >= 0) & (at < extent) for at, extent in zip(self._places, self.size, strict=True)
        )
        return down[:, None] & across[None, :]

    @property
    def _places(self) -> tuple[Tensor, ...]:
        """The centre of each stored row and column in the crop, in pixels of the crop."""
        return tuple(
            (torch.arange(old) + 0.5) * (new / old) - start
            for old, new, start in zip(self.original, self.resized, self.corner, strict=True)
        )

    def apply_image(self, image: Tensor) -> Tensor:
        """Frame an image ``(3, H0, W0)`` as ``(3, H, W)``, of the same type."""
        if self.resized != self.original:
            image = functional.interpolate(
                image[None], self.resized, mode="bilinear", antialias=True
            )[0]
        return self._crop(image)

    def apply_mask(self, mask: Tensor) -> Tensor:
        """Frame label ids ``(H0, W0)`` as ``(H, W)``; no id appears that was not there."""
        if self.resized != self.original:
            values = mask if mask.dtype == torch.uint8 else mask.float()
            mask = functional.interpolate(values[None, None], self.resized, mode="nearest-exact")[
                0, 0
            ].to(mask.dtype)
        return self._crop(mask)

    def undo(self, probs: Tensor) -> tuple[Tensor, Tensor]:
        """Map per-pixel probabilities back to the stored pixels, bilinearly.

        Args:
            probs: ``(C, H, W)`` float.

        Returns:
            ``(C, H0, W0)``, and `covered`. Outside the crop they are those of the nearest edge.
        """
        covered = self.covered.to(probs.device)
        if self.resized == self.original == self.size:
            return probs, covered
        down, across = (
            2 * at.to(probs.device) / extent - 1
            for at, extent in zip(self._places, self.size, strict=True)
        )  # for grid_sample, -1 and 1 are the outer edges of the crop
        grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)[None]
        back = functional.grid_sample(
            probs[None], grid.to(probs.dtype), padding_mode="border", align_corners=False
        )
        return back[0], covered

    def _crop(self, picture: Tensor) -> Tensor:
        (top, left), (height, width) = self.corner, self.size
        return picture[..., top : top + height, left : left + width].contiguous()
