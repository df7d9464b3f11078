"""Default sizes of scenes and networks, and the text form of a size."""

from __future__ import annotations

import re

STOCK_SIZE = (64, 64)
"""Default height and width of scenes, in pixels."""

STOCK_LATENT, STOCK_WIDTH, STOCK_GUIDE_WIDTH = 64, 16, 32
"""Length of z; channels of the finest layer of a decoder, and of the first of an encoder."""

STOCK_IMAGE_SCALE = 0.2
"""Scale of the pixel noise, in units of the image's range."""

SMALLEST, LARGEST = 16, 2048
"""The smallest and the largest height and width, in pixels, for the networks."""


def parse_size(text: str) -> tuple[int, int]:
    """Parse a size written as height x width.

    Raises:
        ValueError: If it is not written so, or too small or too large for the networks.

    >>> parse_size("96x64")
    (96, 64)
    """
    match = re.fullmatch(r"\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*", text.lower())
    if not match:
        raise ValueError(f"{text!r} is not a size; write height x width in pixels, like 96x64.")
    size = int(match[1]), int(match[2])
    require_size(size)
    return size


def require_size(size: tuple[int, int]) -> None:
    """Refuse a size that is too small or too large for the networks.

    Raises:
        ValueError: If height or width is below `SMALLEST` or above `LARGEST`.
    """
    if min(size) < SMALLEST:
        raise ValueError(
            f"{size[0]}x{size[1]} is too small; height and width are at least {SMALLEST} pixels."
        )
    if max(size) > LARGEST:
        raise ValueError(
            f"{size[0]}x{size[1]} is too large; height and width are at most {LARGEST} pixels."
        )
