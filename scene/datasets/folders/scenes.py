"""Scenes of one split whose images are files, and whose masks are files or drawings."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from ...images.io import picture_size, read_image, read_mask_of
from ...sizes import require_size
from ...views import Scene, Schema
from ..annotations.drawing import Drawing
from ..base import SceneDataset
from ..framing import Frame
from .index import Entry

CACHE_BYTES = 2**30
"""Bytes of a dataset that are kept in memory, so that later epochs need not decode images."""


class FolderScenes(SceneDataset):
    """The scenes of one split, each of them the files of an entry.

    Args:
        name: As `SceneDataset.name`.
        source: As `SceneDataset.source`.
        split: The split of the scenes.
        schema: Labels, and the size of scenes.
        entries: The files of each scene.
        augmentation: Default augmentation of training scenes.

    Attributes:
        entries: The files of each scene.
    """

    def __init__(
        self,
        name: str,
        source: str | Path,
        split: str,
        schema: Schema,
        entries: list[Entry],
        augmentation: str = "flip",
    ) -> None:
        self.name, self.source, self.split = name, str(source), split
        self.schema, self.entries, self.augmentation = schema, entries, augmentation
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
        if isinstance(entry.mask, Drawing):
            mask = entry.mask.mask_of(entry.image, labels, entry.name)
        else:
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


def require_count(size: tuple[int, int], count: int | None) -> None:
    """Refuse a size of scenes, or a number of them, that is too small.

    Raises:
        ValueError: If it is.
    """
    require_size(size)
    if count is not None and count < 1:
        raise ValueError(f"A dataset has at least one scene, not {count}.")


def short_name(folder: Path) -> str:
    """Return the name of a folder's dataset in file names and tables.

    >>> short_name(Path("/data/My Pets (2)"))
    'my-pets-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "folder"
