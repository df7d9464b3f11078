"""COCO's JSON: which categories are annotated in each photograph, and their outlines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ...storage.files import MOST_TEXT, read_json, require_regular
from ...storage.names import scene_name
from ..annotations.drawing import (
    CocoRuns,
    Drawing,
    Polygons,
    Region,
    Shape,
    counts_of,
    is_void,
    points_of,
    size_of,
)
from ..folders.index import quoted
from ..folders.layouts import ALIASES
from .finding import ImageFinder
from .index import ImageIndex, LabelledImage, make_index

MOST_BYTES = MOST_TEXT
"""The largest JSON of annotations that is read, in bytes."""

_ROBOFLOW = "_annotations.coco.json"  # in each folder of a split

_PARTS = ("images", "annotations", "categories")


class _Annotations(NamedTuple):
    """A file of annotations: its categories in order, and the photographs with their labels."""

    categories: tuple[str, ...]
    images: list[LabelledImage]


class _Content(NamedTuple):
    """What a file says: names of categories and images, and what is annotated in each image."""

    categories: dict[int | str, str]
    names: dict[int | str, str]
    present: dict[int | str, set[str]]
    drawings: dict[int | str, Drawing]


def coco_files(root: Path) -> list[Path]:
    """Return COCO's annotations in a folder, in ``annotations/`` in it, or in its splits."""
    for folder in (root, root / "annotations"):
        files = [*folder.glob("instances_*.json"), *folder.glob("annotations.json")]
        if usual := sorted(path for path in files if path.is_file()):
            return usual
    folders = (path for path in sorted(root.iterdir()) if path.name.lower() in ALIASES)
    return [path for folder in folders if (path := folder / _ROBOFLOW).is_file()]


def read_coco(files: Sequence[Path], source: Path) -> ImageIndex:
    """Read the photographs, the categories that are annotated in each, and their outlines.

    If any annotation has an outline (polygons or run lengths), photographs have masks: the
    outlines in the order of the file, the later on top, ``iscrowd`` as void, all else background.
    A photograph with an annotation of a box only has image-level labels, and so have all if no
    annotation has an outline. Photographs are relative to the folder of the JSON or to
    ``images/`` in it; of a JSON in a folder ``annotations``, also to the folders beside that. Of
    several files, ``instances_train2017.json`` is the split ``train``.

    Args:
        files: One file, or one per split.
        source: What ``--data`` names.

    Raises:
        FileNotFoundError: If photographs are missing; the message names them.
        LookupError: If no photograph is listed, or the split of a file is unknown.
        ValueError: If a file is not in COCO's format, or files contradict each other.
    """
    apart = files[0].parent.name == "annotations" or files[0].name == _ROBOFLOW
    root = files[0].parent.parent if apart else files[0].parent
    parts = [_read(path, root, _split(path) if len(files) > 1 else None) for path in files]
    for path, part in zip(files, parts, strict=True):
        if part.categories != parts[0].categories:
            raise ValueError(
                f"{path} has other categories than {files[0].name}; export both with the same "
                "ones, in the same order."
            )
    images = [image for part in parts for image in part.images]
    return make_index(source, root, images, parts[0].categories)


def _split(path: Path) -> str:
    """Return the split that the name of a file names, such as ``instances_val2017.json``."""
    stem = path.parent.name if path.name == _ROBOFLOW else path.stem
    name = stem.lower().removeprefix("instances_")
    split = ALIASES.get(re.sub(r"[\W_]*\d*$", "", name))
    if split is None:
        raise LookupError(
            f"{path} names no split, but there are several files; call it such as "
            "instances_val.json, or give one file."
        )
    return split


def _read(path: Path, root: Path, split: str | None) -> _Annotations:
    """Read one file; the paths of its photographs are relative to ``root``."""
    require_regular(path)
    status = path.stat()
    content = _content(path, status.st_size, status.st_mtime_ns)
    scenes = {number: scene_name(name, str(path)) for number, name in content.names.items()}
    files = ImageFinder(_places(path, root)).all_of(dict.fromkeys(scenes.values()), path)
    return _Annotations(
        tuple(name for name in content.categories.values() if not is_void(name)),
        [
            LabelledImage(
                files[scene].relative_to(root).as_posix(),
                files[scene],
                frozenset(content.present[number]),
                split,
                content.drawings.get(number),
            )
            for number, scene in scenes.items()
        ],
    )


