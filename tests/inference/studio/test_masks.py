"""Masks of the page: what is painted arrives as it is, and what is no mask is refused."""

import base64

import pytest
import torch

from inference.studio.masks import blank, painted, painting, uploaded
from scene.images.io import write_image, write_mask
from scene.labels import VOID, Labels
from scene.views import Schema


def test_a_painted_mask_arrives_pixel_by_pixel(schema):
    mask = torch.randint(3, schema.size, dtype=torch.uint8)
    mask[0, 0] = VOID
    assert painted(painting(schema, mask), schema).equal(mask)


def test_the_canvas_knows_names_and_colours(schema):
    value = painting(schema)
    assert [label["name"] for label in value["labels"]] == list(schema.labels.names)
    assert [tuple(label["colour"]) for label in value["labels"]] == list(schema.labels.colours)
    assert base64.b64decode(value["ids"]) == bytes(20 * 18)


def test_what_is_blank_is_void_where_no_label_is_background():
    schema = Schema(Labels(("sky", "sea")), (2, 3))
    assert blank(schema.labels) == VOID
    assert base64.b64decode(painting(schema)["ids"]) == bytes([VOID] * 6)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (bytes(20 * 18), "Nothing is painted yet"),
        (bytes(7), "not of 18×20 pixels"),
        (bytes([9] * 20 * 18), "holds the id 9, but labels are 0 to 2"),
    ],
)
def test_a_canvas_that_is_no_mask_is_refused(schema, ids, words):
    value = {**painting(schema), "ids": base64.b64encode(ids).decode()}
    with pytest.raises(ValueError, match=words):
        painted(value, schema)


@pytest.mark.parametrize("value", [None, "", {}, {"ids": "§"}, {"ids": 3}, [1]])
def test_what_is_no_canvas_is_refused(schema, value):
    with pytest.raises(ValueError, match="clear it and paint again"):
        painted(value, schema)


def test_an_uploaded_mask_gets_the_size_of_the_model(schema, tmp_path):
    mask = torch.zeros(40, 36, dtype=torch.uint8)
    mask[:20] = 2
    write_mask(tmp_path / "m.png", mask, schema.labels)
    assert uploaded(tmp_path / "m.png", schema).equal(mask[::2, ::2])


def test_an_uploaded_mask_has_the_labels_of_the_model(schema, tmp_path):
    write_mask(tmp_path / "m.png", torch.full((4, 4), 7), schema.labels)
    with pytest.raises(ValueError, match="has the label id 7, but there are 3 labels"):
        uploaded(tmp_path / "m.png", schema)
    write_image(tmp_path / "i.png", torch.rand(3, 4, 4))
    with pytest.raises(ValueError, match="which is no label's"):
        uploaded(tmp_path / "i.png", schema)
