"""Folder layouts: the places of images, masks and labels in PASCAL VOC and in tools' exports."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from ...images.folder import LOSSLESS_FIRST, PictureFolder, is_junk, is_picture
from ...labelmap import FILE
from ...storage.user_folders import expanded
from ..base import SPLITS

ALIASES = {  # names of splits in exports of labelling tools
    "default": "train", "training": "train", "validation": "val", "valid": "val",
    "testing": "test", **{split: split for split in SPLITS},
}  # fmt: skip

LABEL_FILES = (FILE, "class_names.txt", "_classes.csv")
"""Files with the names of labels: a label map, labelme's list, Roboflow's table."""

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
"""Suffixes of archives, which must be unpacked first."""

_UNTURNED = "unturned.txt"  # it lists no split

_ENDINGS = ("", "_mask")  # of the names of masks, after that of their picture


@dataclass(frozen=True)
class Layout:
    """The folders of images and masks in a dataset's folder.

    Args:
        root: The dataset's folder.
        images: The folder of images in it.
        masks: The folder of masks in it, which need not exist.
        apart: Whether each split has its own folder of images, ``images/train`` or ``train``.
    """

    root: Path
    images: Path
    masks: Path
    apart: bool = False

    @cached_property
    def pictures(self) -> PictureFolder:
        """The images, by name."""
        return PictureFolder(self.images)

    @cached_property
    def mask_files(self) -> PictureFolder:
        """The masks, by name."""
        return PictureFolder(self.masks, LOSSLESS_FIRST)

    def mask(self, name: str) -> Path | None:
        """Return the mask of an image: a file of the same name, or of that name and ``_mask``."""
        endings = _ENDINGS if self.images != self.masks else _ENDINGS[1:]
        return next((p for e in endings if (p := self.mask_files.find(f"{name}{e}"))), None)

    @cached_property
    def unlisted(self) -> dict[str, list[str]]:
        """All images by split: that of their folder, or ``train``."""
        every = self.pictures.every()
        if self.images == self.masks:
            masks = {f"{name}_mask" for name in every}
            every = [name for name in every if name not in masks]
        by_split: dict[str, list[str]] = {}
        for name in every:
            split = ALIASES.get(name.split("/")[0].lower()) if self.apart else "train"
            if split is not None:
                by_split.setdefault(split, []).append(name)
        return by_split

    @property
    def listless(self) -> bool:
        """Whether there are masks but no lists of scenes: every image is a scene then."""
        sets = self.root / "ImageSets"
        if sets.is_dir() and {p.name for p in sets.rglob("*") if p.is_file()} != {_UNTURNED}:
            return False
        return any(self.mask(name) for names in self.unlisted.values() for name in names)

    def label_file(self) -> Path | None:
        """Return the file with the names of labels, see `LABEL_FILES`."""
        places = [self.root / name for name in LABEL_FILES]
        if self.apart:
            places += [p / LABEL_FILES[-1] for p in sorted(self.images.iterdir()) if p.is_dir()]
        return next((path for path in places if path.is_file()), None)


def locate(root: str | Path) -> Path:
    """Return the folder in a known layout: ``root``, or VOCdevkit/VOC2012 in it.

    Raises:
        FileNotFoundError: If there is no such folder, or none in a known layout; the message
            suggests what to do.
    """
    root = expanded(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; give one in VOC layout.")
    if (folder := _located(root)) is not None:
        return folder
    raise FileNotFoundError(f"{root} has no folder JPEGImages; {_instead(root)}")


def is_located(root: Path) -> bool:
    """Return whether a folder is in a known layout, or holds PASCAL VOC 2012, see `locate`."""
    return _located(root) is not None


def layout_of(folder: Path) -> Layout:
    """Return the layout of a folder of `locate`."""
    layout = _layout(folder)
    assert layout is not None, folder
    return layout


def _located(root: Path) -> Path | None:
    """Return the folder in a known layout, or None."""
    folders = (root, root / "VOCdevkit" / "VOC2012", root / "VOC2012")
    return next((folder for folder in folders if _layout(folder) is not None), None)


def _layout(root: Path) -> Layout | None:
    """Return the layout: of VOC and labelme, ``images`` and ``masks``, or of Roboflow."""
    if (root / "JPEGImages").is_dir():
        masks = [root / "SegmentationClass", root / "SegmentationClassPNG"]
        filled = (m for m in masks if m.is_dir() and any(map(is_picture, m.iterdir())))
        return Layout(root, root / "JPEGImages", next(filled, masks[0]))
    inner = {p.name.lower(): p for p in _folders(root)}
    if "images" in inner and "masks" in inner:
        parts = [p.name.lower() for p in _folders(inner["images"])]
        apart = bool(parts) and all(part in ALIASES for part in parts)
        return Layout(root, inner["images"], inner["masks"], apart)
    splits = [p for name, p in inner.items() if name in ALIASES]
    if any((p / LABEL_FILES[-1]).is_file() or any(p.glob("*_mask.png")) for p in splits):
        return Layout(root, root, root, apart=True)
    return None


def _instead(root: Path) -> str:
    """Return advice about a folder in no known layout, from its content."""
    usual = "put the images there, as in PASCAL VOC."
    inner = _folders(root)
    if fits := [p for p in inner if _layout(p) is not None]:
        return f"but {fits[0]} is in a layout that is read: give that."
    archives = [p for p in sorted(root.glob("*")) if p.suffix.lower() in ARCHIVES]
    if archives and not inner:
        return f"it holds the archive {archives[0].name}: unpack that, and give its folder."
    lower = {p.name.lower(): p.name for p in inner}
    near = get_close_matches("jpegimages", lower, n=1, cutoff=0.7) or [
        name for name in ("images", "image", "imgs", "photos") if name in lower
    ]
    if near:
        return f"is it {lower[near[0]]!r}? Call that JPEGImages, and the masks SegmentationClass."
    if count := sum(map(is_picture, root.iterdir())):
        where = "as in PASCAL VOC, or in a folder per class"
        return f"the {count} pictures in it belong there, {where}."
    return usual


def _folders(root: Path) -> list[Path]:
    return (
        sorted(p for p in root.iterdir() if p.is_dir() and not is_junk(p)) if root.is_dir() else []
    )
