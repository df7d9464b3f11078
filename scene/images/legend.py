"""Legends: a strip below an image with the colours and names of labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..figures.fonts import fonts_for, lacking, note_lost
from ..labels import Labels

SMALL = 256
"""Images with a smaller longer side, in pixels, are enlarged so that the legend is legible."""

_PAPER, _INK, _EDGE = (255, 255, 255), (20, 20, 20), (150, 150, 150)


def with_legend(picture: Tensor, labels: Labels, ids: Sequence[int]) -> Tensor:
    """Add a legend of some labels below an image.

    Args:
        picture: ``(3, H, W)`` uint8; a small one is enlarged by a whole number.
        labels: The vocabulary.
        ids: The labels of the legend, in order; none = no legend.

    Returns:
        ``(3, H', W')`` uint8, with the legend at the bottom.

    >>> labels = Labels(("background", "cat"))
    >>> with_legend(torch.zeros(3, 300, 400, dtype=torch.uint8), labels, [1]).shape
    torch.Size([3, 320, 400])
    """
    times = -(-SMALL // max(picture.shape[1:]))
    if times > 1:
        picture = picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
    if not ids:
        return picture
    height, width = picture.shape[1:]
    size = max(12, min(height, width) // 40)
    names = [labels.names[i] for i in ids]
    fonts = [ImageFont.truetype(font_file(name), size) for name in names]
    lengths = [
        int(font.getlength(name)) + 3 * size for font, name in zip(fonts, names, strict=True)
    ]
    width = max(width, max(lengths))
    places, rows = _laid_out(lengths, width)
    line = size * 5 // 3
    strip = Image.new("RGB", (width, rows * line), _PAPER)
    pen = ImageDraw.Draw(strip)
    for label, name, font, (row, left) in zip(ids, names, fonts, places, strict=True):
        top = row * line + (line - size) // 2
        box = (left + size // 2, top, left + size // 2 + size, top + size)
        pen.rectangle(box, fill=tuple(labels.colours[label]), outline=_EDGE)
        pen.text((left + 2 * size, row * line + line // 2), name, _INK, font, anchor="lm")
    foot = torch.from_numpy(np.array(strip)).permute(2, 0, 1)
    sheet = torch.full((3, height + len(foot[0]), width), 255, dtype=torch.uint8)
    sheet[:, :height, : picture.shape[2]] = picture
    sheet[:, height:] = foot
    return sheet


def _laid_out(lengths: Sequence[int], width: int) -> tuple[list[tuple[int, int]], int]:
    """Return row and left edge of each entry, and the number of rows."""
    places, row, left = [], 0, 0
    for length in lengths:
        if left and left + length > width:
            row, left = row + 1, 0
        places.append((row, left))
        left += length
    return places, row + 1


@cache
def font_file(text: str) -> str:
    """Return a font for a text: that of matplotlib, or an installed one with its letters."""
    default = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    if not (missing := lacking(default, text)):
        return str(default)
    fonts, undrawable = fonts_for(missing)
    if undrawable:
        note_lost(undrawable)
    return str(next(iter(fonts.values()), default))
