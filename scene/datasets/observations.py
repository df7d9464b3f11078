"""Observations: views of scenes as paths, arrays, tensors or names, framed as one batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..images.inputs import image_from, mask_from
from ..images.io import picture_size, read_image, read_mask, read_mask_of
from ..labels import Labels
from ..storage.user_folders import expanded
from ..views import VIEWS, Scene, Schema, Views, stack
from .base import SPLITS
from .catalogue import evaluation_split, open_data
from .framing import Frame

Picture: TypeAlias = "str | PathLike[str] | Image.Image | np.ndarray | Tensor"
"""One image or mask: a path, ``SPLIT:N`` of a dataset, or pixels in memory."""

Pictures: TypeAlias = "Picture | Sequence[Picture]"
"""One image or mask, or a batch of them."""

Classes: TypeAlias = "str | Sequence[str] | Sequence[Sequence[str]] | np.ndarray | Tensor"
"""Classes of a scene by name (``"circle,ring"`` or a list), or a vector (C,); or a batch."""

_SCENE = re.compile(f"({'|'.join(SPLITS)}):([0-9]{{1,9}})")


@dataclass(frozen=True, eq=False)
class Observation:
    """Observed views of one scene or of a batch.

    Attributes:
        views: B scenes, of the model's size; None = there are no observed views.
        batched: Whether the views are a batch, so that results keep its dimension.
    """

    views: Views | None
    batched: bool


def observe(
    schema: Schema,
    *,
    image: Pictures | None = None,
    classes: Classes | None = None,
    mask: Pictures | None = None,
    data: str = "synthetic",
) -> Observation:
    """Return the views of one scene or of a batch, framed to a size.

    Pictures are resized until they cover the size and cropped at their centre, images with
    antialiasing and masks by nearest neighbour, as the scenes of a dataset are.

    Args:
        schema: Labels, and the size.
        image: Of one scene: a path, ``test:3`` for a scene of ``data``, a Pillow image, an array
            ``(H, W, 3)`` or ``(H, W)``, or a tensor ``(3, H, W)``; uint8, or float in [0, 1]. Of
            a batch: a list of those, or one dimension more.
        classes: Names as ``"circle,ring"`` or a list of them, ``test:3``, or a vector ``(C,)`` of
            0 and 1. Of a batch: a list of those, or ``(B, C)``.
        mask: As ``image``, or label ids ``(H, W)``; 255 = void.
        data: Where ``test:3`` is looked up, as ``--data``.

    Raises:
        FileNotFoundError: If a picture is not there.
        LookupError: If a class or a scene is unknown.
        TypeError: If a view is of any other type.
        ValueError: If a view cannot be read, is of another shape, or does not fit the others.
    """
    inputs = {"image": image, "classes": classes, "mask": mask}
    observed = {name: value for name, value in inputs.items() if value is not None}
    if not observed:
        return Observation(None, False)
    batches = {name: _batch(name, value) for name, value in observed.items()}
    counts = {name: len(batch) for name, batch in batches.items() if batch is not None}
    if len(set(counts.values())) > 1 or (counts and len(counts) < len(observed)):
        text = ", ".join(f"{counts.get(name, 'one')} for {name}" for name in observed)
        raise ValueError(f"Every view of a batch has equally many scenes, not {text}.")
    if counts and not next(iter(counts.values())):
        raise ValueError("The batch is empty; give one scene or more.")
    rows: list[dict[str, Any]] = [observed]
    if counts:
        columns = {name: batch for name, batch in batches.items() if batch is not None}
        rows = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    scenes = [_scene(row, schema, data) for row in rows]
    names = [name for name in VIEWS if name in observed]
    return Observation(stack(scenes, schema).only(names), bool(counts))


def photograph(source: Picture) -> Tensor:
    """Return the pixels of one image at its own size, ``(3, H, W)`` uint8.

    Raises:
        FileNotFoundError: If it is not there.
        TypeError: If it is no image of any kind.
        ValueError: If it cannot be read.
    """
    if isinstance(source, str | PathLike):
        return read_image(expanded(Path(source)))
    return image_from(source)


def batch_of_images(value: Any) -> Sequence[Any] | None:
    """Return the images of a batch; None if ``value`` is one image."""
    return _batch("image", value)


def _batch(name: str, value: Any) -> Sequence[Any] | None:
    """Return the scenes of a batch; None if this is one scene's view."""
    if isinstance(value, np.ndarray | Tensor):
        deep = {"image": 4, "classes": 2, "mask": 3}[name]
        if name == "mask" and value.ndim == 3 and value.shape[-1] in (3, 4):
            raise ValueError(
                f"A mask holds label ids (H, W), not {tuple(value.shape)}; give a coloured one as "
                "a Pillow image."
            )
        return list(value) if value.ndim == deep else None
    if not isinstance(value, list | tuple):
        return None
    if name == "classes" and all(isinstance(word, str) for word in value):
        return None  # the names of one scene
    return value


