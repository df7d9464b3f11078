"""Scenes with their masks hidden: what learning from image-level labels may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scene.datasets.base import SceneDataset
from scene.views import Scene, Views


class ImageLevel(SceneDataset):
    """A dataset of which only images and classes are known.

    A scene that is varied keeps its classes, since nothing tells which of them a crop left out.

    Args:
        scenes: The dataset.
    """

    def __init__(self, scenes: SceneDataset) -> None:
        self.scenes = scenes
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema, self.augmentation = scenes.schema, scenes.augmentation

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Give one scene, without its mask."""
        return replace(self.scenes[index], mask=None)

    def views(self, indices: Sequence[int]) -> Views:
        """Give a batch of scenes; none holds a mask."""
        return self.scenes.views(indices).only(("image", "classes"))
