"""Sizes as people write them."""

from __future__ import annotations

import re

STOCK_SIZE = (64, 64)
"""Height and width of scenes if nobody says otherwise."""

SMALLEST = 16
"""The least height and width, in pixels, that the networks can take."""


def parse_size(text: str) -> tuple[int, int]:
    """Read a size written as height x width.

    Raises:
        ValueError: If it is not written so, or is too small for the networks.

    >>> parse_size("96x64")
    (96, 64)
    """
    found = re.fullmatch(r"\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*", text.lower())
    if not found:
        raise ValueError(f"{text!r} is not a size; write height x width in pixels, like 96x64.")
    height, width = int(found[1]), int(found[2])
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"{height}x{width} is too small; height and width are at least {SMALLEST} pixels."
        )
    return height, width
