"""Image files: reading of any common format, and atomic writing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..labels import Labels
from ..storage.files import replace_file, require_regular
from .mask_ids import ids_from_colours, ids_from_numbers, require_lossless
from .orientation import aligned, orientation, turn_upright, upright_size

MOST_PIXELS = 105_000_000
"""The most pixels of an image that is read: the largest cameras have 102 megapixels."""

LONGEST = 65_535
"""The longest side of an image that is read, in pixels: that of JPEG."""

_CLOSED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
"""Formats that Pillow reads with other programs, or not at all: they are not opened."""

_HEIF = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""Image formats of phones, by their bytes in a file's header."""

_ROWS = 256  # rows of an image that are converted at once


def read_image(path: str | Path) -> Tensor:
    """Read an image as 8-bit RGB.

    The EXIF orientation is applied, transparent pixels are blended with white, and greyscale,
    palette, CMYK and 16-bit images are converted.

    Returns:
        ``(3, H, W)`` uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a picture, is damaged, or has more than `MOST_PIXELS`.
    """
    with _opened(Path(path)) as picture:
        turn_upright(picture)
        return _pixels(picture)


def read_mask(path: str | Path, labels: Labels) -> Tensor:
    """Read a mask: label ids in a palette or greyscale image, or labels' colours in any image.

    See `scene.images.mask_ids.ids_from_numbers` for how they are told apart. A `Notice` reports
    what is assumed if a file is ambiguous.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, has more than `MOST_PIXELS`, is in a format with losses, or
            holds an id or a colour that is no label's.
    """
    return _mask(Path(path), labels)[0]


def read_mask_of(
    path: Path,
    labels: Labels,
    photo: Path,
    unturned: bool | None = None,
    alone: bool = False,
) -> Tensor:
    """Read a mask in the orientation of its photo, see `scene.images.orientation.aligned`.

    Args:
        path: The mask.
        labels: The vocabulary.
        photo: Its photo.
        unturned: Whether the mask belongs to the photo's stored pixels; None = not known.
        alone: Whether the two files are not in a dataset.

    Raises:
        FileNotFoundError: As `read_mask`.
        ValueError: As `read_mask`.
    """
    mask, turn = _mask(path, labels)
    return in_orientation_of(photo, mask, (path, turn), unturned, alone)


def in_orientation_of(
    photo: Path,
    mask: Tensor,
    drawn: tuple[Path, int],
    unturned: bool | None = None,
    alone: bool = False,
) -> Tensor:
    """Return a mask in the orientation of its photo, see `scene.images.orientation.aligned`.

    Args:
        photo: The file of the photo.
        mask: Label ids ``(H, W)``, with the mask's own EXIF orientation applied.
        drawn: The file of the mask, and its EXIF orientation.
        unturned: Whether the mask belongs to the photo's stored pixels; None = not known.
        alone: Whether the two files are not in a dataset that could list it.

    Raises:
        FileNotFoundError: If there is no such photo.
        ValueError: If the photo is not a picture.
    """
    with _opened(photo) as picture:
        number, size = orientation(picture), upright_size(picture)
    return aligned(mask, drawn, (photo, number), size, unturned, alone)


def is_turned(path: Path) -> bool:
    """Return whether the EXIF orientation of an image is not upright."""
    with _opened(path) as picture:
        return orientation(picture) != 1


def image_of(picture: Image.Image) -> Tensor:
    """Return the pixels of an open, upright image of any mode, ``(3, H, W)`` uint8.

    Transparent pixels are blended with white; 16-bit grey becomes 8-bit.
    """
    return _pixels(picture)


def mask_of(picture: Image.Image, labels: Labels, path: Path, kind: str | None = None) -> Tensor:
    """Return the label ids of an open, upright image, as `read_mask` does of a file.

    Args:
        picture: Of any mode.
        labels: The vocabulary.
        path: Name of the mask in messages.
        kind: Format of its file; None = it has no file.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        ValueError: As `read_mask`.
    """
    mode = picture.mode
    palette = np.reshape(picture.getpalette("RGB") or [], (-1, 3)).astype(np.uint8)
    if mode == "1":
        white = {(0, 0, 0), (255, 255, 255)} <= set(labels.colours)
        pixels = np.asarray(picture.convert("L") if white else picture)
    elif mode in ("P", "PA", "L", "LA", "F") or mode.startswith("I"):
        pixels = np.asarray(picture.getchannel(0) if mode in ("PA", "LA") else picture)
    else:
        pixels = np.asarray(picture if mode == "RGB" else picture.convert("RGB"))
    require_lossless(kind, path)
    if pixels.ndim == 3:
        return torch.from_numpy(ids_from_colours(pixels, labels, path))
    if mode == "F" and not (np.isfinite(pixels) & (pixels == pixels.round())).all():
        raise ValueError(f"{path} holds fractions, not label ids; export it as 8-bit PNG.")
    numbers = pixels.astype(np.int32) if mode == "F" else pixels
    numbers = numbers.astype(np.uint8) if mode == "1" else numbers
    colours = palette if mode in ("P", "PA") else None
    return torch.from_numpy(ids_from_numbers(numbers, colours, labels, path))


