"""A pixel belongs to an outline if its centre is inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.datasets.annotations import polygons
from scene.datasets.annotations.polygons import fill_ellipse, fill_polygon

SIZE = (12, 15)
COORDINATE = st.floats(-6, 20, allow_nan=False).map(lambda x: round(x * 8) / 8)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=9)


def _whole(window, size=SIZE):
    rows, columns, inside = window
    mask = np.zeros(size, bool)
    mask[rows, columns] = inside
    return mask


def _slow(points, size=SIZE):
    """Count the edges that a ray from each pixel's centre to the left crosses, one by one."""
    mask = np.zeros(size, bool)
    for r in range(size[0]):
        for c in range(size[1]):
            x, y = c + 0.5, r + 0.5
            crossed = 0
            for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
                if y0 > y1:
                    x0, y0, x1, y1 = x1, y1, x0, y0
                if y0 <= y < y1:
                    crossed += x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x
            mask[r, c] = crossed % 2
    return mask


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_centres_are_inside_by_the_even_odd_rule(points):
    assert (_whole(fill_polygon(np.array(points), SIZE)) == _slow(points)).all()


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_the_direction_and_the_first_corner_do_not_matter(points):
    expected = _whole(fill_polygon(np.array(points), SIZE))
    assert (_whole(fill_polygon(np.array(points[::-1]), SIZE)) == expected).all()
    assert (_whole(fill_polygon(np.array([*points[2:], *points[:2]]), SIZE)) == expected).all()


@settings(max_examples=60, deadline=None)
@given(st.tuples(COORDINATE, COORDINATE), st.tuples(COORDINATE, COORDINATE))
def test_neighbours_share_no_pixel_and_leave_none_out(above, below):
    """Two halves of the picture along any line through it."""
    cut = [above[0], -9.0], [below[0], 30.0]
    halves = [
        np.array([[-99.0, -9.0], cut[0], cut[1], [-99.0, 30.0]]),
        np.array([cut[0], [99.0, -9.0], [99.0, 30.0], cut[1]]),
    ]
    first, second = (_whole(fill_polygon(half, SIZE)) for half in halves)
    assert (first ^ second).all()


def test_a_cut_to_a_hole_leaves_the_hole():
    ring = [(1, 1), (9, 1), (9, 9), (1, 9), (1, 4), (4, 4), (4, 6), (6, 6), (6, 4), (1, 4)]
    mask = _whole(fill_polygon(np.array(ring, float), SIZE))
    expected = np.zeros(SIZE, bool)
    expected[1:9, 1:9] = True
    expected[4:6, 4:6] = False
    assert (mask == expected).all()


def test_many_edges_are_filled_in_parts(monkeypatch):
    points = np.random.default_rng(0).uniform(0, 12, (40, 2))
    expected = _whole(fill_polygon(points, SIZE))
    monkeypatch.setattr(polygons, "_AT_ONCE", 7)
    assert (_whole(fill_polygon(points, SIZE)) == expected).all()
    monkeypatch.setattr(polygons, "MOST_CROSSINGS", 50)
    with pytest.raises(ValueError, match="up and down too often"):
        fill_polygon(points, SIZE)


def test_an_ellipse_is_the_pixels_within_its_radii():
    mask = _whole(fill_ellipse((7.0, 5.0), (4.0, 2.0), 0.0, SIZE))
    y, x = np.mgrid[:12, :15] + 0.5
    assert (mask == (((x - 7) / 4) ** 2 + ((y - 5) / 2) ** 2 <= 1)).all()
    turned = _whole(fill_ellipse((5.0, 7.0), (4.0, 2.0), 90.0, SIZE[::-1]), SIZE[::-1])
    assert (turned == mask.T).all()
    assert not _whole(fill_ellipse((7.0, 5.0), (4.0, 0.0), 30.0, SIZE)).any()
    assert _whole(fill_ellipse((7.0, 5.0), (400.0, 400.0), 10.0, SIZE)).all()
