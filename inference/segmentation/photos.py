"""Photographs by their names: their paths, the files to write of each, what came of it."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene.datasets.folders.layouts import ARCHIVES
from scene.images.folder import SUFFIXES, is_junk, is_picture
from scene.storage.files import read_text
from scene.storage.outputs import is_png_path, require_free
from scene.storage.user_folders import expanded

from .segmentation import KINDS, Segmentation

LISTS = (".txt", ".list")
"""Files that name pictures, one a line."""


@dataclass(frozen=True)
class PhotoTask:
    """A photograph, and the files to write of it.

    Attributes:
        photo: The path of the photograph.
        files: The path of each kind of file.
    """

    photo: Path
    files: dict[str, Path]


@dataclass(frozen=True)
class Failed:
    """An input that came to nothing.

    Attributes:
        name: As it was named.
        reason: One sentence.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Done:
    """A photograph that was segmented.

    Attributes:
        task: The photograph and its files.
        segmentation: The label probabilities of its pixels.
    """

    task: PhotoTask
    segmentation: Segmentation

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        files = {kind: str(path) for kind, path in self.task.files.items()}
        return {"image": str(self.task.photo), **files, **self.segmentation.to_json()}


def photos_of(names: Iterable[str], piped: Iterable[str] = ()) -> tuple[list[Path], list[Failed]]:
    """Return the photographs that names stand for, each once, in order.

    Args:
        names: Of pictures, of folders, patterns with ``*``, ``?`` or ``[``, lists (`LISTS`) that
            name any of these, or ``-`` for ``piped``. Of a folder, what this module wrote of
            another picture in it is left out.
        piped: Lines that name any of these.

    Returns:
        The photographs, and what was named but led to none.
    """
    photos: dict[Path, Path] = {}
    failed: list[Failed] = []
    for name in names:
        try:
            for photo in _meant(name, piped):
                photos.setdefault(photo.absolute(), photo)
        except (OSError, ValueError) as error:
            failed.append(Failed(name, sentence(error)))
    return list(photos.values()), failed


def outputs_of(
    photos: Sequence[Path], kinds: Sequence[str], out: Path | None = None, force: bool = False
) -> list[PhotoTask]:
    """Return the output files of each photograph; refuse files that would be overwritten.

    What is made of a photograph is called after its stem; of photographs in one folder that only
    their suffixes tell apart, after the whole name.

    Args:
        photos: The photographs to segment.
        kinds: The kinds of files to write of each, from `KINDS`.
        out: The folder for all of it, or of one photograph ``NAME.png`` for its mask, beside
            which ``NAME_overlay.png`` and others go; None = beside each photograph.
        force: Overwrite what earlier calls wrote.

    Raises:
        FileExistsError: If a file is there already, and may not be overwritten.
        ValueError: If two photographs would have the same files, or one would be overwritten.
    """
    name_of_mask = out if out is not None and is_png_path(out) else None
    if name_of_mask is not None and len(photos) > 1:
        raise ValueError(
            f"{out} would be the mask of {len(photos)} photographs; name a folder with --out."
        )
    if out is not None and out.exists() and not out.is_dir() and name_of_mask is None:
        raise ValueError(f"{out} is a file; --out is a folder, or NAME.png.")
    inputs = {photo.absolute() for photo in photos}
    sources: dict[Path, Path] = {}
    tasks = []
    for photo, name in zip(photos, names_of(photos), strict=True):
        folder = photo.parent if out is None else out
        files = {kind: folder / f"{name}_{kind}{KINDS[kind]}" for kind in kinds}
        if name_of_mask is not None:
            files = {
                k: name_of_mask.with_name(f"{name_of_mask.stem}_{k}{KINDS[k]}") for k in kinds
            }
            files["mask"] = name_of_mask
        task = PhotoTask(photo, files)
        for path in task.files.values():
            place = path.absolute()
            if place in sources:
                raise ValueError(
                    f"{sources[place]} and {photo} would both be written to {path}; segment them "
                    "into different folders with --out."
                )
            require_free(path, force, inputs=[place] if place in inputs else [])
            sources[place] = photo
        tasks.append(task)
    return tasks


def names_of(photos: Sequence[Path]) -> list[str]:
    """Return the name of what is made of each photograph: after its stem, or its whole name.

    >>> names_of([Path("a.jpg"), Path("b.jpg"), Path("b.png")])
    ['a', 'b.jpg', 'b.png']
    """
    alike = Counter(photo.absolute().with_suffix("") for photo in photos)
    return [p.stem if alike[p.absolute().with_suffix("")] == 1 else p.name for p in photos]


def sentence(error: OSError | ValueError) -> str:
    """Say in one sentence why an input came to nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error)


def _meant(name: str, piped: Iterable[str]) -> Iterator[Path]:
    """Find the pictures that one name stands for."""
    path = expanded(name)
    if name == "-":
        yield from _listed(piped, "standard input")
    elif path.is_dir():
        yield from _pictures(path)
    elif path.is_file() and path.suffix.lower() in ARCHIVES:
        raise ValueError(f"{name} is an archive; unpack it first, and name its folder.")
    elif path.suffix.lower() in LISTS:
        yield from _listed(_lines(path), str(path))
    elif not path.exists() and glob.has_magic(name):
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
        if not matches:
            raise ValueError(f"Nothing matches {name}; check the folder and the suffix.")
        yield from _without_outputs(
            match for match in matches if match.is_file() and not is_junk(match)
        )
    else:
        yield path


def _listed(lines: Iterable[str], source: str) -> Iterator[Path]:
    paths = [line.strip() for line in lines if line.strip()]
    if not paths:
        raise ValueError(f"{source} names no pictures; write one path a line.")
    for line in paths:
        if line == "-" or Path(line).suffix.lower() in LISTS:
            raise ValueError(f"{source} names {line}, a list again; name pictures in it.")
        yield from _meant(line, ())


def _lines(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"There is no list {path}; check the name and the folder.")
    return read_text(path).splitlines()


def _pictures(folder: Path) -> Iterator[Path]:
    pictures = sorted(p for p in folder.iterdir() if is_picture(p) and p.is_file())
    if not pictures:
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES[:4])}, …).")
    yield from _without_outputs(pictures)


def _without_outputs(candidates: Iterable[Path]) -> Iterator[Path]:
    """Leave out what was written of another picture."""
    pictures = list(candidates)
    written = {
        p.with_name(f"{name}_{kind}{suffix}")
        for p in pictures
        for name in (p.stem, p.name)
        for kind, suffix in KINDS.items()
    }  # a picture's own name is never among its own files
    yield from (picture for picture in pictures if picture not in written)
