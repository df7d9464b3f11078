"""Files of weak masks: a cache for interrupted calls, overlays, and a contact sheet."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.figures.sheet import Thumbnail, draw_sheet, labels_by_area, thumbnail
from scene.images.io import read_mask, write_image, write_mask
from scene.images.legend import with_legend
from scene.images.overlay import overlaid
from scene.labels import Labels
from scene.storage.names import within

from .cache import digest

OVERLAYS, SHEET = "overlays", "contact-sheet.png"
"""The folder of overlays in a dataset's folder, and the contact sheet beside it."""

OVERLAY_SIDE = 1024
"""Longest side of an overlay, in pixels: those of larger photographs are shrunk."""


class MaskCache:
    """Weak masks on disk, so that an interrupted call need not compute them again.

    Args:
        folder: The folder for them; made when the first is written.
        labels: The vocabulary.
        key: The digest of everything else that the masks depend on.
    """

    def __init__(self, folder: Path, labels: Labels, key: str) -> None:
        self.folder, self.labels, self.key = folder, labels, key

    def get(self, name: str, picture: Path | Tensor, size: tuple[int, int]) -> Tensor | None:
        """Return the mask of a photograph of some size, ``(H, W)`` uint8; None = there is none."""
        path = self._path(name, picture)
        try:
            mask = read_mask(path, self.labels).to(torch.uint8)
        except (OSError, ValueError):
            return None
        return mask if mask.shape == size else None

    def put(self, name: str, picture: Path | Tensor, mask: Tensor) -> None:
        """Write the mask of a photograph."""
        write_mask(self._path(name, picture), mask, self.labels)

    def remove(self) -> None:
        """Remove all masks."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, picture: Path | Tensor) -> Path:
        state: tuple[int, ...] = ()
        if isinstance(picture, Path):
            stat = picture.stat()
            state = (stat.st_size, stat.st_mtime_ns)
        return self.folder / f"{digest(self.key, name, state)}.png"


class MaskPictures:
    """Overlays of weak masks and a contact sheet of some, in a dataset's folder.

    Args:
        labels: The vocabulary.
        scenes: How many scenes there will be.
        shown: How many of them, chosen by the seed, are on the contact sheet.
        seed: Seed of the choice.
        title: Title of the contact sheet.
        overlays: Whether overlays are written.
    """

    def __init__(
        self,
        labels: Labels,
        scenes: int,
        shown: int = 36,
        seed: int = 0,
        title: str = "",
        overlays: bool = True,
    ) -> None:
        self.labels, self.title, self.overlays = labels, title, overlays
        order = torch.randperm(scenes, generator=torch.Generator().manual_seed(seed))
        self._shown = set(order[:shown].tolist())
        self._thumbnails: list[Thumbnail] = []
        self._count = 0

    def add(
        self, folder: Path, name: str, image: Tensor, mask: Tensor, classes: Tensor | None = None
    ) -> None:
        """Draw the next scene.

        Args:
            folder: The dataset's folder.
            name: Name of the scene.
            image: ``(3, H, W)`` uint8.
            mask: Label ids ``(H, W)``.
            classes: Image-level labels ``(C,)``, for the caption; None = not known.
        """
        if self._count in self._shown:
            tags = "" if classes is None else f": {', '.join(self.labels.decode(classes)) or '–'}"
            self._thumbnails.append(thumbnail(f"{name}{tags}", image, mask, self.labels))
        self._count += 1
        if self.overlays:
            path = within(folder, folder / OVERLAYS / f"{name}.jpg")
            write_image(path, _overlay(image, mask, self.labels))

    def finish(self, folder: Path) -> None:
        """Draw the contact sheet."""
        if self._thumbnails:
            draw_sheet(folder / SHEET, self._thumbnails, self.labels, self.title)


def _overlay(image: Tensor, mask: Tensor, labels: Labels) -> Tensor:
    """Return an overlay with a legend of its labels, of at most `OVERLAY_SIDE` pixels a side."""
    height, width = image.shape[1:]
    scale = min(1.0, OVERLAY_SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
        mask = F.interpolate(mask[None, None].float(), size, mode="nearest")[0, 0].to(torch.uint8)
    return with_legend(overlaid(image, mask, labels), labels, labels_by_area(mask, labels))
