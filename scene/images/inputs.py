"""Images and masks in memory: Pillow images, arrays and tensors, as uint8 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..labels import VOID, Labels
from .io import MOST_PIXELS, image_of, mask_of
from .orientation import orientation

IMAGES = "a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)"
"""Types of an image, for messages."""

MASKS = "a path, a Pillow image, or label ids (H, W) as an array or a tensor"
"""Types of a mask, for messages."""

_IMAGE, _MASK = Path("the image"), Path("the mask")  # names in messages


def image_from(source: Any) -> Tensor:
    """Return the pixels of an image in memory, as `scene.images.io.read_image` does of a file.

    Args:
        source: A Pillow image of any mode, turned as its EXIF says; an array ``(H, W)``,
            ``(H, W, 3)`` or ``(H, W, 4)``, or a tensor ``(1, H, W)`` or ``(3, H, W)``: uint8, or
            float in [0, 1].

    Returns:
        ``(3, H, W)`` uint8.

    Raises:
        TypeError: If it is anything else.
        ValueError: If its shape is another, or a number is NaN or out of range.
    """
    if isinstance(source, Image.Image):
        return image_of(_upright(source, _IMAGE))
    if isinstance(source, np.ndarray):
        _require_shape(source.shape, (3,), {1, 3, 4}, last=True)
        pixels = _bytes(torch.from_numpy(np.ascontiguousarray(source))).numpy()
        flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
        return image_of(Image.fromarray(flat))
    if isinstance(source, Tensor):
        _require_shape(tuple(source.shape), (3,), {1, 3}, last=False)
        return _bytes(source.detach().cpu()).expand(3, -1, -1).contiguous()
    raise TypeError(f"An image is {IMAGES}, not a {type(source).__name__}.")


def mask_from(source: Any, labels: Labels) -> Tensor:
    """Return the label ids of a mask in memory, as `scene.images.io.read_mask` does of a file.

    Args:
        source: A Pillow image, read as a file of its mode would be; or ``(H, W)`` label ids as
            an array or a tensor of any integer type.
        labels: The vocabulary.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        TypeError: If it is anything else.
        ValueError: If its shape is another, or it holds an id that is no label's.
    """
    if isinstance(source, Image.Image):
        return mask_of(_upright(source, _MASK), labels, _MASK, source.format)
    if isinstance(source, np.ndarray):
        if source.dtype.kind not in "iu":
            raise _no_ids(str(source.dtype))
        source = torch.from_numpy(source.astype(np.int64))
    if not isinstance(source, Tensor):
        raise TypeError(f"A mask is {MASKS}, not a {type(source).__name__}.")
    if source.is_floating_point() or source.is_complex() or source.dtype == torch.bool:
        raise _no_ids(str(source.dtype).removeprefix("torch."))
    if source.ndim != 2 or not source.numel():
        raise ValueError(
            f"A mask holds label ids (H, W), not {_shape(source.shape)}; give a coloured one as "
            "a Pillow image."
        )
    ids = source.detach().cpu().to(torch.int64)
    strange = ids[((ids < 0) | (ids >= len(labels.names))) & (ids != VOID)]
    if len(strange):
        raise ValueError(
            f"The mask holds the id {int(strange[0])}, but labels are 0 to "
            f"{len(labels.names) - 1}, and {VOID} is void."
        )
    return ids.to(torch.uint8)


def _upright(picture: Image.Image, name: Path) -> Image.Image:
    """Return a copy of an image with its EXIF orientation applied."""
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{name} is {width}×{height}, but pictures of up to {MOST_PIXELS // 10**6} megapixels "
            "are read; shrink it first."
        )
    if not width * height:
        raise ValueError(f"{name} is {width}×{height}: it holds no pixel.")
    if orientation(picture) == 1:
        return picture.copy()
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _bytes(values: Tensor) -> Tensor:
    """Return an image as uint8; floats in [0, 1] are scaled and rounded."""
    if values.dtype == torch.uint8:
        return values
    if not values.is_floating_point():
        kind = str(values.dtype).removeprefix("torch.")
        raise ValueError(f"An image holds uint8, or floats in [0, 1], not {kind}; convert it.")
    if not bool(values.isfinite().all()):
        raise ValueError("The image holds NaN or infinity; an image is uint8, or float in [0, 1].")
    if float(values.min()) < 0 or float(values.max()) > 1:
        low, high = float(values.min()), float(values.max())
        raise ValueError(
            f"The image holds floats from {low:g} to {high:g}, not in [0, 1]; scale it, or give "
            "uint8."
        )
    return (values.float() * 255).round().to(torch.uint8)


def _require_shape(
    shape: tuple[int, ...], dimensions: tuple[int, ...], channels: set[int], last: bool
) -> None:
    expected = "(H, W), (H, W, 3) or (H, W, 4)" if last else "(3, H, W) or (1, H, W)"
    plain = last and len(shape) == 2
    fits = plain or (len(shape) in dimensions and shape[-1 if last else 0] in channels)
    if not fits or 0 in shape:
        kind = "array" if last else "tensor"
        raise ValueError(f"An image as {kind} is {expected}, not {_shape(shape)}.")


def _no_ids(kind: str) -> ValueError:
    return ValueError(f"A mask holds label ids, whole numbers, not {kind}; convert it to uint8.")


def _shape(shape: Any) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