@lru_cache(maxsize=4)  # a dataset is opened several times, for its splits and its labels
def _content(path: Path, size: int, modified: int) -> _Content:
    """Read what a file says, of its size and at its time of modification."""
    if size > MOST_BYTES:
        raise ValueError(
            f"{path} has {size >> 20} MB, but up to {MOST_BYTES >> 20} MB of annotations are "
            "read; split it, or write a labels.csv if image-level labels are enough."
        )
    content = read_json(path, MOST_BYTES)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list) for part in _PARTS
    ):
        raise ValueError(
            f"{path} is not in COCO's format: it needs lists called {', '.join(_PARTS)}; export "
            "it as COCO, or write a labels.csv."
        )
    categories = _named(content["categories"], "name", "category", path)
    names = _named(content["images"], "file_name", "image", path)
    if len(set(categories.values())) < len(categories):
        raise ValueError(f"{path} has two categories of one name; names must differ.")
    present: dict[int | str, set[str]] = {number: set() for number in names}
    regions: dict[int | str, list[Region] | None] = {number: [] for number in names}
    for annotation in content["annotations"]:
        image = _reference(annotation, "image_id", names, path)
        name = categories[_reference(annotation, "category_id", categories, path)]
        present[image].add(name)
        shape, drawn = _outline(annotation, path), regions[image]
        if shape is None:
            regions[image] = None
        elif drawn is not None:
            drawn.append(Region(None if _is_crowd(annotation) or is_void(name) else name, shape))
    return _Content(categories, names, present, _drawings(regions, content["images"], path))


def _is_crowd(annotation: dict[str, Any]) -> bool:
    """Return whether an annotation is of a crowd, whose pixels are not all of its category.

    CVAT's exports mark every mask with ``iscrowd``; they are known by their ``attributes``.
    """
    return annotation.get("iscrowd") == 1 and not isinstance(annotation.get("attributes"), dict)


def _drawings(
    regions: dict[int | str, list[Region] | None], images: list[Any], path: Path
) -> dict[int | str, Drawing]:
    """Return the drawing of each photograph that has one, if any annotation has an outline."""
    if not any(regions.values()):
        return {}
    sizes = {image["id"]: size_of(image.get("height"), image.get("width")) for image in images}
    return {
        number: Drawing(tuple(drawn), sizes[number], path)
        for number, drawn in regions.items()
        if drawn is not None
    }


def _outline(annotation: dict[str, Any], path: Path) -> Shape | None:
    """Return the outline of an annotation; None if it has none.

    Raises:
        ValueError: If it cannot be read.
    """
    segmentation = annotation.get("segmentation")
    try:
        if isinstance(segmentation, list) and segmentation:
            flat = not isinstance(segmentation[0], list)
            return Polygons(tuple(map(points_of, [segmentation] if flat else segmentation)))
        if isinstance(segmentation, dict):
            size = segmentation.get("size")
            shape = size_of(*size) if isinstance(size, list) and len(size) == 2 else None
            if shape is None:
                raise ValueError("its run lengths have no size")
            counts = segmentation.get("counts")
            return CocoRuns(shape, counts if isinstance(counts, str) else counts_of(counts))
    except ValueError as error:
        raise ValueError(
            f"{path} has the annotation {_short(annotation)} that cannot be read: {error}; export "
            "it again."
        ) from None
    return None


def _places(path: Path, root: Path) -> list[Path]:
    """Return the folders that the photographs of a file may be in."""
    folders = [path.parent, path.parent / "images"]
    if path.parent != root:
        part = path.stem.removeprefix("instances_")
        others = [root, root / "images", root / part, root / "images" / part]
        folders = folders + others if path.name == _ROBOFLOW else others + folders
    return folders


def _named(items: list[Any], field: str, kind: str, path: Path) -> dict[int | str, str]:
    """Return the name of each image or category, by its id."""
    names: dict[int | str, str] = {}
    for item in items:
        number = _id(item, "id")
        name = item.get(field) if isinstance(item, dict) else None
        if number is None or not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"{path} has the {kind} {_short(item)}; it needs an id and a {field}."
            )
        if number in names:
            raise ValueError(
                f"{path} gives {quoted([names[number], name])} the same id {number!r}; ids of "
                f"each {kind} must differ."
            )
        names[number] = name.strip() if field == "name" else name
    return names


def _reference(item: Any, field: str, known: dict[int | str, str], path: Path) -> int | str:
    """Return the id that an annotation refers to."""
    number = _id(item, field)
    if number is None or number not in known:
        kind = field.removesuffix("_id")
        raise ValueError(
            f"{path} has the annotation {_short(item)} of an unknown {kind}; it needs a {field} "
            f"of one in its list."
        )
    return number


def _id(item: Any, field: str) -> int | str | None:
    number = item.get(field) if isinstance(item, dict) else None
    return number if isinstance(number, int | str) and not isinstance(number, bool) else None


def _short(item: Any) -> str:
    """Return the start of an entry as text."""
    if isinstance(item, dict):
        item = {k: v for k, v in item.items() if k in ("id", "image_id", "category_id", "name")}
    text = repr(item)
    return text if len(text) < 80 else f"{text[:76]}…"
