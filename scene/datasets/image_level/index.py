"""The index of photographs with labels or drawings: names, labels and splits, without pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from ...labelmap import checked_labels
from ...labels import Labels, is_background
from ...notices import notice
from ...storage.names import scene_name
from ..annotations.drawing import Drawing
from ..base import SPLITS
from ..folders.index import held_out_names, quoted

MOST_IMAGES = 1_000_000
"""The most photographs of an index."""

VAL_SHARE = 5
"""One in so many photographs is of ``val``, if the data have no splits."""


@dataclass(frozen=True)
class LabelledImage:
    """A photograph and its image-level labels.

    Args:
        file: Its path below the data's folder, with slashes, such as ``cat/0001.jpg``.
        path: The file.
        classes: The names of its classes; a name of background is not among them.
        split: The split that the data name; None = they name none.
        drawing: The regions that are annotated, if all of its annotations have outlines; None =
            it has image-level labels only.
    """

    file: str
    path: Path
    classes: frozenset[str]
    split: str | None = None
    drawing: Drawing | None = None

    @property
    def key(self) -> str:
        """The path without suffix, which alone decides the split, see `ImageIndex.by_split`."""
        stem, dot, _ = self.file.rpartition(".")
        return stem if dot and stem and not stem.endswith("/") else self.file


@dataclass(frozen=True)
class ImageIndex:
    """All photographs of a source, with their labels.

    Args:
        source: The folder or file that ``--data`` names.
        folder: The folder that the paths of photographs are relative to.
        labels: Background, and the classes.
        images: The photographs.
    """

    source: Path
    folder: Path
    labels: Labels
    images: tuple[LabelledImage, ...]

    @property
    def has_masks(self) -> bool:
        """Whether any photograph has a drawing."""
        return any(image.drawing is not None for image in self.images)

    @cached_property
    def names(self) -> dict[str, str]:
        """The name of each photograph's scene, by file: without suffix, if that is unique."""
        stems, files = Counter(i.key for i in self.images), {i.file for i in self.images}
        return {
            i.file: i.key if stems[i.key] == 1 and i.key not in files else i.file
            for i in self.images
        }

    @cached_property
    def by_split(self) -> dict[str, list[LabelledImage]]:
        """The photographs of each split, in the order of `SPLITS`.

        Splits that the data name are used. If they name none, about one photograph in five is of
        ``val`` and the others are of ``train``, by a hash of the name alone: further photographs
        change no other's split. Without a ``tune``, about a tenth of ``train`` is held out, as of
        other folders.
        """
        splits: dict[str, list[LabelledImage]] = {}
        stored = any(image.split for image in self.images)
        for image in self.images:
            split = image.split if stored else _hashed_split(image.key)
            splits.setdefault(split or "train", []).append(image)
        keys = list(dict.fromkeys(image.key for image in splits.get("train", ())))
        if "tune" not in splits and len(keys) > 1:
            held_out = held_out_names(keys)
            train = splits["train"]
            splits["tune"] = [image for image in train if image.key in held_out]
            splits["train"] = [image for image in train if image.key not in held_out]
        return {split: splits[split] for split in SPLITS if split in splits}


def make_index(
    source: Path, folder: Path, images: Sequence[LabelledImage], classes: Iterable[str]
) -> ImageIndex:
    """Return the index of photographs, if their names and classes can be used.

    Args:
        source: The folder or file that ``--data`` names.
        folder: The folder that the paths of photographs are relative to.
        images: The photographs.
        classes: All classes in order; one of the name of background is the background.

    Raises:
        LookupError: If there are no photographs.
        ValueError: If there are too many, a photograph is there twice, or a name of a class or a
            file cannot be used.
    """
    if not images:
        raise LookupError(f"{source} lists no photograph; add some, or give other data.")
    require_few(len(images), source)
    for image in images:
        _require_text(image.file, source)
        scene_name(image.file, str(source))
    counts = Counter(image.file for image in images)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"{source} lists {quoted(twice)} twice; keep one entry of each.")
    names = list(dict.fromkeys(classes))
    backgrounds = [name for name in names if is_background(name)][:1]
    ordered = [*(backgrounds or ["background"]), *(n for n in names if n not in backgrounds)]
    if len(ordered) == 1:
        raise ValueError(
            f"{source} has no class; give at least one photograph a label that is not background."
        )
    for name in ordered:
        _require_text(name, source)
    labels = checked_labels(ordered, [], source)
    _tell_alike(ordered, source)
    known = frozenset(labels.classes)
    kept = [replace(image, classes=image.classes & known) for image in images]
    return ImageIndex(source, folder, labels, tuple(kept))


def require_few(count: int, source: Path) -> None:
    """Refuse more photographs than an index may have."""
    if count > MOST_IMAGES:
        raise ValueError(
            f"{source} has more than {MOST_IMAGES:,} photographs, the most that are read; give a "
            "part of them."
        )


def name_hash(text: str) -> int:
    """Return a hash of a name, which is the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest())


def _hashed_split(key: str) -> str:
    """Return ``val`` for about one name in `VAL_SHARE`, else ``train``.

    >>> [_hashed_split(f"cat/{i}") for i in range(5)]
    ['train', 'val', 'train', 'train', 'train']
    """
    return "val" if name_hash(key) % VAL_SHARE == 0 else "train"


def _require_text(name: str, source: Path) -> None:
    """Refuse a name that cannot be written as UTF-8, such as one in the encoding of old disks."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{source} has the name {name!a}, which is not UTF-8 text; rename it."
        ) from None


def _tell_alike(names: list[str], source: Path) -> None:
    """Give a notice about classes that differ in case only."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    if alike := next((same for same in folded.values() if len(same) > 1), None):
        notice(
            f"{source} has the classes {quoted(alike)}, which differ in case only; they are read "
            "as different classes."
        )
