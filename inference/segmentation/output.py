"""A segmentation as files: mask, overlay, uncertainty and probabilities of one photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scene.images.io import write_grey, write_image, write_mask
from scene.images.overlay import overlaid
from scene.storage.files import replace_file

if TYPE_CHECKING:
    from .segmentation import Segmentation

KINDS = {"mask": ".png", "overlay": ".png", "uncertainty": ".png", "probs": ".npz"}
"""What may be written of a photograph, ``<stem>_<kind><suffix>``, with its suffix."""

_ROWS = 64  # of an overlay at once


def write(kind: str, path: Path, segmentation: Segmentation, opacity: float = 0.5) -> None:
    """Write one kind of file, whole or not at all.

    Args:
        kind: A key of `KINDS`.
        path: Where to; missing folders are made.
        segmentation: What to write of; an overlay needs its photograph.
        opacity: Of overlays, 0 to 1.

    Raises:
        ValueError: If the suffix does not fit, or an overlay has no photograph.
    """
    if kind == "mask":
        write_mask(path, segmentation.mask, segmentation.labels)
    elif kind == "overlay":
        write_image(path, overlay_of(segmentation, opacity))
    elif kind == "uncertainty":
        write_grey(path, segmentation.entropy)
    else:
        write_probs(path, segmentation)


def overlay_of(segmentation: Segmentation, opacity: float = 0.5) -> Tensor:
    """Lay a segmentation over its photograph, with a legend of the labels present.

    Args:
        segmentation: With its photograph.
        opacity: Of the mask, 0 to 1.

    Returns:
        ``(3, H', W')`` uint8, see `scene.images.legend.with_legend`.

    Raises:
        ValueError: If it does not hold its photograph.
    """
    from scene.images.legend import with_legend  # which loads matplotlib

    image = segmentation.image
    if image is None:
        raise ValueError("This segmentation holds no photograph to lay its mask over.")
    whole = torch.empty_like(image)
    parts = zip(*(x.split(_ROWS, -2) for x in (whole, image, segmentation.mask)), strict=True)
    for there, rows, ids in parts:
        there.copy_(overlaid(rows, ids, segmentation.labels, opacity))
    return with_legend(whole, segmentation.labels, [share.id for share in segmentation.shares])


def write_probs(path: Path, segmentation: Segmentation) -> None:
    """Write the probabilities of a segmentation as an ``.npz`` that is either whole or not there.

    Args:
        path: Where to; its folder is made.
        segmentation: Its ``grid`` becomes ``probs``, ``(L, h, w)`` float32: at the photograph's
            own pixels, or where it has more than the segmenter's ``pixels``, at those that the
            CRF worked on, and without a CRF at the model's own. ``labels`` are the L names, and
            ``size`` is the photograph's height and width.
    """
    probs = segmentation.grid.numpy()
    labels, size = np.array(segmentation.labels.names), np.array(segmentation.size)

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, probs=probs, labels=labels, size=size)

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save)
