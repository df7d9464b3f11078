"""Pictures on disk: reading whatever people have, and writing whole files or none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .datasets.labelmap import ids_from_colours, ids_from_indices
from .files import replace_file, require_regular
from .labels import Labels

MOST_PIXELS = 105_000_000
"""The most pixels of a picture that is read: the largest cameras give 102 megapixels."""

_ORIENTATION = 0x0112  # the EXIF tag; values from 5 on swap height and width
_CLOSED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
"""Formats that Pillow reads with other programs, or not at all."""

_ROWS = 256  # of a picture that are converted at once


def read_image(path: str | Path) -> Tensor:
    """Read a photograph as a person would see it.

    EXIF rotation is applied, transparency is laid on white, and greyscale, palette, CMYK and
    16-bit pictures become 8-bit RGB.

    Returns:
        ``(3, H, W)`` uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a picture, is damaged, or has more than `MOST_PIXELS`.
    """
    with _opened(Path(path)) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        return _pixels(picture)


def read_mask(path: str | Path, labels: Labels) -> Tensor:
    """Read a mask: label ids in a palette or greyscale picture, or labels' colours in RGB.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, has more than `MOST_PIXELS`, or holds an id or a colour
            that is no label's.
    """
    path = Path(path)
    with _opened(path) as picture:
        mode, table = picture.mode, picture.getpalette("RGB") or []
        if mode in ("P", "PA", "L", "LA", "1") or mode.startswith("I"):
            pixels = np.array(picture.getchannel(0) if mode in ("PA", "LA") else picture)
        else:
            pixels = np.array(picture.convert("RGB"))
    if pixels.ndim == 3:
        return torch.from_numpy(ids_from_colours(pixels, labels, path))
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(table) // 3] = np.reshape(table, (-1, 3))
    ids = ids_from_indices(
        pixels.astype(np.int32), palette if mode in ("P", "PA") else None, labels, path
    )
    return torch.from_numpy(ids)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Give the height and width `read_image` would, from the file's header alone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a picture.
    """
    with _opened(Path(path)) as picture:
        width, height = picture.size
        turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    return (width, height) if turned else (height, width)


def write_image(path: str | Path, image: Tensor) -> None:
    """Write a picture in the format its suffix names, completely or not at all.

    Args:
        path: Where to; missing folders are made.
        image: ``(3, H, W)``, uint8, or float in [0, 1].

    Raises:
        ValueError: If the suffix names no picture format.
    """
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = image.detach().cpu().permute(1, 2, 0)
    picture = Image.new("RGB", (pixels.shape[1], pixels.shape[0]))
    for top, rows in zip(range(0, len(pixels), _ROWS), pixels.split(_ROWS), strict=True):
        picture.paste(Image.fromarray(rows.contiguous().numpy()), (0, top))
    _save(picture, Path(path))


def write_mask(path: str | Path, mask: Tensor, labels: Labels) -> None:
    """Write a palette PNG that holds the label ids and shows the labels' colours.

    Args:
        path: Where to, ending in ``.png``; missing folders are made.
        mask: ``(H, W)`` label ids, integer; 255 is void, and shown in VOC's cream.
        labels: Whose colours to show.

    Raises:
        ValueError: If the suffix is not ``.png``: other formats would change the ids.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"A mask cannot be kept exactly as {path.name}; end the name in .png.")
    picture = Image.fromarray(mask.detach().cpu().to(torch.uint8).contiguous().numpy())
    picture.putpalette(labels.palette.tobytes())
    _save(picture, path)


def write_grey(path: str | Path, values: Tensor) -> None:
    """Write a greyscale picture, 0 black and 1 white, completely or not at all.

    Args:
        path: Where to; missing folders are made.
        values: ``(H, W)`` in [0, 1].

    Raises:
        ValueError: If the suffix names no picture format.
    """
    grey = (values.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    _save(Image.fromarray(grey.contiguous().numpy()), Path(path))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever Pillow says while it is read becomes one sentence."""
    if not path.exists():
        raise FileNotFoundError(f"There is no picture {path}; check the name and the folder.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a picture; name a file in it.")
    require_regular(path)
    with _quiet(path):
        Image.init()
        picture = Image.open(path, formats=sorted(set(Image.OPEN) - _CLOSED))
    width, height = picture.size
    if width * height > MOST_PIXELS:
        picture.close()
        raise _too_large(path, f"{width}×{height}")
    with picture, _quiet(path):
        yield picture


@contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """Say in one sentence what Pillow meets in a file, in place of its warnings and errors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            yield
        except PermissionError:
            raise ValueError(f"{path} may not be read by you; change its permissions.") from None
        except Image.DecompressionBombError as error:
            raise _too_large(path, "far larger") from error
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises anything, by format
            raise ValueError(
                f"{path} cannot be read as a picture, it may be damaged; export or copy it again."
            ) from error


def _too_large(path: Path, size: str) -> ValueError:
    return ValueError(
        f"{path} is {size}, but pictures of up to {MOST_PIXELS // 10**6} megapixels are read; "
        "shrink it first."
    )


def _pixels(picture: Image.Image) -> Tensor:
    """Give a picture's pixels, ``(3, H, W)`` uint8, holding no second copy of them."""
    picture.load()
    width, height = picture.size
    pixels = torch.empty(3, height, width, dtype=torch.uint8)
    for top in range(0, height, _ROWS):
        rows = np.array(_rgb(picture.crop((0, top, width, min(height, top + _ROWS)))))
        pixels[:, top : top + _ROWS] = torch.from_numpy(rows).permute(2, 0, 1)
    return pixels


def _rgb(picture: Image.Image) -> Image.Image:
    """Convert any mode Pillow reads to 8-bit RGB."""
    if picture.mode.startswith("I"):  # 16-bit greyscale, which Pillow would clip, not scale
        grey = np.clip(np.asarray(picture).astype(np.int64) // 257, 0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        return picture.convert("L").convert("RGB")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return picture.convert("RGB")


def _save(picture: Image.Image, path: Path) -> None:
    """Write in the format that the suffix names."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise ValueError(f"No picture format ends in {path.suffix!r}; name {path.stem}.png.")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: picture.save(part, format=kind))
