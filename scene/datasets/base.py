"""The base class of datasets: scenes of one size by index, in batches, and at stored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..views import Scene, Schema, Views, stack

SPLITS = ("train", "tune", "val", "test")
"""Every split a dataset may have; settings are selected on ``tune``."""


class SceneDataset(Dataset[Scene]):
    """Scenes of one split, resized and cropped to ``schema.size``.

    Attributes:
        splits: The splits that there are; a dataset of one's own may have fewer than `SPLITS`.
        name: Its name in file names and tables, such as ``synthetic-default``.
        split: One of the dataset's splits.
        schema: The labels, and the size of scenes.
        source: The text that opens it, as of ``--data``.
        augmentation: Default augmentation of training scenes, see `scene.datasets.augment`.
        weak: Number of scenes whose mask is a pseudo-label.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    name: str
    split: str
    schema: Schema
    source: str
    augmentation: str = "none"
    weak: int = 0

    def __len__(self) -> int:
        """Return the number of scenes."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Scene:
        """Return one scene at ``schema.size``."""
        raise NotImplementedError

    def views(self, indices: Sequence[int]) -> Views:
        """Return a batch of scenes, in the order of ``indices``."""
        return stack([self[i] for i in indices], self.schema)

    def original(self, index: int) -> Scene:
        """Return one scene at its stored pixels."""
        return self[index]

    def restore(self, probs: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Map predictions back to the stored pixels, undoing resize and crop.

        Args:
            probs: Per-pixel class probabilities ``(C, H, W)`` at ``schema.size``.
            index: Of the scene.

        Returns:
            Probabilities ``(C, H0, W0)`` at the stored pixels, and ``(H0, W0)`` bool: the pixels
            that the crop covers.
        """
        return probs, torch.ones(probs.shape[-2:], dtype=torch.bool)

    def coverage(self) -> float:
        """Return the share of the stored pixels of all masks that the crop covers, 0 to 1."""
        return 1.0
