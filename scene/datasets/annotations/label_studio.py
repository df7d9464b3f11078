"""Label Studio's JSON and JSON-MIN: polygons, brushes, ellipses, rectangles and choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ...images.folder import SUFFIXES
from ...notices import notice
from ...storage.names import scene_name
from ..image_level.finding import ImageFinder
from ..image_level.index import ImageIndex
from .drawing import Brush, Ellipse, Polygons, Shape, points_of, size_of
from .photographs import AnnotatedPhoto, index_of

_LABELS = (
    "polygonlabels", "brushlabels", "ellipselabels", "rectanglelabels", "keypointlabels", "labels",
)  # fmt: skip

_ABOUT = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")
"""Fields of JSON-MIN about the annotation."""

_CHOICES = ("choice", "choices", "class", "classes", "label", "labels")
"""Fields of JSON-MIN whose text is a choice."""

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")


def is_label_studio(content: Any) -> bool:
    """Return whether the content of a JSON file is a list of tasks of Label Studio."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    task = content[0]
    whole = isinstance(task.get("data"), dict) and any(
        isinstance(task.get(name), list) for name in ("annotations", "completions", "predictions")
    )
    return whole or ("annotation_id" in task and any(map(_is_picture, task.values())))


def read_label_studio(content: list[Any], path: Path, source: Path) -> ImageIndex:
    """Read the photographs of Label Studio's tasks, and what is annotated in each.

    Polygons, ellipses and brushes are outlines, in the order of the file. Choices are image-level
    labels. Rectangles and key points give their labels, but no mask. Of several annotations of a
    task, the one that is marked as ground truth counts, else the last that was not skipped; tasks
    without any are left out. Photographs lie beside the JSON or in ``images/``, with or without
    the eight digits that Label Studio puts before their names.

    Args:
        content: The tasks.
        path: Their file.
        source: What ``--data`` names.

    Raises:
        FileNotFoundError: If photographs are missing; the message names them.
        LookupError: If no task is annotated.
        ValueError: If a task cannot be read.
    """
    places = [path.parent, path.parent / "images"]
    finder = ImageFinder(places)
    photos, left_out = list[AnnotatedPhoto](), 0
    for task in content:
        if not isinstance(task, dict):
            raise ValueError(f"{path} has a task that is no object; export it again as JSON.")
        data = task["data"] if isinstance(task.get("data"), dict) else task
        picture = next(filter(_is_picture, data.values()), None)
        if picture is None:
            raise ValueError(
                f"{path} has a task without a photograph ({str(task.get('id'))[:20]}); export "
                "tasks of images."
            )
        results = _results(task) if data is not task else _fields(task)
        if results is None:
            left_out += 1
            continue
        names = [scene_name(name, str(path)) for name in _names(picture)]
        name = next((name for name in names if finder.find(name) is not None), names[0])
        photos.append(_photo(name, results, path))
    if left_out:
        notice(f"{path} has {left_out} tasks without an annotation; they are left out.")
    return index_of(source, path.parent, photos, places)


def _photo(name: str, results: Iterable[dict[str, Any]], path: Path) -> AnnotatedPhoto:
    photo = AnnotatedPhoto(name, path)
    for item in results:
        try:
            _add(item, photo)
        except ValueError as error:
            raise ValueError(
                f"{path} has an annotation of {name!r} that cannot be read: {error}; export it "
                "again."
            ) from None
    if not photo.regions and photo.classes:  # choices alone
        photo.boxes = True
    return photo


def _add(item: dict[str, Any], photo: AnnotatedPhoto) -> None:
    """Add one result: a region, or choices."""
    value = item["value"] if isinstance(item.get("value"), dict) else item
    if (choices := value.get("choices")) is not None:
        photo.classes.update(_texts(choices))
        return
    labels = next((_texts(value[name]) for name in _LABELS if value.get(name)), [])
    if not labels:
        return
    if item.get("image_rotation") or value.get("image_rotation"):
        raise ValueError("its photograph is rotated in Label Studio; rotate the file itself")
    source = item if "original_width" in item else value
    size = size_of(source.get("original_height"), source.get("original_width"))
    if size is None:
        raise ValueError("its original_width and original_height are missing")
    if photo.size not in (None, size):
        raise ValueError("its regions are of photographs of different sizes")
    photo.size = size
    photo.add(labels[0], _shape(value, size))


def _shape(value: dict[str, Any], size: tuple[int, int]) -> Shape | None:
    """Return the shape of a region, whose coordinates are in % of the size."""
    scale = np.array([size[1], size[0]]) / 100
    if "rle" in value:
        rle = value["rle"]
        if not isinstance(rle, list) or not all(type(n) is int and 0 <= n < 256 for n in rle):
            raise ValueError("its brush is no list of bytes")
        return Brush(bytes(rle))
    if "points" in value:
        return Polygons((points_of(value["points"]) * scale,))
    if "radiusX" in value:
        keys = ("x", "y", "radiusX", "radiusY")
        (x, y), (rx, ry) = (points_of([value.get(key) for key in keys]) * scale).tolist()
        turn = value.get("rotation", 0)
        return Ellipse((x, y), (rx, ry), float(turn) if isinstance(turn, int | float) else 0.0)
    return None


def _results(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the results of the annotation that counts; None if there is none."""
    every = task.get("annotations", task.get("completions"))
    listed = [a for a in every if isinstance(a, dict)] if isinstance(every, list) else []
    done = [a for a in listed if not a.get("was_cancelled") and isinstance(a.get("result"), list)]
    if not done:
        return None
    chosen = next((a for a in done if a.get("ground_truth")), done[-1])
    return [item for item in chosen["result"] if isinstance(item, dict)]


def _fields(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the results of a task of JSON-MIN: every field holds those of one tag."""
    for name, value in task.items():
        if name in _ABOUT:
            continue
        if isinstance(value, list):
            yield from (item for item in value if isinstance(item, dict))
        elif isinstance(value, dict) and "choices" in value:
            yield value
        elif isinstance(value, str) and name in _CHOICES:
            yield {"choices": [value]}


def _texts(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def _path_in(text: str) -> str:
    """Return the path of a photograph in an address, such as ``/data/local-files/?d=a/b.jpg``."""
    parts = urlsplit(text)
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _names(text: str) -> list[str]:
    """Return the names that a photograph may have, the likeliest first.

    >>> _names("/data/upload/3/0a1b2c3d-cat.jpg")
    ['0a1b2c3d-cat.jpg', 'cat.jpg']
    >>> _names("/data/local-files/?d=pets/cat.jpg")
    ['pets/cat.jpg', 'cat.jpg']
    """
    path = _path_in(text).replace("\\", "/").lstrip("/")
    path = re.sub(r"^data/(upload/(\d+/)?)?", "", path)
    last = path.rpartition("/")[2]
    return list(dict.fromkeys((path, last, _UPLOADED.sub("", last))))


def _is_picture(value: Any) -> bool:
    """Return whether a value of a task is the address of a picture."""
    try:
        return isinstance(value, str) and _path_in(value).lower().endswith(SUFFIXES)
    except ValueError:  # of an address that is none
        return False
