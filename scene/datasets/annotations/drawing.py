"""Drawings: the annotated regions of a photograph, and the mask that they make."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...images.io import MOST_PIXELS, in_orientation_of, picture_size
from ...labels import VOID, Labels, is_background
from .polygons import FARTHEST, fill_ellipse, fill_polygon
from .run_lengths import decompress, filled_runs, label_studio_alpha

Window = tuple[slice, slice, np.ndarray]
"""Rows and columns of a window, and which of its pixels belong to a region, bool."""


class Shape(Protocol):
    """The geometry of a region."""

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels that belong to it, of a picture of a height and width.

        Raises:
            ValueError: If it is damaged; the message is a clause that begins with ``its``.
        """


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons, each filled by the even-odd rule, see `fill_polygon`.

    Args:
        parts: Corners of each, ``(N, 2)`` as x, y in pixels.
    """

    parts: tuple[np.ndarray, ...]

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels in any of the polygons."""
        return [fill_polygon(points, size) for points in self.parts if len(points) > 2]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Args:
        centre: x and y in pixels.
        radii: Half axes along x and y in pixels, before the rotation.
        degrees: Rotation, clockwise on the screen.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels in the ellipse."""
        return [fill_ellipse(self.centre, self.radii, self.degrees, size)]


@dataclass(frozen=True, eq=False)
class CocoRuns:
    """Run lengths of a whole picture, column after column.

    Args:
        size: Height and width of the picture.
        counts: The run lengths, or COCO's compressed text of them.
    """

    size: tuple[int, int]
    counts: str | np.ndarray

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels in the runs."""
        height, width = size
        if self.size != size:
            raise ValueError(
                f"its run lengths are of {self.size[1]}×{self.size[0]} pixels, not "
                f"{width}×{height}"
            )
        counts = decompress(self.counts) if isinstance(self.counts, str) else self.counts
        return [_whole(filled_runs(counts, height * width).reshape(width, height).T)]


@dataclass(frozen=True, eq=False)
class WindowRuns:
    """Run lengths of a window, row after row, as CVAT has them.

    Args:
        place: The top row and the left column of the window.
        size: Its height and width.
        counts: The run lengths.
    """

    place: tuple[int, int]
    size: tuple[int, int]
    counts: np.ndarray

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels in the runs."""
        rows, columns = _window(self.place, self.size, size)
        height, width = self.size
        inside = filled_runs(self.counts, height * width).reshape(self.size)
        return [(rows, columns, inside)]


@dataclass(frozen=True)
class Brush:
    """What a brush of Label Studio has painted, see `label_studio_alpha`.

    Args:
        data: The bytes of ``rle``.
    """

    data: bytes

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels that are painted."""
        return [_whole(label_studio_alpha(self.data, size[0] * size[1]).reshape(size))]


@dataclass(frozen=True)
class Bitmap:
    """A picture of a window, as labelme has it: pixels that are not 0 belong to the region.

    Args:
        place: The top row and the left column of the window.
        size: Its height and width.
        png: The picture, PNG as base64 text.
    """

    place: tuple[int, int]
    size: tuple[int, int]
    png: str

    def pixels(self, size: tuple[int, int]) -> list[Window]:
        """Return the pixels that are not 0."""
        try:
            data = base64.b64decode(self.png, validate=True)
            picture = Image.open(io.BytesIO(data), formats=["PNG"])
        except (binascii.Error, ValueError, OSError, SyntaxError):
            raise ValueError("its mask is no PNG as base64 text") from None
        (w, h), (height, width) = picture.size, self.size
        rows, columns = _window(self.place, (h, w), size)
        if not (height - h in (0, 1) and width - w in (0, 1)):  # some versions count one more
            raise ValueError(f"its mask is {w}×{h}, but its points are {width}×{height} apart")
        try:
            values = np.asarray(picture.convert("L") if picture.mode != "P" else picture)
        except Exception:  # a damaged file can raise anything
            raise ValueError("its mask is damaged") from None
        return [(rows, columns, values > 0)]


@dataclass(frozen=True, eq=False)
class Region:
    """An annotated region.

    Args:
        label: The name of its label; None = void.
        shape: Its pixels.
    """

    label: str | None
    shape: Shape


