"""Contact sheets: small photographs beside their overlays, many on one page, with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..images.io import write_image
from ..images.legend import font_file, with_legend
from ..images.overlay import overlaid
from ..labels import VOID, Labels

BOX = (150, 200)
"""Height and width that a photograph is shrunk into, in pixels."""

COLUMNS = 4
"""Photographs in a row of the page, each beside its overlay."""

_GAP, _MARGIN, _TITLE, _CAPTION = 4, 14, 20, 12
_PAPER, _INK, _FAINT = 255, (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small photograph and its mask.

    Attributes:
        name: Its caption.
        photo: ``(3, h, w)`` uint8.
        overlay: The photograph with its mask over it, ``(3, h, w)`` uint8.
        ids: The labels of the mask, the largest first.
    """

    name: str
    photo: Tensor
    overlay: Tensor
    ids: tuple[int, ...]


def thumbnail(name: str, image: Tensor, mask: Tensor, labels: Labels) -> Thumbnail:
    """Shrink a photograph and its overlay to fit `BOX`.

    Args:
        name: The caption.
        image: ``(3, H, W)`` uint8.
        mask: Label ids ``(H, W)``; void pixels get no colour.
        labels: The vocabulary, with colours.
    """
    height, width = image.shape[1:]
    scale = min(BOX[0] / height, BOX[1] / width)
    size = (max(1, round(scale * height)), max(1, round(scale * width)))
    photo, overlay = (_shrunk(x, size) for x in (image, overlaid(image, mask, labels)))
    return Thumbnail(name, photo, overlay, labels_by_area(mask, labels))


def labels_by_area(mask: Tensor, labels: Labels) -> tuple[int, ...]:
    """Return the ids of the labels in a mask ``(H, W)``, the largest area first.

    >>> labels_by_area(torch.tensor([[0, 1, 1], [1, 255, 255]]), Labels(("sky", "sea", "cat")))
    (1, 0)
    """
    counts = torch.bincount(mask.flatten().long(), minlength=VOID + 1)[: len(labels.names)]
    order = counts.argsort(descending=True, stable=True).tolist()
    return tuple(i for i in order if counts[i])


def draw_sheet(
    path: Path, thumbnails: Sequence[Thumbnail], labels: Labels, title: str = ""
) -> None:
    """Draw a page: a title, a legend of all labels, and photographs beside their overlays.

    Args:
        path: Where the PNG goes.
        thumbnails: One or more; each has a legend of its own labels below it.
        labels: The vocabulary.
        title: The first line of the page.
    """
    pairs = [_pair(one, labels) for one in thumbnails]
    columns = min(COLUMNS, len(pairs))
    width = columns * (pairs[0].shape[2] + _MARGIN) + _MARGIN
    bands = [_headline(title, width)] if title else []
    legend = with_legend(_blank(1, width - _MARGIN), labels, range(len(labels.names)))
    bands.append(F.pad(legend, (_MARGIN - _CAPTION // 2, 0), value=_PAPER))
    for first in range(0, len(pairs), columns):
        row = pairs[first : first + columns]
        band = _blank(_MARGIN + max(pair.shape[1] for pair in row), width)
        for column, pair in enumerate(row):
            left = _MARGIN + column * (pair.shape[2] + _MARGIN)
            band[:, _MARGIN : _MARGIN + pair.shape[1], left : left + pair.shape[2]] = pair
        bands.append(band)
    bands.append(_blank(_MARGIN, width))
    widest = max(band.shape[2] for band in bands)
    sheet = [F.pad(band, (0, widest - band.shape[2]), value=_PAPER) for band in bands]
    write_image(path, torch.cat(sheet, 1))


def _pair(one: Thumbnail, labels: Labels) -> Tensor:
    """Return a caption, a photograph beside its overlay, and a legend, ``(3, H, W)`` uint8."""
    height, width = one.photo.shape[1:]
    pair = _blank(BOX[0], 2 * BOX[1] + _GAP)
    top = (BOX[0] - height) // 2
    pair[:, top : top + height, BOX[1] - width : BOX[1]] = one.photo
    pair[:, top : top + height, BOX[1] + _GAP : BOX[1] + _GAP + width] = one.overlay
    caption = _line(one.name, pair.shape[2], _CAPTION, _FAINT, centred=True)
    foot = with_legend(_blank(_CAPTION // 3, pair.shape[2]), labels, one.ids)
    return torch.cat([caption, pair, foot[..., : pair.shape[2]]], 1)


def _headline(title: str, width: int) -> Tensor:
    line = _line(title, width - 2 * _MARGIN, _TITLE, _INK)
    return F.pad(line, (_MARGIN, _MARGIN, _MARGIN, 0), value=_PAPER)


def _line(
    text: str, width: int, size: int, ink: tuple[int, int, int], centred: bool = False
) -> Tensor:
    """Write one line, cut at its start if it is longer than ``width``, ``(3, h, width)``."""
    font = ImageFont.truetype(font_file(text), size)
    while font.getlength(text) > width and len(text) > 1:
        text = f"…{text[2:]}"
    strip = Image.new("RGB", (width, size * 5 // 3), (_PAPER,) * 3)
    place, anchor = ((width // 2, size * 5 // 6), "mm") if centred else ((0, size * 5 // 6), "lm")
    ImageDraw.Draw(strip).text(place, text, ink, font, anchor=anchor)
    return torch.from_numpy(np.array(strip)).permute(2, 0, 1)


def _blank(height: int, width: int) -> Tensor:
    return torch.full((3, height, width), _PAPER, dtype=torch.uint8)


def _shrunk(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
