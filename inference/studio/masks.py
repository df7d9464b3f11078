"""Masks of the page: label ids that were painted, uploaded, or taken from a dataset."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene.datasets.framing import Frame
from scene.images.inputs import mask_from
from scene.images.io import read_mask
from scene.labels import VOID, Labels
from scene.views import Schema

Painting = dict[str, Any]
"""A mask as the page's canvas holds it, see `painting`."""


def blank(labels: Labels) -> int:
    """Return the label of what was not painted: background, or void where there is none.

    >>> blank(Labels(("background", "cat"))), blank(Labels(("sky", "sea")))
    (0, 255)
    """
    return VOID if labels.background is None else labels.background


def painting(schema: Schema, mask: Tensor | None = None) -> Painting:
    """Return a mask for the page's canvas.

    Args:
        schema: Labels and size of the model.
        mask: Label ids ``(H, W)`` of the model's size; None = nothing is painted.

    Returns:
        Plain data: height, width, the names and colours of labels, the label of what is blank, and
        the ids, row by row, one byte each, in base64.
    """
    height, width = schema.size
    labels = schema.labels
    if mask is None:
        mask = torch.full((height, width), blank(labels))
    ids = mask.to(torch.uint8).cpu().contiguous().numpy()
    return {
        "height": height,
        "width": width,
        "labels": [
            {"id": i, "name": name, "colour": list(colour)}
            for i, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True))
        ],
        "blank": blank(labels),
        "ids": base64.b64encode(ids.tobytes()).decode(),
    }


def painted(value: Any, schema: Schema) -> Tensor:
    """Return the mask that was painted, ``(H, W)`` uint8 label ids.

    Args:
        value: What the canvas holds.
        schema: Labels and size of the model that it is for.

    Raises:
        ValueError: If nothing was painted, or the canvas is of another model.
    """
    ids = value.get("ids") if isinstance(value, dict) else None
    try:
        data = base64.b64decode(ids, validate=True) if isinstance(ids, str) else b""
    except ValueError:
        data = b""
    height, width = schema.size
    if len(data) != height * width:
        raise ValueError(f"The mask is not of {width}×{height} pixels; clear it and paint again.")
    pixels = np.frombuffer(data, dtype=np.uint8).reshape(height, width)
    mask = mask_from(pixels.copy(), schema.labels)
    if bool((mask == blank(schema.labels)).all()):
        raise ValueError("Nothing is painted yet; choose a class and paint it on the canvas.")
    return mask


def uploaded(path: Path, schema: Schema) -> Tensor:
    """Read the file of a mask at a model's size, ``(H, W)`` uint8.

    Raises:
        ValueError: If it is no mask with these labels.
    """
    mask = read_mask(path, schema.labels)
    return Frame((mask.shape[-2], mask.shape[-1]), schema.size).apply_mask(mask)
