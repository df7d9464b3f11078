"""labelme's JSON, one beside each photograph: polygons, circles, masks, rectangles and flags."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...images.folder import is_junk
from ...notices import notice
from ...storage.files import MOST_TEXT, read_json, require_regular
from ...storage.names import scene_name
from ..folders.layouts import ALIASES
from ..image_level.index import ImageIndex, require_few
from .drawing import Bitmap, Ellipse, Polygons, Shape, points_of, size_of
from .photographs import AnnotatedPhoto, index_of

_LINES = ("line", "linestrip", "point", "points")  # which have no area


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is an annotation of labelme."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def labelme_files(root: Path) -> list[Path]:
    """Return the JSON files in a folder and below it, in order."""
    files: list[Path] = []
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, n) for n in sorted(names) if n.lower().endswith(".json")]
        require_few(len(files), root)
    return [file for file in files if not is_junk(file) and not file.name.startswith(".")]


def read_labelme(files: Sequence[Path], root: Path, source: Path) -> ImageIndex:
    """Read photographs and what is annotated in each, from one JSON per photograph.

    Polygons, circles and masks are outlines, in the order of the file. Rectangles and lines give
    their labels, but no mask. Flags that are set are labels of a photograph without shapes. The
    photograph is ``imagePath``, relative to the JSON, or has the name of the JSON; photographs
    without a JSON are left out. Folders ``train/``, ``val/`` and ``test/`` give the splits.

    Args:
        files: The files; others than labelme's are left out.
        root: The folder that they lie in.
        source: What ``--data`` names.

    Raises:
        FileNotFoundError: If photographs are missing; the message names them.
        LookupError: If there is no annotation.
        ValueError: If a file cannot be read, or names a photograph outside the folder.
    """
    photos, others = list[AnnotatedPhoto](), list[str]()
    for path in files:
        require_regular(path)
        status = path.stat()
        photo = _read(path, root, status.st_size, status.st_mtime_ns)
        if photo is not None:
            photos.append(replace(photo))
        else:
            others.append(path.relative_to(root).as_posix())
    if others:
        notice(f"{root} has {len(others)} JSON files that are not labelme's; they are left out.")
    splits = {photo.split for photo in photos}
    if None in splits:
        for photo in photos:
            photo.split = None
    return index_of(source, root, photos, [root])


@lru_cache(maxsize=2**17)  # labelme may keep whole photographs in its files
def _read(path: Path, root: Path, size: int, modified: int) -> AnnotatedPhoto | None:
    """Read one file, of its size and at its time of modification; None if it is not labelme's."""
    content = read_json(path, MOST_TEXT)
    return _photo(content, path, root) if is_labelme(content) else None


def _photo(content: dict[str, Any], path: Path, root: Path) -> AnnotatedPhoto:
    """Return what is annotated in one photograph."""
    place = path.parent.relative_to(root).as_posix()
    named = content.get("imagePath")
    if not isinstance(named, str) or not named.strip():
        named = path.stem
    joined = posixpath.normpath(posixpath.join(place, named.replace("\\", "/")))
    name = scene_name(joined, str(path))
    beside = posixpath.normpath(posixpath.join(place, path.stem))
    if not (root / name).is_file():
        name = beside
    size = size_of(content.get("imageHeight"), content.get("imageWidth"))
    top = place.split("/")[0].lower()
    photo = AnnotatedPhoto(name, path, size, ALIASES.get(top))
    for shape in content["shapes"]:
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"{path} has a shape without a label; give it one, or remove it.")
        try:
            photo.add(label.strip(), _shape(shape))
        except ValueError as error:
            raise ValueError(
                f"{path} has a shape of {label!r} that cannot be read: {error}; draw it again."
            ) from None
    flags = content.get("flags")
    if not content["shapes"] and isinstance(flags, dict) and flags:
        photo.classes.update(str(flag) for flag, is_set in flags.items() if is_set is True)
        photo.boxes = True
    return photo


def _shape(shape: dict[str, Any]) -> Shape | None:
    kind = shape.get("shape_type") or "polygon"
    points = points_of(shape.get("points"))
    if kind == "polygon":
        return Polygons((points,))
    if kind == "circle" and len(points) == 2:
        (x, y), (px, py) = points.tolist()
        radius = float(((x - px) ** 2 + (y - py) ** 2) ** 0.5)
        return Ellipse((x, y), (radius, radius))
    if kind == "mask" and len(points) == 2:
        (left, top), (right, bottom) = points.astype(int).tolist()
        png = shape.get("mask")
        if not isinstance(png, str):
            raise ValueError("its mask is missing")
        return Bitmap((top, left), (bottom - top + 1, right - left + 1), png)
    if kind in (*_LINES, "rectangle", "oriented_rectangle"):
        return None
    raise ValueError(f"its shape_type {str(kind)[:40]!r} with {len(points)} points is not known")
