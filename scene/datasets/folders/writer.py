"""Writing of datasets in VOC layout: a folder that is complete, or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ...images.io import is_turned, write_image, write_mask
from ...labelmap import FILE, labelmap_lines
from ...labels import Labels
from ...notices import Progress
from ...storage.locks import emptied, workspace
from ...storage.names import scene_name, within
from ...storage.outputs import require_free, without
from ..base import SPLITS, SceneDataset
from ..catalogue import open_data, splits_of
from .image_sets import UNTURNED, WEAK
from .scenes import FolderScenes

ABOUT = "about.json"
"""The file that describes a written dataset; only folders with it are ever replaced."""


class SceneWriter(Protocol):
    """What writes scenes with masks to a folder, in some format."""

    def add(
        self,
        split: str,
        name: str,
        picture: Path | Tensor,
        mask: Tensor,
        classes: Tensor | None = None,
    ) -> bool:
        """Add a scene, unless there is one of that name; return whether it was added."""

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write what concerns all scenes."""


class VOCWriter:
    """Writes scenes to a folder, and their lists at the end.

    Args:
        folder: An empty folder.
        labels: The vocabulary.
        copy: Copy images, even where they could be linked.
    """

    def __init__(self, folder: Path, labels: Labels, copy: bool = False) -> None:
        self.folder, self.labels, self.copy = folder, labels, copy
        self._listed: dict[str, list[str]] = {}
        self._classes: dict[str, Tensor] = {}
        self._all: set[str] = set()
        self._weak: list[str] = []
        self._turned = False  # whether EXIF rotates any image; masks belong to the rotated images

    def add(
        self,
        split: str,
        name: str,
        picture: Path | Tensor,
        mask: Tensor,
        classes: Tensor | None = None,
        weak: bool = False,
    ) -> bool:
        """Add a scene, unless there is one of that name.

        Args:
            split: The split that lists it.
            name: Its name.
            picture: A file, which is linked or copied; or ``(3, H, W)``, which is written as PNG.
            mask: Label ids ``(H, W)``, 255 = void.
            classes: Image-level labels ``(C,)``; None = not known.
            weak: Whether the mask is a pseudo-label; ``split`` must then be ``train``.

        Returns:
            Whether it was added.

        Raises:
            ValueError: If it would be written outside the folder.
        """
        name = scene_name(name, "a scene")
        if name in self._all:
            return False
        suffix = picture.suffix if isinstance(picture, Path) else ".png"
        image_path = self._place("JPEGImages", f"{name}{suffix}")
        mask_path = self._place("SegmentationClass", f"{name}.png")
        if isinstance(picture, Path):
            link_or_copy(picture, image_path, self.copy)
            self._turned |= is_turned(picture)
        else:
            write_image(image_path, picture)
        write_mask(mask_path, mask, self.labels)
        self._all.add(name)
        self._listed.setdefault(split, []).append(name)
        if classes is not None:
            self._classes[name] = classes
        if weak:
            self._weak.append(name)
        return True

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write the lists, the label map and ``about.json``."""
        heading = "# label:color_rgb:parts:actions"
        self._write(FILE, [heading, *labelmap_lines(self.labels)])
        for split, names in self._listed.items():
            self._write(f"ImageSets/Segmentation/{split}.txt", names)
            self._write(f"ImageSets/Main/{split}.txt", names)
            known = [name for name in names if name in self._classes]
            for c, label in enumerate(self.labels.classes if known else ()):
                signs = ["1" if self._classes[name][c] > 0.5 else "-1" for name in known]
                values = [f"{n} {sign:>2}" for n, sign in zip(known, signs, strict=True)]
                self._write(f"ImageSets/Main/{label}_{split}.txt", values)
        if self._weak:
            self._write(f"ImageSets/Segmentation/{WEAK}.txt", self._weak)
        if self._turned:
            self._write(f"ImageSets/Segmentation/{UNTURNED}.txt", [])
        text = json.dumps(about, indent=2, allow_nan=False)
        self._write(ABOUT, [text])

    def _place(self, *parts: str) -> Path:
        """Return the path of a file within the folder."""
        return within(self.folder, self.folder.joinpath(*parts))

    def _write(self, name: str, lines: list[str]) -> None:
        path = self._place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def require_dataset_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that a dataset may not be written to, see `require_free`."""
    require_free(folder, force, folder="a dataset", foreign=without(ABOUT))


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``folder`` if the block succeeds, and is removed if not.

    What a killed process left of an earlier attempt is removed. If it was killed while it moved
    its folder into place, the former folder is restored.

    Raises:
        BlockingIOError: If another process is writing it.
    """
    folder = Path(os.path.realpath(folder))  # a link stays, and its target is replaced
    with workspace(folder) as work:
        old = work / "old"
        _restore(folder, old)
        try:
            with emptied(work / "new") as new:
                yield new
                if folder.exists():
                    folder.replace(old)
                new.replace(folder)
        finally:
            _restore(folder, old)


def copy_other_splits(
    writer: VOCWriter, source: str, size: tuple[int, int], but: str, watch: Progress
) -> dict[str, int]:
    """Copy every split of a source except train and one other.

    Returns:
        Number of scenes of each split that has any.
    """
    others = [s for s in SPLITS if s not in (but, "train") and s in splits_of(source)]
    scenes: dict[str, int] = {}
    for name in others:
        if (dataset := _opened(source, name, size)) is not None:
            scenes |= copy_split(writer, dataset, watch)
    return scenes


def copy_split(
    writer: SceneWriter, dataset: SceneDataset, watch: Progress, limit: int | None = None
) -> dict[str, int]:
    """Copy the scenes of a split that have ground-truth masks.

    Args:
        writer: Writer of the new folder.
        dataset: The split.
        watch: Called with the progress.
        limit: Copy the first so many only; None = all.

    Returns:
        Number of scenes by the split's name; empty if there are none.
    """
    count = 0
    for index in range(len(dataset)):
        if count == limit:
            break
        scene = dataset.original(index)
        if scene.image is not None and scene.mask is not None and "mask" not in scene.weak:
            name, picture = picture_of(dataset, index, scene.image)
            count += writer.add(dataset.split, name, picture, scene.mask, scene.classes)
        watch(f"copying {dataset.split}", index + 1, len(dataset))
    return {dataset.split: count} if count else {}


def link_or_copy(source: Path, place: Path, copy: bool = False) -> None:
    """Link a file where possible, else copy it; missing folders are made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            os.link(os.path.realpath(source), place)
            return
        except OSError:  # another disk, or one without links
            pass
    shutil.copyfile(source, place)


def _restore(folder: Path, old: Path) -> None:
    """Restore the former folder if there is no new one."""
    if old.is_dir() and not folder.exists():
        old.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def picture_of(dataset: SceneDataset, index: int, image: Tensor) -> tuple[str, Path | Tensor]:
    """Return a scene's name in a folder, and the file of its image or the image itself."""
    if isinstance(dataset, FolderScenes):
        entry = dataset.entries[index]
        return entry.name, entry.image
    return f"{dataset.split}_{index:05d}", image


def _opened(source: str, split: str, size: tuple[int, int]) -> SceneDataset | None:
    """Open a split; None for a ``tune`` without scenes."""
    try:
        return open_data(source, split, size)
    except ValueError:
        if split == "tune":
            return None
        raise