@dataclass(frozen=True, eq=False)
class Drawing:
    """The annotated regions of a photograph; where they overlap, the later one is on top.

    Args:
        regions: From the bottom to the top.
        size: Height and width that the annotations are of; None = those of the photograph.
        file: The file of the annotations, for messages.
    """

    regions: tuple[Region, ...]
    size: tuple[int, int] | None
    file: Path

    def mask(self, labels: Labels, size: tuple[int, int], name: str) -> Tensor:
        """Draw the mask.

        Args:
            labels: The vocabulary, with a background, which pixels of no region have.
            size: Height and width of the mask.
            name: The name of the scene, for messages.

        Returns:
            Label ids ``(H, W)`` uint8, 255 = void.

        Raises:
            ValueError: If a region is damaged, or the mask would be too large.
        """
        if size[0] * size[1] > MOST_PIXELS:
            raise ValueError(
                f"{self.file} has annotations of {size[1]}×{size[0]} pixels, but up to "
                f"{MOST_PIXELS // 10**6} megapixels are read."
            )
        assert labels.background is not None
        ids = np.full(size, labels.background, dtype=np.uint8)
        for region in self.regions:
            number = _number(region.label, labels)
            try:
                for rows, columns, inside in region.shape.pixels(size):
                    ids[rows, columns][inside] = number
            except ValueError as error:
                label = "void" if region.label is None else region.label
                raise ValueError(
                    f"{self.file} has a region of {label!r} in {name!r} that cannot be drawn: "
                    f"{error}; export it again."
                ) from None
        return torch.from_numpy(ids)

    def mask_of(self, photo: Path, labels: Labels, name: str) -> Tensor:
        """Draw the mask in the orientation of its photograph, see `in_orientation_of`.

        Args:
            photo: The photograph.
            labels: The vocabulary.
            name: The name of the scene, for messages.

        Raises:
            ValueError: If a region is damaged.
        """
        mask = self.mask(labels, self.size or picture_size(photo), name)
        return in_orientation_of(photo, mask, (self.file, 1), alone=True)


def points_of(values: Any) -> np.ndarray:
    """Return points ``(N, 2)`` of a list of pairs, or of a flat list of numbers.

    Raises:
        ValueError: If they are not finite numbers in pairs; the message is a clause.

    >>> points_of([0, 1, 2.5, 3]).tolist()
    [[0.0, 1.0], [2.5, 3.0]]
    """
    try:
        points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its points are no pairs of numbers") from None
    if not (np.abs(points) <= FARTHEST).all():  # NaN is no less
        raise ValueError("its points are no finite numbers, or too far away")
    return points


def counts_of(values: Any) -> np.ndarray:
    """Return run lengths of a list of whole numbers.

    Raises:
        ValueError: If they are none; the message is a clause.
    """
    try:
        counts = np.asarray(values)
    except ValueError:
        counts = np.empty(0)
    if counts.ndim != 1 or not (counts.size and np.issubdtype(counts.dtype, np.integer)):
        raise ValueError("its run lengths are no list of whole numbers")
    return counts


def size_of(height: Any, width: Any) -> tuple[int, int] | None:
    """Return height and width in pixels, or None if one of them is no whole number above 0.

    >>> size_of(20, 24.0), size_of(0, 24), size_of(None, "x")
    ((20, 24), None, None)
    """
    sides = [n for n in (height, width) if isinstance(n, int | float) and n >= 1 and n % 1 == 0]
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else None


def is_void(name: str) -> bool:
    """Return whether a region of this name has no known label: ``void`` or ``__ignore__``.

    >>> [is_void(name) for name in ("void", "__ignore__", "avoid")]
    [True, True, False]
    """
    return name.strip("_ ").lower() in ("void", "ignore")


def _number(label: str | None, labels: Labels) -> int:
    if label is None:
        return VOID
    if is_background(label) and labels.background is not None:
        return labels.background
    return labels.names.index(label)


def _whole(inside: np.ndarray) -> Window:
    height, width = inside.shape
    return slice(0, height), slice(0, width), inside


def _window(
    place: tuple[int, int], size: tuple[int, int], picture: tuple[int, int]
) -> tuple[slice, slice]:
    """Return rows and columns of a window, which must lie in the picture."""
    (top, left), (height, width) = place, size
    if min(top, left, height, width) < 0 or top + height > picture[0] or left + width > picture[1]:
        raise ValueError("its mask lies outside the photograph")
    return slice(top, top + height), slice(left, left + width)
