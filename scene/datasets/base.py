"""The base class of datasets, and datasets whose masks are weak or missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..views import Scene, Schema, Views, stack

SPLITS = ("train", "tune", "val", "test")
"""Every split a dataset may have; settings are selected on ``tune``."""


@dataclass(frozen=True, eq=False)
class Readings:
    """The masks that one image may have: p(mask | image), where it is known.

    Attributes:
        masks: ``(R, H, W)`` label ids, all different.
        probabilities: ``(R,)`` float64, above 0; they sum to 1.
    """

    masks: Tensor
    probabilities: Tensor


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

    def augmented_views(self, scenes: Sequence[Scene], indices: Sequence[int]) -> Views:
        """Return a batch of augmented scenes.

        Args:
            scenes: The scenes of ``indices``, augmented.
            indices: Their places in the dataset.
        """
        return stack(scenes, self.schema)

    def original(self, index: int) -> Scene:
        """Return one scene at its stored pixels."""
        return self[index]

    def restore(self, probs: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Map predictions back to the stored pixels, undoing resize and crop.

        Args:
            probs: Per-pixel class probabilities ``(C, H, W)`` at ``schema.size``.
            index: Index of the scene.

        Returns:
            Probabilities ``(C, H0, W0)`` at the stored pixels, and ``(H0, W0)`` bool: the pixels
            that the crop covers.
        """
        return probs, torch.ones(probs.shape[-2:], dtype=torch.bool)

    def readings(self, index: int) -> Readings:
        """Return every mask that the image of one scene may have, at ``schema.size``.

        Raises:
            LookupError: If the dataset has one mask an image, as most have.
        """
        raise LookupError(
            f"{self.name} has no readings: it does not say which masks an image may have; give "
            "synthetic:ambiguous, or a dataset of your own with a method readings."
        )

    def coverage(self) -> float:
        """Return the share of the stored pixels of all masks that the crop covers, 0 to 1."""
        return 1.0


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
