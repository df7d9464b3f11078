"""EXIF orientation: of an image, its size, and its mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ..notices import notice

_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # the transpose that applies each; from 5 on, width and height are exchanged

_ELSEWHERE = (
    "if not, list scenes, or *, in ImageSets/Segmentation/unturned.txt; an empty one confirms it",
    "* in ImageSets/Segmentation/unturned.txt confirms it",
)
_ALONE = (
    "if not, save the photo upright, without EXIF",
    "if that is wrong, save the photo upright, without EXIF",
)  # what to do where either assumption is wrong: of a dataset's folder, and of a file alone


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of an open image, 1 (upright) to 8.

    A number out of range or of another type, and unreadable EXIF, count as 1.
    """
    try:
        value = picture.getexif().get(_TAG, 1)
    except Exception:  # damaged EXIF can raise anything; the pixels are still good
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def turn_upright(picture: Any) -> None:
    """Load an image of Pillow and apply its EXIF orientation, in place."""
    number = orientation(picture)
    picture.load()
    if picture.format == "TIFF":  # Pillow applies it on loading, and reports it only before that
        number = orientation(picture)
    if number != 1:
        picture.im = picture.im.transpose(_TURNS[number])
        picture._size = picture.im.size  # as `PIL.ImageOps.exif_transpose` does in place


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return height and width after the EXIF orientation is applied, from the header alone."""
    width, height = picture.size
    if picture.format == "TIFF":  # some versions of Pillow exchange its sides before it is loaded
        tags: Any = getattr(picture, "tag_v2", {})
        width, height = tags.get(256, width), tags.get(257, height)
    return (width, height) if orientation(picture) >= 5 else (height, width)


def turned(values: Tensor, number: int) -> Tensor:
    """Apply an EXIF orientation, 1 to 8, to ``(…, H, W)``.

    >>> import torch
    >>> turned(torch.tensor([[1, 2], [3, 4]]), 6).tolist()  # clockwise
    [[3, 1], [4, 2]]
    """
    if number >= 5:
        values = values.transpose(-2, -1)
    axes = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}.get(number, ())
    return values.flip(axes) if axes else values


def aligned(
    mask: Tensor,
    drawn: tuple[Path, int],
    photo: tuple[Path, int],
    size: tuple[int, int],
    unturned: bool | None = None,
    alone: bool = False,
) -> Tensor:
    """Apply the photo's EXIF orientation to a mask of its stored pixels.

    If it is not known, a mask that fits only the stored pixels is rotated, and one that fits both
    is not. A `Notice` reports either.

    Args:
        mask: Label ids ``(H, W)``, with the mask's own EXIF orientation applied.
        drawn: The file of the mask, and its `orientation`.
        photo: The file of the photo, and its `orientation`.
        size: Height and width of the photo, orientation applied.
        unturned: Whether the mask belongs to the stored pixels; None = not known.
        alone: Whether the two files are not in a dataset, which could list it.

    Returns:
        Label ids; of another size than the photo's if the mask fits neither way.
    """
    number = photo[1]
    if number == 1 or drawn[1] != 1 or unturned is False:
        return mask
    stored = size[::-1] if number >= 5 else size
    either, only = _ALONE if alone else _ELSEWHERE
    if unturned is None and mask.shape == stored == size:
        notice(
            f"EXIF turns photos in {photo[0].parent}, and sizes do not tell whether their masks "
            f"are turned: they are taken as drawn on the turned photos; {either}."
        )
        return mask
    if mask.shape != stored:
        return mask
    if unturned is None:
        notice(
            f"Masks in {drawn[0].parent} fit only the stored pixels of photos that EXIF turns: "
            f"they are turned, too; {only}."
        )
    return turned(mask, number).contiguous()
