"""Random masks in the files of every tool are read pixel by pixel."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz_brush import brush_of
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.datasets.annotations.run_lengths import compress, runs_of
from scene.datasets.catalogue import labels_in, open_data, splits_of
from scene.images.io import write_image

NAMES = ("background", "cat", "dog", "bird")
MASKS = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 4, drawn[:2])
)


def _windows(mask):
    """Give each class that is present: its name, its place, and its pixels in a window."""
    for number in sorted(set(mask.ravel().tolist()) - {0}):
        rows, columns = (np.flatnonzero((mask == number).any(axis)) for axis in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        window = (mask == number)[top : rows[-1] + 1, left : columns[-1] + 1]
        yield NAMES[number], top, left, window


def _cvat(mask):
    shapes = "".join(
        f'<mask label="{name}" left="{left}" top="{top}" width="{window.shape[1]}" '
        f'height="{window.shape[0]}" rle="{", ".join(map(str, runs_of(window).tolist()))}"/>'
        for name, top, left, window in _windows(mask)
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES[1:])
    size = f'width="{mask.shape[1]}" height="{mask.shape[0]}"'
    return (
        f"<annotations><meta><task><labels>{labels}</labels></task></meta>"
        f'<image id="0" name="a.png" {size}>{shapes}</image></annotations>'
    )


def _studio(mask):
    height, width = mask.shape
    result = [
        {
            "type": "brushlabels", "original_width": width, "original_height": height,
            "value": {"format": "rle", "rle": brush_of(mask == number),
                      "brushlabels": [NAMES[number]]},
        }
        for number in (1, 2, 3)
    ]  # fmt: skip
    task = {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.png"}}
    return json.dumps([{**task, "annotations": [{"result": result}]}])


def _coco(mask, encode):
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png"}],
            "categories": [{"id": i, "name": NAMES[i]} for i in (1, 2, 3)],
            "annotations": [
                {"image_id": 1, "category_id": i, "segmentation": encode(mask == i)}
                for i in (1, 2, 3)
            ],
        }
    )


def _runs(inside):
    return {"size": list(inside.shape), "counts": runs_of(inside.T).tolist()}


def _compressed(inside):
    return {"size": list(inside.shape), "counts": compress(runs_of(inside.T))}


def _squares(inside):
    """Outline every pixel by a polygon of its own."""
    corners = [(y, x) for y, x in zip(*np.nonzero(inside), strict=True)]
    square = [[x, y, x + 1, y, x + 1, y + 1, x, y + 1] for y, x in np.array(corners).tolist()]
    return square or [[0, 0, 0, 0, 0, 0]]


FORMATS = {
    "CVAT": ("a.xml", _cvat),
    "Label Studio": ("a.json", _studio),
    "COCO runs": ("a.json", lambda mask: _coco(mask, _runs)),
    "COCO compressed": ("a.json", lambda mask: _coco(mask, _compressed)),
    "COCO polygons": ("a.json", lambda mask: _coco(mask, _squares)),
}


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=25, deadline=None)
@given(MASKS)
def test_every_pixel_is_read(kind, mask):
    file, encode = FORMATS[kind]
    if not mask.any():
        mask[0, 0] = 1
    with tempfile.TemporaryDirectory() as place:
        write_image(Path(place, "a.png"), torch.zeros(3, *mask.shape, dtype=torch.uint8))
        path = Path(place, file)
        path.write_text(encode(mask))
        names = np.array(labels_in(str(path)).names)
        (split,) = splits_of(str(path))
        actual = open_data(str(path), split, (16, 16)).original(0).mask
    assert (names[actual.numpy()] == np.array(NAMES)[mask]).all()
