"""Scenes of a folder in VOC layout: PASCAL VOC, an export of a labelling tool, or your own."""

from __future__ import annotations

from pathlib import Path

from ...sizes import STOCK_SIZE
from ...views import Schema
from .index import entries, labels_of
from .layouts import locate
from .scenes import FolderScenes, require_count, short_name


class VOCScenes(FolderScenes):
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
        require_count(size, count)
        schema = Schema(labels_of(folder), size)
        scenes = entries(folder, split, schema.labels)[:count]
        super().__init__(short_name(folder), folder, split, schema, scenes, augmentation)
