"""Files that are pictures: by which suffixes they are known, and how one is found by its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif", ".gif", ".ppm", ".pgm",
    ".jp2", ".heic", ".heif", ".avif",
)  # fmt: skip
"""What a picture's name ends in, in any case; a file that is named may be called anything."""

LOSSLESS_FIRST = (".png", *(suffix for suffix in SUFFIXES if suffix != ".png"))
"""The same suffixes, in the order in which masks are looked for."""

_JUNK = ("._", "__MACOSX", ".DS_Store")  # what macOS leaves beside files on other disks


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture, and none of macOS's ``._`` companions."""
    return path.suffix.lower() in SUFFIXES and not is_junk(path)


def is_junk(path: Path) -> bool:
    """Tell by its name whether a system left a file or a folder there, for itself only."""
    return path.name.startswith(_JUNK)


class PictureFolder:
    """The pictures of a folder by name, suffix left out; each of its folders is listed once.

    Args:
        folder: Where names start.
        order: Which suffix is taken first, where two pictures differ in nothing else.
    """

    def __init__(self, folder: Path, order: tuple[str, ...] = SUFFIXES) -> None:
        self.folder = folder
        self._rank = {suffix: rank for rank, suffix in enumerate(order)}
        self._stems: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path | None:
        """Find the picture called ``name`` and any suffix, such as ``seq/0001``."""
        place = self.folder / name
        return self._listed(place.parent).get(place.name)

    def named(self, name: str) -> str | None:
        """Give the name that `find` takes of a picture named with its suffix or without."""
        if self.find(name) is not None:
            return name
        stem, dot, suffix = name.rpartition(".")
        known = dot and f".{suffix.lower()}" in self._rank and self.find(stem) is not None
        return stem if known else None

    def near(self, name: str, known: Collection[Path] = ()) -> str | None:
        """Name the file there that is called most like a picture that is not there.

        Args:
            name: What was looked for.
            known: Files that are other pictures.
        """
        place = self.folder / name
        files = [path for path in _files(place.parent) if path not in known and not is_junk(path)]
        folded = {_folded(path.stem): path.name for path in files if path.is_file()}
        wanted = _folded(place.name)  # a picture of another number is another picture
        alike = [key for key in folded if re.findall(r"\d+", key) == re.findall(r"\d+", wanted)]
        found = get_close_matches(wanted, alike, n=1, cutoff=0.75)
        return folded[found[0]] if found else None

    def every(self) -> list[str]:
        """Name every picture in the folder and in those within it, in order."""
        found = []
        for place in [self.folder, *(p for p in self.folder.rglob("*") if p.is_dir())]:
            if not any(map(is_junk, (place, *place.relative_to(self.folder).parents))):
                within = place.relative_to(self.folder)
                found += [(within / stem).as_posix() for stem in self._listed(place)]
        return sorted(found)

    def _listed(self, place: Path) -> dict[str, Path]:
        """Map the names of the pictures right in a folder to where they are."""
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
    """Leave out of a name what people write in different ways.

    >>> _folded("IMG-0012")
    'img12'
    """
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\W_]", "", name.lower()))


def _files(folder: Path) -> Iterator[Path]:
    """Give what is in a folder, in order; nothing if there is no such folder."""
    try:
        yield from sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
