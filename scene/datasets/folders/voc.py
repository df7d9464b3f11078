"""Scenes of a folder in VOC layout: PASCAL VOC, an export of a labelling tool, or your own."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from ...images.io import picture_size, read_image, read_mask_of
from ...sizes import STOCK_SIZE, require_size
from ...views import Scene, Schema
from ..base import SceneDataset
from ..framing import Frame
from .index import Entry, entries, labels_of
from .layouts import locate

CACHE_BYTES = 2**30
"""Bytes of a dataset that are kept in memory, so that later epochs need not decode images."""


class VOCScenes(SceneDataset):
    """The scenes of one split of a folder in VOC layout.

    A split has the scenes of ``ImageSets/Segmentation/<split>.txt``, with masks, and then the
    other scenes of ``ImageSets/Main/<split>.txt``, with image-level labels. The class vector of a
    scene with a mask is computed from the framed mask; that of another scene is read from
    ``ImageSets/Main``, or None if it is not there. About a tenth of ``train`` is held out as
    ``tune`` if the folder has no ``tune`` of its own.

    Scenes of ``ImageSets/Segmentation/weak.txt`` have weak masks. Their class vector is that of
    ``ImageSets/Main``; if it is not there it is computed from the weak mask, and is weak, too.

    Args:
        root: The folder, or one with VOCdevkit/VOC2012 in it.
        split: One of `scene.datasets.folders.index.splits`.
        size: Height and width of scenes, in pixels.
        augmentation: Default augmentation of training scenes.
        count: Use the first so many scenes only; None = all.

    Raises:
        LookupError: If the folder has no such split, or its labels are not known.
        FileNotFoundError: If the folder, an image or a mask is missing.
        ValueError: If the split is empty, the folder's lists contradict each other, or the size
            is too small. Reading a scene raises it, too, if its image or mask is damaged or their
            sizes differ.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        size: tuple[int, int] = STOCK_SIZE,
        *,
        augmentation: str = "flip",
        count: int | None = None,
    ) -> None:
        folder = locate(root)
        require_size(size)
        if count is not None and count < 1:
            raise ValueError(f"A dataset has at least one scene, not {count}.")
        self.name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "folder"
        self.split = split
        self.schema = Schema(labels_of(folder), size)
        self.source = str(folder)
        self.augmentation = augmentation
        self.entries = entries(folder, split, self.schema.labels)[:count]
        self.weak = sum(entry.weak for entry in self.entries)
        self._cache: dict[int, Scene] = {}
        self._cache_left = CACHE_BYTES

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.entries)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene at ``schema.size``; its tensors are shared and must not be changed."""
        index = range(len(self))[index]
        if index not in self._cache:
            scene = self._framed(index)
            views = (scene.image, scene.classes, scene.mask)
            used = sum(view.nbytes for view in views if view is not None)
            if used > self._cache_left:
                return scene
            self._cache_left -= used
            self._cache[index] = scene
        return self._cache[index]

    def original(self, index: int) -> Scene:
        """Return one scene at its stored pixels."""
        entry, labels = self.entries[index], self.schema.labels
        image = read_image(entry.image)
        if entry.mask is None:
            return Scene(image, entry.classes, None, entry.name)
        mask = read_mask_of(entry.mask, labels, entry.image, entry.unturned)
        if mask.shape != image.shape[1:]:
            (h, w), (tall, wide) = image.shape[1:], mask.shape
            turned = (h, w) == (wide, tall)
            advice = (
                "were they exported with different rotations?"
                if turned
                else "export both at one size."
            )
            raise ValueError(f"{entry.image} is {w}×{h} but its mask is {wide}×{tall}; {advice}")
        return self._scene(entry, image, mask)

    def restore(self, probs: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Map predictions back to the stored pixels, see `SceneDataset.restore`."""
        stored = picture_size(self.entries[index].image)
        return Frame(stored, self.schema.size).undo(probs)

    def coverage(self) -> float:
        """Return the share of the masks that the crop covers, see `SceneDataset.coverage`."""
        stored = covered = 0
        for entry in self.entries:
            if entry.mask is not None:
                inside = Frame(picture_size(entry.image), self.schema.size).covered
                stored, covered = stored + inside.numel(), covered + int(inside.sum())
        return covered / stored if stored else 1.0

    def _framed(self, index: int) -> Scene:
        """Read one scene and frame it to ``schema.size``."""
        scene = self.original(index)
        assert scene.image is not None
        height, width = scene.image.shape[1:]
        frame = Frame((height, width), self.schema.size)
        image = frame.apply_image(scene.image)
        if scene.mask is None:
            return Scene(image, scene.classes, None, scene.name)
        return self._scene(self.entries[index], image, frame.apply_mask(scene.mask))

    def _scene(self, entry: Entry, image: Tensor, mask: Tensor) -> Scene:
        """Return a scene with a mask, and with its known classes or those in the mask."""
        if entry.weak and entry.classes is not None:
            return Scene(image, entry.classes, mask, entry.name, ("mask",))
        weak = ("classes", "mask") if entry.weak else ()
        return Scene(image, self.schema.labels.vector(mask), mask, entry.name, weak)
