"""A folder per class: the class of a photograph is the name of the folder that it is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from ...images.folder import is_junk, is_picture
from ...notices import notice
from ..folders.index import quoted
from ..folders.layouts import ALIASES, is_located
from .index import ImageIndex, LabelledImage, make_index, name_hash, require_few

_NO_CLASSES = ("images", "image", "imgs", "photos", "pictures", "masks", "labels", "annotations")
"""Names of folders of photographs, masks or annotations, which are no classes."""

_VOC = ("jpegimages", "segmentationclass", "imagesets")

_LOOKED_AT = 10_000  # entries of a folder that are looked at to learn if it holds a picture


def has_class_folders(folder: Path) -> bool:
    """Return whether the folders in a folder are classes, or splits with folders of classes."""
    names = [p.name.lower() for p in _classes(folder)]
    return bool(_splits(folder)) or (len(names) > 1 and not all(n in ALIASES for n in names))


def read_class_folders(root: Path) -> ImageIndex:
    """Read the photographs ``CLASS/…`` or ``SPLIT/CLASS/…`` of a folder.

    Photographs are in a shuffled order that depends on their names only, so that the first few
    are of several classes.

    Raises:
        LookupError: If there are no photographs.
        OSError: If a folder is not accessible.
        ValueError: If folders of splits and of classes are mixed, or a name cannot be used.
    """
    splits, images = _splits(root), list[LabelledImage]()
    for folder, split in splits.items():
        images += _photographs_of(root, folder, split)
    if not splits:
        images = _photographs_of(root, root, None)
    others = [p.name for p in _classes(root) if p not in splits] if splits else []
    if classless := [name for name in others if name.lower() in ALIASES]:
        notice(f"The pictures directly in {quoted(classless)} have no class, and are left out.")
    elif others:
        raise ValueError(
            f"{root} has folders of splits ({', '.join(p.name for p in splits)}) beside "
            f"{quoted(others)}; put folders of classes into those of the splits, or rename a "
            "class that has the name of a split."
        )
    images.sort(key=lambda image: (name_hash(image.file), image.file))
    classes = sorted({name for image in images for name in image.classes})
    return make_index(root, root, images, classes)


def class_folder_hint(root: Path) -> str | None:
    """Return advice about a folder that nearly has a folder per class, or None."""
    inner = [p for p in _folders(root) if not _is_no_class(p) and _holds_picture(p)]
    if inner and all(p.name.lower() in ALIASES for p in inner):
        return (
            f"the pictures in {quoted([p.name for p in inner])} are in no folder of a class: put "
            "those of each class into a folder of its name there, or write a labels.csv."
        )
    if len(inner) > 1:
        names = [p.name for p in inner]
        others = [p.name for p in _folders(root) if _is_no_class(p)]
        return (
            f"it has folders of pictures, {quoted(names)}, but {quoted(others)} is no class by "
            "its name: move it away if the others are classes."
        )
    if len(inner) == 1:
        return (
            f"it has one folder of pictures, {inner[0].name!r}: a folder per class needs two or "
            "more, of which one may be called background."
        )
    return None


def is_nearly_voc(root: Path) -> bool:
    """Return whether a folder in a folder is in VOC layout, or nearly named as one of it."""
    return any(is_located(p) or _is_of_masks(p) for p in _folders(root))


def _splits(root: Path) -> dict[Path, str]:
    """Return the folders of splits, if that of train has folders of classes."""
    named = {p: ALIASES[p.name.lower()] for p in _folders(root) if p.name.lower() in ALIASES}
    with_classes = {p: split for p, split in named.items() if _classes(p)}
    return with_classes if "train" in with_classes.values() else {}


def _classes(root: Path) -> list[Path]:
    """Return the folders with pictures; none if one has the name of no class, see above."""
    inner = _folders(root)
    return [] if any(map(_is_no_class, inner)) else list(filter(_holds_picture, inner))


def _is_no_class(folder: Path) -> bool:
    """Return whether a folder holds photographs, masks or lists by its name, or is a dataset."""
    return folder.name.lower() in _NO_CLASSES or _is_of_masks(folder) or is_located(folder)


def _is_of_masks(folder: Path) -> bool:
    """Return whether a folder is nearly called as one of VOC's layout."""
    return bool(get_close_matches(folder.name.lower(), _VOC, cutoff=0.7))


def _photographs_of(root: Path, folder: Path, split: str | None) -> list[LabelledImage]:
    """Return the photographs of the folders of classes in a folder."""
    if loose := sum(is_picture(p) for p in folder.iterdir() if p.is_file()):
        notice(
            f"{folder} has {loose} pictures that are in no folder of a class; they are left out."
        )
    images, empty = list[LabelledImage](), list[str]()
    for place in _folders(folder):
        count = len(images)
        for path in _pictures(place):
            name = path.relative_to(root).as_posix()
            images.append(LabelledImage(name, path, frozenset((place.name,)), split))
            require_few(len(images), root)
        if len(images) == count:
            empty.append(place.name)
    if empty:
        notice(f"{folder} has no pictures in {quoted(empty)}, which are read as no classes.")
    return images


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and below it, but not in linked folders below it."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            path = Path(place, name)
            if not _is_hidden(name) and is_picture(path):
                yield path


def _holds_picture(folder: Path) -> bool:
    """Return whether there is a picture among the first entries of a folder and below it."""
    looked_at = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        if any(not _is_hidden(name) and is_picture(Path(place, name)) for name in names):
            return True
        looked_at += len(names) + len(folders)
        if looked_at > _LOOKED_AT:
            return False
    return False


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not _is_hidden(p.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_junk(Path(name))


def _raise(error: OSError) -> None:
    raise error