def _scene(row: dict[str, Any], schema: Schema, data: str) -> Scene:
    """Frame the views of one scene."""
    views = {name: _view(name, value, row, schema, data) for name, value in row.items()}
    return Scene(views.get("image"), views.get("classes"), views.get("mask"))


def _view(name: str, value: Any, row: dict[str, Any], schema: Schema, data: str) -> Tensor:
    if place := _of_dataset(value):
        return _stored(name, data, place[1], int(place[2]), schema)
    if name == "classes":
        return _vector(value, schema.labels)
    if name == "image":
        picture = photograph(value)
        return Frame((picture.shape[-2], picture.shape[-1]), schema.size).apply_image(picture)
    mask = _mask(value, row.get("image"), schema.labels)
    return Frame((mask.shape[-2], mask.shape[-1]), schema.size).apply_mask(mask)


def _of_dataset(value: Any) -> re.Match[str] | None:
    return _SCENE.fullmatch(value) if isinstance(value, str) else None


def _vector(value: Any, labels: Labels) -> Tensor:
    """Return the class vector ``(C,)`` of one scene."""
    if isinstance(value, str):
        return labels.encode(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return labels.encode(value)
    if not isinstance(value, np.ndarray | Tensor):
        raise TypeError(
            f"Classes are names, or a vector of {len(labels.classes)}, not a "
            f"{type(value).__name__}."
        )
    vector = torch.as_tensor(value).detach().cpu().float()
    if vector.shape != (len(labels.classes),):
        raise ValueError(
            f"A class vector holds {len(labels.classes)} numbers, one for each of "
            f"{', '.join(labels.classes)}; this one is {tuple(vector.shape)}."
        )
    if not bool(((vector == 0) | (vector == 1)).all()):
        raise ValueError("A class vector holds 1 for a class that is present and 0 for others.")
    return vector


def _mask(value: Any, image: Any, labels: Labels) -> Tensor:
    """Return a mask; with a photo, of the photo's orientation.

    Raises:
        ValueError: If the two do not show the same pixels.
    """
    file = Path(value) if isinstance(value, str | PathLike) else None
    if image is None or _of_dataset(image):
        return mask_from(value, labels) if file is None else read_mask(expanded(file), labels)
    if file is not None and isinstance(image, str | PathLike):
        photo: Any = expanded(Path(image))
        drawn: Any = expanded(file)
        mask, size = read_mask_of(drawn, labels, photo, alone=True), picture_size(photo)
    else:
        photo, drawn = "The image", "its mask"
        mask = mask_from(value, labels) if file is None else read_mask(expanded(file), labels)
        seen = photograph(image)
        size = (seen.shape[-2], seen.shape[-1])
    if mask.shape != size:
        (h, w), (tall, wide) = size, mask.shape
        raise ValueError(
            f"{photo} is {w}×{h} but {drawn} is {wide}×{tall}; give an image and its mask at one "
            "size."
        )
    return mask


def _stored(name: str, data: str, split: str, number: int, schema: Schema) -> Tensor:
    """Return a view of a dataset's scene."""
    if split == "test":  # folders often have none
        split = evaluation_split(data)
    dataset = open_data(data, split, schema.size)
    if number >= len(dataset):
        raise LookupError(
            f"{split}:{number} is not there; {dataset.name} {split} has scenes 0 to "
            f"{len(dataset) - 1}."
        )
    if name != "image":
        schema.labels.require(dataset.schema.labels, dataset.name)
    view: Tensor | None = getattr(dataset[number], name)
    if view is None:
        raise LookupError(f"{split}:{number} of {dataset.name} has no {name}; choose another.")
    return view
