"""Image files in folders: their suffixes, and look-up of a file by a name without suffix."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif", ".gif", ".ppm", ".pgm",
    ".jp2", ".heic", ".heif", ".avif",
)  # fmt: skip
"""Suffixes of image files in a folder, in any case; a file given by its path may have any."""

LOSSLESS_FIRST = (".png", *(suffix for suffix in SUFFIXES if suffix != ".png"))
"""The suffixes in the order in which masks are looked up."""

_JUNK = ("._", "__MACOSX", ".DS_Store")  # files of macOS on other disks


def is_picture(path: Path) -> bool:
    """Return whether a file is an image by its name, and not a ``._`` file of macOS."""
    return path.suffix.lower() in SUFFIXES and not is_junk(path)


def is_junk(path: Path) -> bool:
    """Return whether a file or folder belongs to the operating system, by its name."""
    return path.name.startswith(_JUNK)


class PictureFolder:
    """The images of a folder, by name without suffix; each folder in it is listed once.

    Args:
        folder: The folder that names are relative to.
        order: Suffixes in order of preference, for files that differ in the suffix only.
    """

    def __init__(self, folder: Path, order: tuple[str, ...] = SUFFIXES) -> None:
        self.folder = folder
        self._rank = {suffix: rank for rank, suffix in enumerate(order)}
        self._stems: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path | None:
        """Return the image with a name, such as ``seq/0001``, and any suffix."""
        place = self.folder / name
        return self._listed(place.parent).get(place.name)

    def named(self, name: str) -> str | None:
        """Return the name for `find` of an image that is named with or without suffix."""
        if self.find(name) is not None:
            return name
        stem, dot, suffix = name.rpartition(".")
        known = dot and f".{suffix.lower()}" in self._rank and self.find(stem) is not None
        return stem if known else None

    def near(self, name: str, known: Collection[Path] = ()) -> str | None:
        """Return the name of the file most similar to the name of a missing image.

        Args:
            name: The name of the missing image.
            known: Files of other images, which are left out.
        """
        place = self.folder / name
        files = [path for path in _files(place.parent) if path not in known and not is_junk(path)]
        folded = {_folded(path.stem): path.name for path in files if path.is_file()}
        target = _folded(place.name)  # another number is another image
        alike = [key for key in folded if re.findall(r"\d+", key) == re.findall(r"\d+", target)]
        matches = get_close_matches(target, alike, n=1, cutoff=0.75)
        return folded[matches[0]] if matches else None

    def every(self) -> list[str]:
        """Return the names of all images in the folder and its subfolders, in order."""
        names = []
        for place in [self.folder, *(p for p in self.folder.rglob("*") if p.is_dir())]:
            if not any(map(is_junk, (place, *place.relative_to(self.folder).parents))):
                within = place.relative_to(self.folder)
                names += [(within / stem).as_posix() for stem in self._listed(place)]
        return sorted(names)

    def _listed(self, place: Path) -> dict[str, Path]:
        """Return the images directly in a folder, by name."""
        if place not in self._stems:
            ranked = sorted(
                filter(is_picture, _files(place)), key=lambda p: self._rank[p.suffix.lower()]
            )
            stems: dict[str, Path] = {}
            for path in ranked:
                stems.setdefault(path.stem, path)
            self._stems[place] = stems
        return self._stems[place]


def _folded(name: str) -> str:
    """Return a name without case, punctuation and leading zeros.

    >>> _folded("IMG-0012")
    'img12'
    """
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\W_]", "", name.lower()))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the entries of a folder, in order; none if there is no such folder."""
    try:
        yield from sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
