"""Rasterisation of outlines: a pixel belongs to an outline if its centre lies inside."""

from __future__ import annotations

import numpy as np

MOST_CROSSINGS = 2**28
"""The most rows that the edges of one outline may cross in all."""

_AT_ONCE = 2**20  # crossings that are computed at once

FARTHEST = 1e7
"""The largest coordinate of a point, in pixels."""


def fill_polygon(points: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice, np.ndarray]:
    """Return the pixels whose centres lie inside a polygon, by the even-odd rule.

    Pixel (row r, column c) has its centre at x = c + 0.5, y = r + 0.5. A centre on an edge belongs
    to the polygon to the right of the edge, or below it: of polygons that share an edge, exactly
    one has the pixel. Where a polygon runs over itself twice, as along a cut to a hole, it is
    outside.

    Args:
        points: Corners ``(N, 2)`` as x, y in pixels; the last is joined to the first.
        size: Height and width of the picture, whose pixels alone are returned.

    Returns:
        Rows and columns of a window, and which of its pixels are inside, ``(h, w)`` bool.

    Raises:
        ValueError: If the edges cross too many rows.

    >>> square = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0], [1.0, 2.0]])
    >>> fill_polygon(square, (3, 4))
    (slice(0, 2, None), slice(1, 3, None), array([[ True,  True],
           [ True,  True]]))
    """
    height, width = size
    low, high = points.min(0) - 0.5, points.max(0) - 0.5
    left, right = (int(np.ceil(np.clip(x, 0, width))) for x in (low[0], high[0]))
    top, bottom = (int(np.ceil(np.clip(y, 0, height))) for y in (low[1], high[1]))
    flips = np.zeros((bottom - top, right - left + 1), dtype=np.uint8)
    if not flips.size or right == left:
        return slice(top, bottom), slice(left, right), np.zeros((bottom - top, right - left), bool)
    start, end = points, np.roll(points, -1, axis=0)
    upwards = (start[:, 1] > end[:, 1])[:, None]
    start, end = np.where(upwards, end, start), np.where(upwards, start, end)
    first, last = (
        np.ceil(np.clip(y - 0.5, top, bottom)).astype(np.int64) for y in (start[:, 1], end[:, 1])
    )
    rows = last - first
    if int(rows.sum()) > MOST_CROSSINGS:
        raise ValueError("its outline goes up and down too often")
    chunk = np.cumsum(rows) // _AT_ONCE
    for part in np.unique(chunk):
        edges = np.flatnonzero((chunk == part) & (rows > 0))
        edge = np.repeat(edges, rows[edges])
        starts = np.cumsum(rows[edges]) - rows[edges]
        row = first[edge] + np.arange(len(edge)) - np.repeat(starts, rows[edges])
        (x0, y0), (x1, y1) = start[edge].T, end[edge].T
        x = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        column = np.ceil(np.clip(x - 0.5, left, right)).astype(np.int64)
        np.bitwise_xor.at(flips, (row - top, column - left), np.uint8(1))
    inside = np.bitwise_xor.accumulate(flips, axis=1)[:, :-1].astype(bool)
    return slice(top, bottom), slice(left, right), inside


def fill_ellipse(
    centre: tuple[float, float],
    radii: tuple[float, float],
    degrees: float,
    size: tuple[int, int],
) -> tuple[slice, slice, np.ndarray]:
    """Return the pixels whose centres lie in an ellipse, or on it.

    Args:
        centre: x and y in pixels.
        radii: Both half axes in pixels, along x and y before the rotation.
        degrees: Rotation about the centre, clockwise on the screen.
        size: Height and width of the picture, whose pixels alone are returned.

    Returns:
        Rows and columns of a window, and which of its pixels are inside, ``(h, w)`` bool.
    """
    height, width = size
    reach, (cx, cy) = max(radii), centre
    top, bottom = (int(np.clip(y, 0, height)) for y in (cy - reach, np.ceil(cy + reach)))
    left, right = (int(np.clip(x, 0, width)) for x in (cx - reach, np.ceil(cx + reach)))
    if min(radii) <= 0:
        bottom, right = top, left
    dy = (np.arange(top, bottom) + 0.5 - cy)[:, None]
    dx = (np.arange(left, right) + 0.5 - cx)[None]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1
    return slice(top, bottom), slice(left, right), inside
