"""Scenes of an index: photographs with image-level labels, or with drawings as their masks."""

from __future__ import annotations

from pathlib import Path

from ...sizes import STOCK_SIZE
from ...views import Schema
from ..folders.index import Entry
from ..folders.scenes import FolderScenes, require_count, short_name
from .index import ImageIndex


class ImageLevelScenes(FolderScenes):
    """The scenes of one split of an index: photographs with a class vector each, or a drawing.

    A scene of no label has the class vector 0: none of the classes is in it. The class vector of
    a scene with a drawing is computed from its mask.

    Args:
        index: The photographs and their labels.
        split: One of `ImageIndex.by_split`.
        size: Height and width of scenes, in pixels.
        augmentation: Default augmentation of training scenes.
        count: Use the first so many scenes only; None = all.

    Raises:
        LookupError: If there is no such split.
        ValueError: If the size is too small, or the count is below 1.
    """

    def __init__(
        self,
        index: ImageIndex,
        split: str = "train",
        size: tuple[int, int] = STOCK_SIZE,
        *,
        augmentation: str = "flip",
        count: int | None = None,
    ) -> None:
        require_count(size, count)
        if split not in index.by_split:
            raise LookupError(
                f"{index.source} has no split {split!r}; its {len(index.images)} photographs are "
                f"of {', '.join(index.by_split)}."
            )
        labels = index.labels
        entries = [
            Entry(
                index.names[i.file],
                i.path,
                i.drawing,
                labels.encode(i.classes) if i.drawing is None else None,
            )
            for i in index.by_split[split][:count]
        ]
        name = short_name(_titled(index))
        schema = Schema(labels, size)
        super().__init__(name, index.source, split, schema, entries, augmentation)


def _titled(index: ImageIndex) -> Path:
    """Return the folder that the data are called after."""
    return index.source if index.source.is_dir() else index.folder