def _mask(path: Path, labels: Labels) -> tuple[Tensor, int]:
    """Return label ids, and the EXIF orientation of the file."""
    with _opened(path) as picture:
        kind, number = picture.format, orientation(picture)
        turn_upright(picture)
        upright = picture.copy()
    return mask_of(upright, labels, path, kind), number


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return height and width as of `read_image`, from the file's header alone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a picture.
    """
    with _opened(Path(path)) as picture:
        return upright_size(picture)


def write_image(path: str | Path, image: Tensor, compression: int | None = None) -> None:
    """Write an image in the format of its suffix, whole or not at all.

    Args:
        path: Where to; missing folders are made.
        image: ``(3, H, W)``, uint8, or float in [0, 1].
        compression: Effort of a PNG's compression, 0 to 9; None = 6. Pixels are the same.

    Raises:
        ValueError: If the suffix names no picture format.
    """
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = image.detach().cpu().permute(1, 2, 0)
    picture = Image.new("RGB", (pixels.shape[1], pixels.shape[0]))
    for top, rows in zip(range(0, len(pixels), _ROWS), pixels.split(_ROWS), strict=True):
        picture.paste(Image.fromarray(rows.contiguous().numpy()), (0, top))
    _save(picture, Path(path), **({} if compression is None else {"compress_level": compression}))


def write_mask(path: str | Path, mask: Tensor, labels: Labels) -> None:
    """Write a palette PNG of label ids, with the labels' colours.

    Args:
        path: The file, ending in ``.png``; missing folders are made.
        mask: Label ids ``(H, W)``, integer; 255 is void, in VOC's cream.
        labels: The vocabulary, with colours.

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
    """Write a greyscale image, 0 black and 1 white, whole or not at all.

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
    """Open an image; warnings and errors of Pillow become one sentence."""
    if not path.exists():
        raise FileNotFoundError(f"There is no picture {path}; check the name and the folder.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a picture; name a file in it.")
    require_regular(path)
    with _quiet(path):
        opened = path.open(
            "rb"
        )  # given a path, Pillow maps TIFF into memory, and rotates it wrongly
    with opened as file:
        with _quiet(path):
            Image.init()
            if _heif(path):
                _register_heif()
            picture = Image.open(file, formats=sorted(set(Image.OPEN) - _CLOSED))
        width, height = picture.size
        if width * height > MOST_PIXELS:
            picture.close()
            raise _too_large(path, f"{width}×{height}")
        if max(width, height) > LONGEST:
            picture.close()
            raise ValueError(
                f"{path} is {width}×{height}, but pictures of up to {LONGEST} pixels a side are "
                "read; cut it first."
            )
        with picture, _quiet(path):
            yield picture


@contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """Raise one sentence in place of Pillow's warnings and errors about a file."""
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
        except Exception as error:  # a damaged file can raise anything
            if kind := _heif(path):
                raise ValueError(
                    f"{path} is {kind}, which Pillow does not read; convert it to JPEG, or "
                    "install pillow-heif."
                ) from error
            raise ValueError(
                f"{path} cannot be read as a picture, it may be damaged; export or copy it again."
            ) from error


def _too_large(path: Path, size: str) -> ValueError:
    return ValueError(
        f"{path} is {size}, but pictures of up to {MOST_PIXELS // 10**6} megapixels are read; "
        "shrink it first."
    )


def _pixels(picture: Image.Image) -> Tensor:
    """Return an image's pixels, ``(3, H, W)`` uint8, without a second copy in memory."""
    picture.load()
    width, height = picture.size
    pixels = torch.empty(3, height, width, dtype=torch.uint8)
    for top in range(0, height, _ROWS):
        rows = np.array(_rgb(picture.crop((0, top, width, min(height, top + _ROWS)))))
        pixels[:, top : top + _ROWS] = torch.from_numpy(rows).permute(2, 0, 1)
    return pixels


def _heif(path: Path) -> str | None:
    """Return the name of a phone's image format, which Pillow may not read, or None."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(12)
        return _HEIF.get(head[8:12]) if head[4:8] == b"ftyp" else None
    return None


def _register_heif() -> None:
    """Register HEIC with Pillow, if pillow-heif is installed."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()


def _rgb(picture: Image.Image) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB."""
    if picture.mode.startswith("I"):  # 16-bit greyscale, which Pillow would clip instead of scale
        grey = np.clip(np.asarray(picture).astype(np.int64) // 257, 0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        return picture.convert("L").convert("RGB")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert(
            "RGB"
        )
    return picture.convert("RGB")


def _save(picture: Image.Image, path: Path, **options: Any) -> None:
    """Write an image in the format of the suffix, with options of Pillow."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise ValueError(f"No picture format ends in {path.suffix!r}; name {path.stem}.png.")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: picture.save(part, format=kind, **options))
