"""What every dataset offers: scenes of one size by index, in batches, and at their own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..views import Scene, Schema, Views, stack

SPLITS = ("train", "tune", "val", "test")
"""Every split a dataset may have; ``tune`` is where settings are chosen."""


class SceneDataset(Dataset[Scene]):
    """Scenes of one split, resized and cropped to ``schema.size``.

    Attributes:
        splits: The splits that there are; a dataset of one's own may have fewer than `SPLITS`.
        name: What to call the dataset in file names and tables, such as ``synthetic-default``.
        split: One of the dataset's splits.
        schema: The labels, and the size of the scenes given.
        source: The text that opens it again, as ``--data`` takes it.
        augmentation: How training scenes are varied by default, see `scene.datasets.augment`.
        weak: How many of the scenes have a mask that is a pseudo-label.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    name: str
    split: str
    schema: Schema
    source: str
    augmentation: str = "none"
    weak: int = 0

    def __len__(self) -> int:
        """Count the scenes."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Scene:
        """Give one scene at ``schema.size``."""
        raise NotImplementedError

    def views(self, indices: Sequence[int]) -> Views:
        """Give a batch of scenes, in the order of ``indices``."""
        return stack([self[i] for i in indices], self.schema)

    def original(self, index: int) -> Scene:
        """Give one scene at the pixels it was stored with."""
        return self[index]

    def restore(self, probs: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Undo resizing and cropping.

        Args:
            probs: Per-pixel class probabilities ``(C, H, W)`` at ``schema.size``.
            index: The scene they were predicted for.

        Returns:
            Probabilities ``(C, H0, W0)`` at the stored pixels, and ``(H0, W0)`` bool: which of
            those pixels the crop covered.
        """
        return probs, torch.ones(probs.shape[-2:], dtype=torch.bool)

    def coverage(self) -> float:
        """Say which share of the stored pixels of all masks the crop covers, 0 to 1."""
        return 1.0
