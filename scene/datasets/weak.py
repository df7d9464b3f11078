"""Weak labels in training: scenes with their masks hidden, or with weak masks that count less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..views import Scene, Views
from .base import SceneDataset


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


class Trusted(SceneDataset):
    """A dataset whose weak masks count less in learning: their log likelihood, times a weight.

    A guide reads a weak mask as it reads any other: q(z | …, mask) has to learn what such a mask
    says of its scene, while the generator need not explain its errors so closely. With weight 0
    weak masks are hidden, and so are classes read from them: neither is scored, and no guide
    takes them for evidence.

    Args:
        scenes: The dataset.
        weight: What the log likelihood of a weak view is multiplied by.

    Raises:
        ValueError: If no scene has a weak mask.
    """

    def __init__(self, scenes: SceneDataset, weight: float) -> None:
        if not scenes.weak:
            raise ValueError(
                f"The split {scenes.split!r} of {scenes.name} has no weak masks to be weighed by "
                f"{weight:g}; list them in ImageSets/Segmentation/weak.txt, as scene pseudo-label "
                "does, or leave --weak-weight out."
            )
        self.scenes, self.weight = scenes, weight
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema, self.augmentation = scenes.schema, scenes.augmentation
        self.weak = scenes.weak if weight else 0

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Give one scene, and say what its weak views count."""
        scene = self.scenes[index]
        if self.weight:
            return replace(scene, weights=dict.fromkeys(scene.weak, self.weight))
        classes = None if "classes" in scene.weak else scene.classes
        return replace(scene, classes=classes, mask=None, weak=()) if scene.weak else scene
