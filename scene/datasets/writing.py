"""Writing a dataset in VOC layout: a folder that is complete, or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..labels import Labels
from ..pictures import write_image, write_mask
from .base import SceneDataset
from .folder import WEAK
from .labelmap import FILE
from .voc import VOCScenes

ABOUT = "about.json"
"""What a written folder says of itself; only folders that have one are ever replaced."""


class VOCWriter:
    """Fills a folder with scenes, and lists them when all are there.

    Args:
        folder: Exists, and is empty.
        labels: The vocabulary.
        copy: Copy pictures, even where they could be linked.
    """

    def __init__(self, folder: Path, labels: Labels, copy: bool = False) -> None:
        self.folder, self.labels, self.copy = folder, labels, copy
        self._listed: dict[str, list[str]] = {}
        self._classes: dict[str, Tensor] = {}
        self._all: set[str] = set()
        self._weak: list[str] = []

    def add(
        self,
        split: str,
        name: str,
        picture: Path | Tensor,
        mask: Tensor,
        classes: Tensor | None = None,
        weak: bool = False,
    ) -> bool:
        """Add a scene, unless one of that name is there already.

        Args:
            split: Whose list it joins.
            name: What to call it.
            picture: A file, to be linked or copied; or ``(3, H, W)``, to be written as PNG.
            mask: ``(H, W)`` label ids, 255 = void.
            classes: Its image-level labels, ``(C,)``; None = not known.
            weak: Whether the mask is a pseudo-label; ``split`` must then be ``train``.

        Returns:
            Whether it was added.
        """
        if name in self._all:
            return False
        if isinstance(picture, Path):
            place = self.folder / "JPEGImages" / f"{name}{picture.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            _brought(picture, place, self.copy)
        else:
            write_image(self.folder / "JPEGImages" / f"{name}.png", picture)
        write_mask(self.folder / "SegmentationClass" / f"{name}.png", mask, self.labels)
        self._all.add(name)
        self._listed.setdefault(split, []).append(name)
        if classes is not None:
            self._classes[name] = classes
        if weak:
            self._weak.append(name)
        return True

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write the lists, the label map, and what there is to say."""
        colours = zip(self.labels.names, self.labels.colours, strict=True)
        lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in colours]
        _write(self.folder / FILE, ["# label:color_rgb:parts:actions", *lines])
        sets = self.folder / "ImageSets"
        for split, names in self._listed.items():
            _write(sets / "Segmentation" / f"{split}.txt", names)
            _write(sets / "Main" / f"{split}.txt", names)
            known = [name for name in names if name in self._classes]
            for c, label in enumerate(self.labels.classes if known else ()):
                signs = ["1" if self._classes[name][c] > 0.5 else "-1" for name in known]
                values = [f"{n} {sign:>2}" for n, sign in zip(known, signs, strict=True)]
                _write(sets / "Main" / f"{label}_{split}.txt", values)
        if self._weak:
            _write(sets / "Segmentation" / f"{WEAK}.txt", self._weak)
        text = json.dumps(about, indent=2, allow_nan=False)
        _write(self.folder / ABOUT, [text])


def claim_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that a dataset may not be written to.

    Raises:
        FileExistsError: If it holds a written dataset, and ``force`` does not allow replacing it.
        ValueError: If it holds anything else, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a dataset is a folder, choose another --out.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / ABOUT).is_file():
        raise ValueError(f"{folder} holds something else; choose another --out.")
    if not force:
        raise FileExistsError(f"{folder} exists; choose another --out, or --force to replace it.")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``folder`` if all goes well, and vanishes if not."""
    folder = folder.absolute()
    part, old = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("part", "old")
    )
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.replace(old)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def stored(dataset: SceneDataset, index: int, image: Tensor) -> tuple[str, Path | Tensor]:
    """Say what a scene is to be called in a folder, and where its picture is."""
    if isinstance(dataset, VOCScenes):
        entry = dataset.entries[index]
        return entry.name, entry.image
    return f"{dataset.split}_{index:05d}", image


def _brought(source: Path, place: Path, copy: bool) -> None:
    """Link a file where that can be, else copy it."""
    if not copy:
        try:
            os.link(os.path.realpath(source), place)
            return
        except OSError:  # another disk, or one without links
            pass
    shutil.copyfile(source, place)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
