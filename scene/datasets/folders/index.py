"""Folders of images with labels: labels, splits and scenes, from lists and file names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from torch import Tensor

from ...images.folder import PictureFolder
from ...labelmap import FILE, VOC, read_labels
from ...labels import Labels
from ...notices import notice
from ..annotations.drawing import Drawing
from ..base import SPLITS
from .image_sets import (
    LineParser,
    image_level,
    lists,
    scenes_in,
    unturned_names,
    weak_names,
)
from .layouts import Layout, layout_of, locate

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Entry:
    """The files of one scene.

    Args:
        name: Its name in the folder's lists.
        image: Its image.
        mask: Its mask, a file or a drawing; or None.
        classes: Its image-level labels ``(C,)``, read only if it has no ground-truth mask.
        weak: Whether its mask is a pseudo-label.
        unturned: Whether its mask belongs to the stored pixels, before the EXIF orientation is
            applied to the image; None = not known.
    """

    name: str
    image: Path
    mask: Path | Drawing | None
    classes: Tensor | None
    weak: bool = False
    unturned: bool | None = None


def labels_of(folder: Path) -> Labels:
    """Return the labels of a folder, see `LABEL_FILES`, or those of PASCAL VOC if it is that.

    Raises:
        LookupError: If it has no file of labels, and is not PASCAL VOC.
        ValueError: If the file of labels cannot be used.
    """
    if (path := layout_of(folder).label_file()) is not None:
        return read_labels(path)
    main = folder / "ImageSets" / "Main"
    official = folder.name.upper() in ("VOC2007", "VOC2012")
    if official or all(any(main.glob(f"{name}_*.txt")) for name in VOC.classes):
        return VOC
    raise LookupError(
        f"{folder} has no {FILE} and is not PASCAL VOC, so its labels have no names; write one "
        "with a line such as background:0,0,0:: per label, in the order of their ids."
    )


def splits(root: str | Path, *, masked: bool = False) -> tuple[str, ...]:
    """Return the splits of a folder, with ``tune`` if it can be held out of ``train``.

    Args:
        root: A folder in a layout that `scene.datasets.folders.layouts` knows.
        masked: Leave out splits without any mask.

    Raises:
        LookupError: If there are no scenes.
    """
    folder = locate(root)
    layout, names = layout_of(folder), LineParser(layout_of(folder))
    available: set[str] = set()
    for split in _known(layout):
        with_mask, without = _scenes(layout, split, names)
        if with_mask or not masked:
            available.add(split)
        if split == "train" and max(len(with_mask), 0 if masked else len(without)) > 1:
            available.add("tune")
    if not available and not masked:
        if not (folder / "ImageSets").is_dir() and (bare := layout.unlisted.get("train")):
            near = _near(layout.mask_files, bare, {})
            raise LookupError(
                f"{layout.masks} has no mask of {quoted(bare)}{near}; call each as its image, "
                f"such as {bare[0]}.png, or list images in ImageSets/Main/train.txt."
            )
        raise LookupError(
            f"{folder} has no splits; list its scenes, one name a line, in "
            "ImageSets/Segmentation/train.txt (with masks) or ImageSets/Main/train.txt (without)."
        )
    known = [split for split in SPLITS if split in available]
    return (*known, *sorted(available.difference(SPLITS)))


def entries(folder: Path, split: str, labels: Labels) -> list[Entry]:
    """Return the scenes of a split: those with masks first, then those with classes only.

    Without a list for ``tune``, about a tenth of ``train`` is held out as ``tune``, by a hash of
    the names, with true masks if two or more scenes of ``train`` have one; ``train`` is then the
    rest. Scenes with weak masks keep their image-level labels.

    Raises:
        LookupError: If there is no such split.
        FileNotFoundError: If images or masks are missing; the message names them.
        ValueError: If the split is empty, a name leads out of the folder, image-level labels are
            incomplete, or a weak mask is listed for a scene that is not in ``train``.
    """
    layout, known = layout_of(folder), splits(folder)
    if split not in known:
        one = split == "tune" and "train" in known
        raise LookupError(
            f"{folder} has no split {split!r}; it has {', '.join(known)}"
            f"{' (of one scene of train, none is held out)' if one else ''}."
        )
    scene = LineParser(layout)
    without_list = split in ("train", "tune") and "tune" not in _known(layout)
    stored = "train" if without_list else split
    masked, unmasked = _scenes(layout, stored, scene)
    weak = weak_names(folder, masked, scene) if stored == "train" else set()
    if without_list:
        true = [name for name in masked if name not in weak]
        held_out = held_out_names(true if len(true) > 1 else masked) | held_out_names(unmasked)
        masked, unmasked = (
            [name for name in names if (name in held_out) == (split == "tune")]
            for names in (masked, unmasked)
        )
    if layout.listless and unmasked:
        bare = [n for names in layout.unlisted.values() for n in names if not layout.mask(n)]
        notice(
            f"{layout.masks} has no mask of {quoted(bare)}; each is read as an image alone. "
            "Masks are called as their images."
        )
    if not masked and not unmasked:
        raise ValueError(f"The split {split!r} of {folder} is empty; list scenes in its file.")
    classes = image_level(folder, stored, unmasked, weak.intersection(masked), labels, scene)
    images, masks = _files(layout, scene, masked, unmasked)
    unturned = unturned_names(folder, masked, scene)
    of_stored_pixels = {name: None if unturned is None else name in unturned for name in masked}
    return [
        Entry(
            name,
            images[name],
            masks.get(name),
            classes.get(name),
            name in weak,
            of_stored_pixels.get(name),
        )
        for name in (*masked, *unmasked)
    ]


def _known(layout: Layout) -> list[str]:
    """Return the splits that have lists or folders."""
    if layout.listless:
        return list(layout.unlisted)
    return list({**lists(layout.root, "Segmentation"), **lists(layout.root, "Main")})


def _scenes(layout: Layout, split: str, scene: LineParser) -> tuple[list[str], list[str]]:
    """Return the scenes of a split with masks, and those without, in order."""
    if layout.listless:
        every = layout.unlisted.get(split, [])
        masked = [name for name in every if layout.mask(name)]
    else:
        masked = scenes_in(lists(layout.root, "Segmentation").get(split), scene)
        every = scenes_in(lists(layout.root, "Main").get(split), scene)
    known = set(masked)
    return masked, [name for name in every if name not in known]


def held_out_names(names: list[str]) -> set[str]:
    """Return about a tenth by a hash of the name, which does not change if scenes are added."""
    chosen = {name for name in names if crc32(name.encode()) % 10 == 0}
    if 0 < len(chosen) < len(names) or len(names) < 2:
        return chosen if len(names) > 1 else set()
    return {min(names, key=lambda name: crc32(name.encode()))}


def _files(
    layout: Layout, scene: LineParser, masked: list[str], unmasked: list[str]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the images of scenes, and the masks of those that need one; all must exist."""
    images = {name: layout.pictures.find(name) for name in (*masked, *unmasked)}
    masks = {name: scene.masks.get(name) or layout.mask(name) for name in masked}
    no_image = [name for name, path in images.items() if path is None]
    no_mask = [name for name, path in masks.items() if path is None]
    sentences = []
    if no_image:
        it, near = "it" if len(no_image) == 1 else "them", _near(layout.pictures, no_image, images)
        sentences.append(
            f"{layout.images} has no picture of {quoted(no_image)}{near}; add {it}, or take {it} "
            "off the lists in ImageSets."
        )
    if no_mask:
        it, near = "it" if len(no_mask) == 1 else "them", _near(layout.mask_files, no_mask, masks)
        sentences.append(
            f"{layout.masks} has no mask of {quoted(no_mask)}{near}; add {it}, or list {it} in "
            "ImageSets/Main only."
        )
    if sentences:
        raise FileNotFoundError(" ".join(sentences))
    return (
        {name: path for name, path in images.items() if path},
        {name: path for name, path in masks.items() if path},
    )


def quoted(names: list[str]) -> str:
    """Return the first few names as text.

    >>> quoted(["a", "b"]), quoted(list("abcdefg"))
    ("'a', 'b'", "'a', 'b', 'c', 'd', 'e' and 2 more")
    """
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(map(repr, names[:_SHOWN]))}{more}"


def _near(folder: PictureFolder, names: list[str], files: Mapping[str, Path | None]) -> str:
    """Return text with the files most similar to the first few missing ones."""
    known = {path for path in files.values() if path}
    near = (folder.near(name, known) for name in names[:_SHOWN])
    alike = list(dict.fromkeys(filter(None, near)))
    return f" (there is {quoted(alike)})" if alike else ""
