"""Lists in ``ImageSets``: the scenes of a split, weak masks, and image-level labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor

from ...images.folder import SUFFIXES, is_junk
from ...labelmap import FILE, lines_of
from ...labels import Labels
from ...storage.names import scene_name
from .layouts import ALIASES, Layout

WEAK = "weak"
"""``ImageSets/Segmentation/weak.txt`` is no split: it lists scenes of train with weak masks."""

UNTURNED = "unturned"
"""``ImageSets/Segmentation/unturned.txt`` is no split: it lists scenes, or ``*`` for all, whose
masks belong to the stored pixels, before the EXIF orientation is applied."""

_PAIR = re.compile(r"(\S+)[\s,;]+(\S+)")

Namer = Callable[[str, Path], str]
"""Returns the scene of a line in a list; the second argument is the list, for messages."""


def lists(folder: Path, kind: str) -> dict[str, Path]:
    """Return the file in ``ImageSets/<kind>`` that lists the scenes of each split."""
    sets = folder / "ImageSets"
    files = {path.stem: path for path in _texts(sets / kind)}
    if kind == "Segmentation":
        files = {stem: path for stem, path in files.items() if stem not in (WEAK, UNTURNED)}
    if kind == "Main":  # cat_train.txt holds labels; it lists the cats of train, not a split
        stems = {*files, *(path.stem for path in _texts(sets / "Segmentation"))}
        files = {s: p for s, p in files.items() if not any(s.endswith(f"_{t}") for t in stems)}
    names = set(files)
    known = {stem: ALIASES.get(stem.lower(), stem) for stem in files}
    return {(s if known[s] in names else known[s]): path for s, path in files.items()}


def scenes_in(path: Path | None, scene: Namer) -> list[str]:
    """Return the scenes of a list in order, each once; without a list, none."""
    lines = lines_of(path) if path and path.is_file() else []
    return list(dict.fromkeys(scene(line, path) for line in lines if line and path))


class LineParser:
    """Parser of the lines in a folder's lists: names, file names, paths, or pairs of paths.

    Attributes:
        masks: The masks of lines that are pairs, by scene.

    Args:
        layout: Where the images are.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout, self.masks = layout, dict[str, Path]()
        self._known: dict[str, str] = {}

    def __call__(self, line: str, source: Path) -> str:
        """Return the name of the scene of a line.

        Raises:
            ValueError: If the name could lead out of the folder.
        """
        if line not in self._known:
            pair = _PAIR.fullmatch(line.replace('"', ""))
            if pair and all(_suffixed(part) for part in pair.groups()):
                self._known[line] = self._scene(pair[1], source)
                self._pair(self._known[line], pair[2], source)
            else:
                self._known[line] = self._scene(line.strip('"'), source)
        return self._known[line]

    def _scene(self, text: str, source: Path) -> str:
        """Remove the folder of images and the suffix of an image from a path."""
        images = self.layout.images.name
        parts = self._within(text, source).split("/")
        starts = [0, *(i + 1 for i, part in enumerate(parts[:-1]) if part == images)]
        names = ["/".join(parts[start:]) for start in starts]
        known = (self.layout.pictures.named(name) for name in names)
        return next((name for name in known if name is not None), _stem(names[-1]))

    def _pair(self, name: str, text: str, source: Path) -> None:
        """Store the mask of a pair, if the file exists."""
        parts = self._within(text, source).split("/")
        for start in range(len(parts)):
            for folder in (self.layout.root, self.layout.masks):
                path = folder.joinpath(*parts[start:])
                if path.is_file():
                    self.masks[name] = path
                    return

    def _within(self, text: str, source: Path) -> str:
        """Read ``/JPEGImages/a.jpg`` relative to the folder, as in lists of PASCAL VOC."""
        text = text.replace("\\", "/")
        own = text.startswith("/") and (self.layout.root / text.split("/")[1]).is_dir()
        return scene_name(text[1:] if own else text, str(source))


def weak_names(folder: Path, masked: Collection[str], scene: Namer) -> set[str]:
    """Return the scenes of train with weak masks.

    Raises:
        ValueError: If the list has a scene that is not among those of train with a mask.
    """
    path, known = folder / "ImageSets" / "Segmentation" / f"{WEAK}.txt", set(masked)
    weak = scenes_in(path, scene)
    if strange := [name for name in weak if name not in known]:
        raise ValueError(
            f"{path} lists {strange[0]!r}, which is no scene of train with a mask; add it to "
            "train.txt beside it, or take it off."
        )
    return set(weak)


def unturned_names(folder: Path, names: Collection[str], scene: Namer) -> set[str] | None:
    """Return the scenes whose masks belong to stored pixels; None = there is no such list."""
    path = folder / "ImageSets" / "Segmentation" / f"{UNTURNED}.txt"
    if not path.is_file():
        return None
    scenes = set(
        scenes_in(path, lambda line, source: line if line == "*" else scene(line, source))
    )
    return set(names) if "*" in scenes else scenes


def image_level(
    folder: Path,
    split: str,
    names: Collection[str],
    weak: Collection[str],
    labels: Labels,
    scene: Namer,
) -> dict[str, Tensor]:
    """Read image-level labels of ``ImageSets/Main/<class>_<split>.txt``; without files, none.

    1 and 0 (present, but difficult) both count as present. Every file must have all of ``names``;
    it may have those of ``weak``.

    Returns:
        The class vector ``(C,)`` of each scene.

    Raises:
        ValueError: If a file is missing or strange, or does not mention a scene.
    """
    main, splits = folder / "ImageSets" / "Main", lists(folder, "Main")
    if split not in splits or not (names or weak):
        return {}
    stem = splits[split].stem
    files = {path.stem.removesuffix(f"_{stem}"): path for path in _texts(main, f"*_{stem}.txt")}
    files |= {n: p for n in labels.names if (p := main / f"{n}_{stem}.txt").is_file()}
    if labels.background is not None:
        files.pop(labels.names[labels.background], None)
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
        columns.append(_column(files[name], names, scene))
    scenes = [*names, *(n for n in weak if all(n in column for column in columns))]
    return {n: torch.tensor([column[n] for column in columns]) for n in scenes}


def _column(path: Path, names: Collection[str], scene: Namer) -> dict[str, float]:
    """Return 1 or 0 for each scene of one class's file, which must have all of ``names``."""
    known: dict[str, float] = {}
    for line in filter(None, lines_of(path)):
        name, *value = line.rsplit(maxsplit=1)
        if value not in (["1"], ["0"], ["-1"]):
            raise ValueError(f"{path} has the line {line!r}; write a name and 1, 0 or -1.")
        known[scene(name, path)] = float(value != ["-1"])
    for name in names:
        if name not in known:
            raise ValueError(f"{path} does not mention {name!r}; add a line '{name} 1' or -1.")
    return known


def _suffixed(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _stem(text: str) -> str:
    """Remove the suffix of an image from a name, unless nothing else remains.

    >>> _stem("seq/a.JPG"), _stem("v1.0"), _stem("seq/.jpg")
    ('seq/a', 'v1.0', 'seq/.jpg')
    """
    stem = text.rpartition(".")[0]
    return stem if _suffixed(text) and stem and not stem.endswith("/") else text


def _texts(folder: Path, pattern: str = "*.txt") -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if not is_junk(path))
