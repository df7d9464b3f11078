"""Photographs that a list names: the file of each name, and all missing ones in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ...images.folder import PictureFolder
from ..folders.index import quoted

_SHOWN = 5  # missing names whose nearest files are looked up


class ImageFinder:
    """Look-up of photographs by the names in a list.

    Args:
        places: The folders that names are relative to, in order of preference.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = places
        self._folders = [PictureFolder(place) for place in places]
        self._names: dict[Path, set[str]] = {}

    def find(self, name: str) -> Path | None:
        """Return the file of a name, such as ``seq/0001.jpg``.

        The suffix may be in another case, or be left out.
        """
        for place, folder in zip(self.places, self._folders, strict=True):
            path = place / name
            if path.name in self._listed(path.parent):
                return path
            if (whole := folder.find(name)) is not None:  # a name without suffix
                return whole
            other = folder.find(name.removesuffix(path.suffix)) if path.suffix else None
            if other is not None and other.suffix.lower() == path.suffix.lower():
                return other
        return None

    def all_of(self, names: Iterable[str], source: Path) -> dict[str, Path]:
        """Return the file of each name.

        Args:
            names: Names that `scene.storage.names.scene_name` allows.
            source: The list, for messages.

        Raises:
            FileNotFoundError: If any is missing; the message names them, and similar files.
        """
        files = {name: self.find(name) for name in names}
        missing = [name for name, path in files.items() if path is None]
        if missing:
            it = "it" if len(missing) == 1 else "them"
            known = {path for path in files.values() if path}
            raise FileNotFoundError(
                f"{self.places[0]} has no picture {quoted(missing)}, which {source.name} lists"
                f"{self._near(missing, known)}; add {it}, or take {it} off the list."
            )
        return {name: path for name, path in files.items() if path}

    def _near(self, missing: list[str], known: set[Path]) -> str:
        """Return text with the files most similar to the first few missing ones."""
        alike = dict.fromkeys(self._similar(name, known) for name in missing[:_SHOWN])
        shown = [name for name in alike if name]
        return f" (there is {quoted(shown)})" if shown else ""

    def _similar(self, name: str, known: set[Path]) -> str | None:
        """Return a file of a similar name, or the file one folder further down."""
        stem = name.rpartition(".")[0] or name
        if (near := self._folders[0].near(stem, known)) is not None:
            return (Path(name).parent / near).as_posix()
        root, last = self.places[0], Path(name).name
        for folder in sorted(root / entry.name for entry in _entries(root) if entry.is_dir()):
            if last in self._listed(folder):
                return f"{folder.name}/{last}"
        return None

    def _listed(self, folder: Path) -> set[str]:
        """Return the names of files in a folder; none if there is no such folder."""
        if folder not in self._names:
            self._names[folder] = {e.name for e in _entries(folder) if not e.is_dir()}
        return self._names[folder]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []
