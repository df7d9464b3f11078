"""Folders in VOC layout: the labels, splits and scenes one declares, before pictures are read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

from ..labels import Labels
from ..places import expanded
from .base import SPLITS
from .labelmap import FILE, VOC, lines_of, read_labelmap

_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_ALIASES = {  # what labelling tools call the splits they export
    "default": "train", "training": "train", "validation": "val", "valid": "val",
    "testing": "test", **{split: split for split in SPLITS},
}  # fmt: skip

WEAK = "weak"
"""``ImageSets/Segmentation/weak.txt`` is no split: it lists scenes of train with weak masks."""


@dataclass(frozen=True)
class Entry:
    """Where one scene's views are kept.

    Args:
        name: As the folder's lists call it.
        image: Its picture.
        mask: Its mask, or None.
        classes: Its image-level labels ``(C,)``, read only where there is no true mask.
        weak: Whether its mask is a pseudo-label.
    """

    name: str
    image: Path
    mask: Path | None
    classes: Tensor | None
    weak: bool = False


def locate(root: str | Path) -> Path:
    """Find the folder that holds ``JPEGImages``: ``root``, or a VOCdevkit/VOC2012 within it.

    Raises:
        FileNotFoundError: If there is no such folder, or no images in it.
    """
    root = expanded(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; give one in VOC layout.")
    for folder in (root, root / "VOCdevkit" / "VOC2012", root / "VOC2012"):
        if (folder / "JPEGImages").is_dir():
            return folder
    raise FileNotFoundError(
        f"{root} has no folder JPEGImages; put the images there, as in PASCAL VOC."
    )


def labels_of(folder: Path) -> Labels:
    """Read the labels of a folder: its ``labelmap.txt``, or VOC's where it is PASCAL VOC itself.

    Raises:
        LookupError: If it is neither.
        ValueError: If ``labelmap.txt`` cannot be used.
    """
    if (folder / FILE).exists():
        return read_labelmap(folder / FILE)
    main = folder / "ImageSets" / "Main"
    named = folder.name.upper() in ("VOC2007", "VOC2012")
    if named or all(any(main.glob(f"{name}_*.txt")) for name in VOC.classes):
        return VOC
    raise LookupError(
        f"{folder} has no {FILE} and is not PASCAL VOC, so its labels have no names; write one "
        "with a line such as background:0,0,0:: per label, in the order of their ids."
    )


def splits(root: str | Path, *, masked: bool = False) -> tuple[str, ...]:
    """List the splits a folder has; ``tune`` is there wherever ``train`` is.

    Args:
        root: A folder in VOC layout.
        masked: Leave out splits of which no scene has a mask.

    Raises:
        LookupError: If it lists no scenes at all.
    """
    folder = locate(root)
    lists = _lists(folder, "Segmentation")
    if not masked:
        lists |= _lists(folder, "Main")
    if not lists and not masked:
        raise LookupError(
            f"{folder} has no splits; list its scenes, one name a line, in "
            "ImageSets/Segmentation/train.txt (with masks) or ImageSets/Main/train.txt (without)."
        )
    found = {*lists, "tune"} if "train" in lists else set(lists)
    known = [split for split in SPLITS if split in found]
    return (*known, *sorted(found.difference(SPLITS)))


def entries(folder: Path, split: str, labels: Labels) -> list[Entry]:
    """List the scenes of a split: those with masks first, then those with classes only.

    Without a list for ``tune``, about a tenth of ``train`` is held out for it, chosen by the
    scenes' names alone, with true masks if two or more of ``train`` have one; ``train`` is then
    always the rest. Scenes with weak masks keep the image-level labels that are known of them.

    Raises:
        LookupError: If there is no such split.
        FileNotFoundError: If an image or a mask is missing.
        ValueError: If the split is empty, its image-level labels are not complete, or weak masks
            are listed of scenes that are not in ``train``.
    """
    known = splits(folder)
    if split not in known:
        raise LookupError(f"{folder} has no split {split!r}; it has {', '.join(known)}.")
    carved = split in ("train", "tune") and not any(
        "tune" in _lists(folder, kind) for kind in ("Segmentation", "Main")
    )
    stored = "train" if carved else split
    masked = _names(_lists(folder, "Segmentation").get(stored))
    with_mask = set(masked)
    unmasked = [n for n in _names(_lists(folder, "Main").get(stored)) if n not in with_mask]
    weak = _weak(folder, masked) if stored == "train" else set()
    if carved:
        true = [name for name in masked if name not in weak]
        held = _held_out(true if len(true) > 1 else masked) | _held_out(unmasked)
        masked, unmasked = (
            [name for name in names if (name in held) == (split == "tune")]
            for names in (masked, unmasked)
        )
    if not masked and not unmasked:
        raise ValueError(f"The split {split!r} of {folder} is empty; list scenes in its file.")
    classes = _image_level(folder, stored, unmasked, weak.intersection(masked), labels)
    listed = [
        Entry(n, _image(folder, n), _mask(folder, n), classes.get(n), n in weak) for n in masked
    ]
    return listed + [Entry(n, _image(folder, n), None, classes.get(n)) for n in unmasked]


def _lists(folder: Path, kind: str) -> dict[str, Path]:
    """Map each split to the file in ``ImageSets/<kind>`` that lists its scenes."""
    sets = folder / "ImageSets"
    files = {path.stem: path for path in sorted((sets / kind).glob("*.txt"))}
    if kind == "Segmentation":
        files.pop(WEAK, None)
    if kind == "Main":  # cat_train.txt holds labels; it lists the cats of train, not a split
        stems = {*files, *(path.stem for path in (sets / "Segmentation").glob("*.txt"))}
        files = {s: p for s, p in files.items() if not any(s.endswith(f"_{t}") for t in stems)}
    taken = set(files)
    known = {stem: _ALIASES.get(stem.lower(), stem) for stem in files}
    return {(s if known[s] in taken else known[s]): path for s, path in files.items()}


def _names(path: Path | None) -> list[str]:
    """Read a list of scenes in its order, each once."""
    lines = lines_of(path) if path else []
    return list(dict.fromkeys(line.strip('"') for line in lines if line))


def _weak(folder: Path, masked: Collection[str]) -> set[str]:
    """Read which scenes of train have weak masks."""
    path, known = folder / "ImageSets" / "Segmentation" / f"{WEAK}.txt", set(masked)
    weak = _names(path if path.is_file() else None)
    if strange := [name for name in weak if name not in known]:
        raise ValueError(
            f"{path} lists {strange[0]!r}, which is no scene of train with a mask; add it to "
            "train.txt beside it, or take it off."
        )
    return set(weak)


def _held_out(names: list[str]) -> set[str]:
    """Choose about a tenth by name, so that a scene keeps its side when others are added."""
    chosen = {name for name in names if crc32(name.encode()) % 10 == 0}
    if 0 < len(chosen) < len(names) or len(names) < 2:
        return chosen if len(names) > 1 else set()
    return {min(names, key=lambda name: crc32(name.encode()))}


def _image(folder: Path, name: str) -> Path:
    """Find the picture of a scene."""
    for suffix in _SUFFIXES:
        path = folder / "JPEGImages" / f"{name}{suffix}"
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{folder / 'JPEGImages'} has no picture of {name!r}, .jpg or .png; add it, or take the "
        "name off the lists in ImageSets."
    )


def _mask(folder: Path, name: str) -> Path:
    """Find the mask of a scene that is listed with one."""
    path = folder / "SegmentationClass" / f"{name}.png"
    if not path.exists():
        raise FileNotFoundError(
            f"There is no mask {path}; add it, or list {name!r} in ImageSets/Main only."
        )
    return path


def _image_level(
    folder: Path, split: str, names: Collection[str], weak: Collection[str], labels: Labels
) -> dict[str, Tensor]:
    """Read ``ImageSets/Main/<class>_<split>.txt``; with no such file at all, nothing is known.

    1 and 0 (there, but difficult) both count as present. All ``names`` must be in every file,
    those of ``weak`` may be.
    """
    main, lists = folder / "ImageSets" / "Main", _lists(folder, "Main")
    if split not in lists or not (names or weak):
        return {}
    stem = lists[split].stem
    files = {path.stem.removesuffix(f"_{stem}"): path for path in main.glob(f"*_{stem}.txt")}
    files.pop("background", None)
    if not files:
        return {}
    if strange := sorted(set(files).difference(labels.classes)):
        raise ValueError(
            f"{files[strange[0]]} is about {strange[0]!r}, which is no label of {folder.name}; "
            f"add it to {FILE}, or remove the file."
        )
    columns = []
    for name in labels.classes:
        if name not in files:
            raise ValueError(
                f"There is no {main / f'{name}_{stem}.txt'}, but the other classes have theirs; "
                "write a line such as 'photo1 1' or 'photo1 -1' per scene."
            )
        columns.append(_column(files[name], names))
    told = [*names, *(n for n in weak if all(n in column for column in columns))]
    return {n: torch.tensor([column[n] for column in columns]) for n in told}


def _column(path: Path, names: Collection[str]) -> dict[str, float]:
    """Read in which scenes one class is; the file must mention those named."""
    known: dict[str, float] = {}
    for line in filter(None, lines_of(path)):
        name, *value = line.rsplit(maxsplit=1)
        if value not in (["1"], ["0"], ["-1"]):
            raise ValueError(f"{path} has the line {line!r}; write a name and 1, 0 or -1.")
        known[name.strip('"')] = float(value != ["-1"])
    for name in names:
        if name not in known:
            raise ValueError(f"{path} does not mention {name!r}; add a line '{name} 1' or -1.")
    return known
