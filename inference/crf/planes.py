"""Planes, one a label, and rows of labels, one a pixel: turning one into the other."""

from __future__ import annotations

from inference.crf.compiled import Floats, compiled
from inference.crf.lanes import LOWEST

Size = tuple[int, int, int, int, int]
"""B, H, W, L, and L padded to whole `Lanes`."""

CHUNK = 32
"""Pixels that are turned together, and go through each stage of a sweep."""


@compiled
def pack(logits: Floats, size: Size, first: int, last: int, packed: Floats) -> None:
    """Turn rows of planes, ``(B, L, H, W)``, into rows of labels, ``(B, H, W, padded)``."""
    width, padded = size[2], size[4]
    for row in range(first, last):
        for start in range(0, width, CHUNK):
            count = min(CHUNK, width - start)
            read_planes(logits, size, row, start, count, packed, (row * width + start) * padded)


@compiled
def read_planes(
    logits: Floats, size: Size, row: int, start: int, count: int, buffer: Floats, at: int
) -> None:
    """Read a chunk of planes into rows of labels."""
    _, height, width, labels, padded = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for c in range(labels):
        for i in range(count):
            buffer[at + i * padded + c] = logits[origin + c * plane + i]
    for i in range(count):
        for c in range(labels, padded):
            buffer[at + i * padded + c] = LOWEST


@compiled
def write_planes(
    out: Floats, size: Size, row: int, start: int, count: int, buffer: Floats, scale: Floats
) -> None:
    """Write a chunk of rows of labels to planes."""
    _, height, width, labels, padded = size
    plane = height * width
    origin = (row // height) * labels * plane + (row % height) * width + start
    for c in range(labels):
        for i in range(count):
            out[origin + c * plane + i] = buffer[i * padded + c] * scale[i]
