"""Masks in the formats of labelling tools: VOC layout, COCO's JSON, labelme's JSON."""

from __future__ import annotations

import base64
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from ...images.io import write_image
from ...labels import VOID, Labels
from ...registry import unknown
from ...storage.names import scene_name, within
from ...storage.outputs import require_free, without
from ..folders.writer import ABOUT, SceneWriter, VOCWriter, link_or_copy
from .run_lengths import compress, runs_of

Format = Literal["voc", "coco", "labelme"]
"""A format in which masks are written, with their photographs, so that they can be read again."""

FORMATS: tuple[Format, ...] = ("voc", "coco", "labelme")

UNSPLIT = "default"
"""The name of the only split, as labelling tools call it."""

_MARKER = ".about.json"
"""The file that says how a folder was written; only folders with it are ever replaced."""

_IGNORED = "__ignore__"  # labelme's own name of void


class _Part(NamedTuple):
    """The pixels of one label: its name, and the window that holds them."""

    label: str | None
    top: int
    left: int
    inside: np.ndarray


def require_annotations_folder(folder: Path, kind: Format, force: bool) -> None:
    """Refuse a folder that masks of a format may not be written to, see `require_free`."""
    require_free(
        folder,
        force,
        folder=f"a dataset in the format {kind}",
        foreign=without(ABOUT if kind == "voc" else _MARKER),
    )


def writer_of(kind: Format, folder: Path, labels: Labels) -> SceneWriter:
    """Return a writer of a format.

    Args:
        kind: One of `FORMATS`.
        folder: An empty folder.
        labels: The vocabulary.

    Raises:
        LookupError: If there is no such format.
    """
    if kind not in FORMATS:
        raise LookupError(unknown(kind, FORMATS, "format") + ".")
    writers: dict[str, Any] = {"voc": VOCWriter, "coco": CocoWriter, "labelme": LabelmeWriter}
    writer: SceneWriter = writers[kind](folder, labels)
    return writer


class _Annotations(ABC):
    """Writes photographs with annotations, each name once."""

    def __init__(self, folder: Path, labels: Labels) -> None:
        self.folder, self.labels = folder, labels
        self._names: set[str] = set()

    def add(
        self,
        split: str,
        name: str,
        picture: Path | Tensor,
        mask: Tensor,
        classes: Tensor | None = None,
    ) -> bool:
        """Add a scene, unless there is one of that name; return whether it was added."""
        name = scene_name(name, "a scene")
        if name in self._names:
            return False
        self._names.add(name)
        ids: np.ndarray = mask.detach().cpu().numpy()
        self.annotate(split, name, picture, ids)
        return True

    @abstractmethod
    def annotate(self, split: str, name: str, picture: Path | Tensor, ids: np.ndarray) -> None:
        """Write a photograph, and keep or write the annotations of its label ids ``(H, W)``."""

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write what the folder is."""
        _write_json(self.folder, Path(_MARKER), about)


class CocoWriter(_Annotations):
    """Writes ``annotations/instances_SPLIT.json`` and the photographs into ``images/``.

    Every label of a photograph is one annotation: compressed run lengths of all its pixels.
    Background has none. Void is an annotation of the category ``void`` with ``iscrowd``.

    Args:
        folder: An empty folder.
        labels: The vocabulary; categories are its classes, with ids from 1.
    """

    def __init__(self, folder: Path, labels: Labels) -> None:
        super().__init__(folder, labels)
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._annotations: dict[str, list[dict[str, Any]]] = {}
        self._has_void = False

    def annotate(self, split: str, name: str, picture: Path | Tensor, ids: np.ndarray) -> None:
        """Write the photograph, and keep what its split's JSON will say of it."""
        place = _place_picture(self.folder, Path("images", name), picture)
        height, width = ids.shape
        images = self._images.setdefault(split, [])
        file = place.relative_to(self.folder / "images").as_posix()
        images.append({"id": len(images) + 1, "file_name": file, "height": height, "width": width})
        annotations = self._annotations.setdefault(split, [])
        for part in _parts(ids, self.labels):
            h, w = part.inside.shape
            whole = np.zeros((height, width), dtype=bool)
            whole[part.top : part.top + h, part.left : part.left + w] = part.inside
            self._has_void |= part.label is None
            category = (
                self.labels.classes.index(part.label) + 1
                if part.label is not None
                else len(self.labels.classes) + 1
            )
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": category,
                    "segmentation": {
                        "size": [height, width],
                        "counts": compress(runs_of(whole.T)),
                    },
                    "area": int(part.inside.sum()),
                    "bbox": [part.left, part.top, w, h],
                    "iscrowd": int(part.label is None),
                }
            )

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write the JSON of each split, and what the folder is."""
        names = [*self.labels.classes, *(["void"] if self._has_void else [])]
        categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
        for split, images in self._images.items():
            content = {
                "info": dict(about),
                "images": images,
                "annotations": self._annotations[split],
                "categories": categories,
            }
            _write_json(self.folder, Path("annotations", f"instances_{split}.json"), content)
        super().finish(about)


class LabelmeWriter(_Annotations):
    """Writes a JSON beside each photograph, in a folder of its split if there are several.

    Every label of a photograph is one shape of the type ``mask``: a picture of its pixels, which
    labelme shows and exports as it is. Its polygons could not be exact: labelme draws their edges,
    too, and they have no holes. Background has no shape; void is called ``__ignore__``.

    Args:
        folder: An empty folder.
        labels: The vocabulary.
    """

    def annotate(self, split: str, name: str, picture: Path | Tensor, ids: np.ndarray) -> None:
        """Write the photograph and its JSON."""
        stem = Path(name) if split == UNSPLIT else Path(split, name)
        place = _place_picture(self.folder, stem, picture)
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [_shape(part) for part in _parts(ids, self.labels)],
            "imagePath": place.name,
            "imageData": None,
            "imageHeight": ids.shape[0],
            "imageWidth": ids.shape[1],
        }
        _write_json(self.folder, stem.with_name(f"{stem.name}.json"), content)


def _shape(part: _Part) -> dict[str, Any]:
    """Return a shape of labelme of the type ``mask``, whose points are its corner pixels."""
    height, width = part.inside.shape
    buffer = io.BytesIO()
    Image.fromarray(part.inside.astype(np.uint8)).save(buffer, format="PNG")
    right, bottom = part.left + width - 1, part.top + height - 1
    return {
        "label": _IGNORED if part.label is None else part.label,
        "points": [[float(part.left), float(part.top)], [float(right), float(bottom)]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(buffer.getvalue()).decode(),
    }


def _parts(ids: np.ndarray, labels: Labels) -> Iterator[_Part]:
    """Yield the pixels of each label but background, and of void."""
    for number in np.unique(ids).tolist():
        if number == labels.background:
            continue
        inside = ids == number
        rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
        window = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        name = None if number == VOID else labels.names[number]
        yield _Part(name, int(rows[0]), int(columns[0]), window)


def _place_picture(folder: Path, stem: Path, picture: Path | Tensor) -> Path:
    """Link, copy or write a photograph; return its path."""
    suffix = picture.suffix if isinstance(picture, Path) else ".png"
    place = within(folder, folder / stem.with_name(f"{stem.name}{suffix}"))
    if isinstance(picture, Path):
        link_or_copy(picture, place)
    else:
        write_image(place, picture)
    return place


def _write_json(folder: Path, name: Path, content: Mapping[str, Any]) -> None:
    place = within(folder, folder / name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
