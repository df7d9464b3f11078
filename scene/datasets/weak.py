"""Weak labels in training: datasets without masks, and weak masks with a smaller weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..views import Scene, Views
from .base import SceneDataset


class ImageLevel(SceneDataset):
    """A dataset without its masks: images and classes only.

    An augmented scene keeps its classes, since without a mask it is not known which of them a
    crop removed.

    Args:
        scenes: The dataset.
    """

    def __init__(self, scenes: SceneDataset) -> None:
        self.scenes = scenes
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema, self.augmentation = scenes.schema, scenes.augmentation

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene, without its mask."""
        return replace(self.scenes[index], mask=None)

    def views(self, indices: Sequence[int]) -> Views:
        """Return a batch of scenes without masks."""
        return self.scenes.views(indices).only(("image", "classes"))


class WeightedWeakMasks(SceneDataset):
    """A dataset with a weight for the log likelihood of its weak masks.

    A guide conditions on a weak mask as on any other: q(z | …, mask) must learn what such a mask
    says of its scene, while the decoder need not fit its errors as closely. With weight 0, weak
    masks and the classes read from them are left out, for the model and for the guide.

    Args:
        scenes: The dataset.
        weight: Factor of the log likelihood of a weak view.

    Raises:
        ValueError: If no scene has a weak mask.
    """

    def __init__(self, scenes: SceneDataset, weight: float) -> None:
        if not scenes.weak:
            raise ValueError(
                f"The split {scenes.split!r} of {scenes.name} has no weak masks for a weight of "
                f"{weight:g}; list them in ImageSets/Segmentation/weak.txt, as scene pseudo-label "
                "does, or leave --weak-weight out."
            )
        self.scenes, self.weight = scenes, weight
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema, self.augmentation = scenes.schema, scenes.augmentation
        self.weak = scenes.weak if weight else 0

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene, with the weights of its weak views."""
        scene = self.scenes[index]
        if self.weight:
            return replace(scene, likelihood_weights=dict.fromkeys(scene.weak, self.weight))
        classes = None if "classes" in scene.weak else scene.classes
        return replace(scene, classes=classes, mask=None, weak=()) if scene.weak else scene
