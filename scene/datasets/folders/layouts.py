"""Layouts of folders: where PASCAL VOC and labelling tools keep images, masks and labels."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from ...images.folder import LOSSLESS_FIRST, PictureFolder, is_junk, is_picture
from ...labelmap import FILE
from ...storage.user_folders import expanded
from ..base import SPLITS

ALIASES = {  # what labelling tools call the splits they export
    "default": "train", "training": "train", "validation": "val", "valid": "val",
    "testing": "test", **{split: split for split in SPLITS},
}  # fmt: skip

LABEL_FILES = (FILE, "class_names.txt", "_classes.csv")
"""Where labels may be named: a label map, labelme's list of names, Roboflow's table."""

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
"""What is unpacked first."""

_UNTURNED = "unturned.txt"  # it lists no split

_ENDINGS = ("", "_mask")  # of the names of masks, after that of their picture


@dataclass(frozen=True)
class Layout:
    """Where a folder keeps what.

    Args:
        root: The folder.
        images: Within it, the folder of images.
        masks: Within it, the folder of masks; it need not be there.
        apart: Whether the folders of images are its splits, as ``images/train`` or ``train``.
    """

    root: Path
    images: Path
    masks: Path
    apart: bool = False

    @cached_property
    def pictures(self) -> PictureFolder:
        """The images by name."""
        return PictureFolder(self.images)

    @cached_property
    def drawn(self) -> PictureFolder:
        """The masks by name."""
        return PictureFolder(self.masks, LOSSLESS_FIRST)

    def mask(self, name: str) -> Path | None:
        """Find the mask of an image: it is called as that is, or with ``_mask`` at the end."""
        endings = _ENDINGS if self.images != self.masks else _ENDINGS[1:]
        return next((p for e in endings if (p := self.drawn.find(f"{name}{e}"))), None)

    @cached_property
    def unlisted(self) -> dict[str, list[str]]:
        """Every image by the split whose folder it is in; as ``train`` if folders say nothing."""
        every = self.pictures.every()
        if self.images == self.masks:
            masks = {f"{name}_mask" for name in every}
            every = [name for name in every if name not in masks]
        found: dict[str, list[str]] = {}
        for name in every:
            split = ALIASES.get(name.split("/")[0].lower()) if self.apart else "train"
            if split is not None:
                found.setdefault(split, []).append(name)
        return found

    @property
    def listless(self) -> bool:
        """Whether nothing lists scenes, but masks are there: every image is a scene then."""
        sets = self.root / "ImageSets"
        if sets.is_dir() and {p.name for p in sets.rglob("*") if p.is_file()} != {_UNTURNED}:
            return False
        return any(self.mask(name) for names in self.unlisted.values() for name in names)

    def label_file(self) -> Path | None:
        """Find the file that names the labels, see `LABEL_FILES`."""
        places = [self.root / name for name in LABEL_FILES]
        if self.apart:
            places += [p / LABEL_FILES[-1] for p in sorted(self.images.iterdir()) if p.is_dir()]
        return next((path for path in places if path.is_file()), None)


def locate(root: str | Path) -> Path:
    """Find the folder that holds images: ``root``, or a VOCdevkit/VOC2012 within it.

    Raises:
        FileNotFoundError: If there is no such folder, or no images where a layout has them; the
            message names what comes nearest.
    """
    root = expanded(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}; give one in VOC layout.")
    for folder in (root, root / "VOCdevkit" / "VOC2012", root / "VOC2012"):
        if _layout(folder) is not None:
            return folder
    raise FileNotFoundError(f"{root} has no folder JPEGImages; {_instead(root)}")


def layout_of(folder: Path) -> Layout:
    """Say where a folder that `locate` has found keeps what."""
    found = _layout(folder)
    assert found is not None, folder
    return found


def _layout(root: Path) -> Layout | None:
    """Recognise a layout: VOC's and labelme's, ``images`` and ``masks``, or Roboflow's."""
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
    """Say what to do about a folder in no layout, after what is in it."""
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
        return f"the {count} pictures in it belong there, as in PASCAL VOC."
    return usual


def _folders(root: Path) -> list[Path]:
    return (
        sorted(p for p in root.iterdir() if p.is_dir() and not is_junk(p)) if root.is_dir() else []
    )
