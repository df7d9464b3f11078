"""CVAT's XML of images, version 1.1: polygons, masks, ellipses, boxes and tags."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ...registry import unknown
from ...storage.files import read_text
from ...storage.names import scene_name
from ..base import SPLITS
from ..folders.layouts import ALIASES
from ..image_level.index import ImageIndex
from .drawing import Ellipse, Polygons, Shape, WindowRuns, counts_of, points_of, size_of
from .photographs import AnnotatedPhoto, index_of

FILE = "annotations.xml"
"""The name of CVAT's file in its exports."""

_BOXES = ("box", "cuboid", "polyline", "points", "skeleton")  # which have no outline


def is_cvat(path: Path) -> bool:
    """Return whether a file begins as CVAT's XML does."""
    if not path.is_file():  # a pipe would block
        return False
    with path.open("rb") as file:
        return b"<annotations" in file.read(4096)


def read_cvat(path: Path, source: Path) -> ImageIndex:
    """Read the photographs of CVAT's XML, and what is annotated in each.

    Polygons, ellipses and masks are outlines, by ``z_order`` and then in the order of the file.
    Tags are image-level labels. Boxes and lines give their labels, but no mask. Photographs lie
    beside the XML, in ``images/``, or there in a folder of their subset.

    Args:
        path: The XML.
        source: What ``--data`` names.

    Raises:
        FileNotFoundError: If photographs are missing; the message names them.
        LookupError: If no photograph is listed, or a subset is no split.
        ValueError: If the file is not CVAT's, or cannot be read.
    """
    root = _root_of(path)
    images = root.findall("image")
    if not images and root.find("track") is not None:
        raise ValueError(
            f"{path} is CVAT's export of a video; export it again as 'CVAT for images 1.1'."
        )
    subsets = {image.get("subset", "") for image in images}
    photos = [_photo(image, path, len(subsets) > 1) for image in images]
    names = [label.text or "" for label in root.findall("./meta//labels/label/name")]
    inner = path.parent / "images"
    places = [path.parent, inner, *(inner / scene_name(s, str(path)) for s in subsets if s)]
    return index_of(source, path.parent, photos, places, [name for name in names if name.strip()])


def _root_of(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML that can be read: {error}.") from None
    if root.tag != "annotations":
        raise ValueError(
            f"{path} is not CVAT's: it begins with {root.tag[:80]!r}, not annotations; export it "
            "as 'CVAT for images 1.1'."
        )
    return root


def _photo(image: ElementTree.Element, path: Path, with_splits: bool) -> AnnotatedPhoto:
    """Return what is annotated in one photograph."""
    name = scene_name(image.get("name", ""), str(path))
    split = image.get("subset", "")
    if with_splits and split.lower() not in ALIASES:
        raise LookupError(f"{path}: {unknown(split, SPLITS, 'split')}; rename the subset.")
    photo = AnnotatedPhoto(
        name,
        path,
        size_of(_number(image.get("height")), _number(image.get("width"))),
        ALIASES[split.lower()] if with_splits else None,
    )
    ordered = sorted(image, key=lambda item: _number(item.get("z_order")) or 0)
    for item in ordered:
        if (label := item.get("label", "").strip()) == "":
            continue
        if item.tag == "tag":
            photo.classes.add(label)
            continue
        try:
            shape = _shape(item)
        except ValueError as error:
            raise ValueError(
                f"{path} has a {item.tag} of {label!r} in {name!r} that cannot be read: {error}; "
                "export it again."
            ) from None
        if shape is not None or item.tag in _BOXES:
            photo.add(label, shape)
    if not photo.regions and not photo.boxes and photo.classes:  # tags alone
        photo.boxes = True
    return photo


def _shape(item: ElementTree.Element) -> Shape | None:
    if item.tag == "polygon":
        pairs = item.get("points", "").replace(";", ",").split(",")
        return Polygons((points_of([_required(text) for text in pairs]),))
    if item.tag == "ellipse":
        x, y, rx, ry = (_required(item.get(name)) for name in ("cx", "cy", "rx", "ry"))
        points_of([x, y, rx, ry])
        return Ellipse((x, y), (rx, ry), _number(item.get("rotation")) or 0.0)
    if item.tag == "mask":
        numbers = [_required(item.get(name)) for name in ("top", "left", "height", "width")]
        top, left, height, width = (int(n) for n in points_of(numbers).flatten())
        counts = [int(_required(text)) for text in item.get("rle", "").split(",")]
        return WindowRuns((top, left), (height, width), counts_of(counts))
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _required(text: str | None) -> float:
    number = _number(text)
    if number is None or abs(number) > 1e9 or number != number:
        raise ValueError(f"its number {(text or '')[:20]!r} is none")
    return number
