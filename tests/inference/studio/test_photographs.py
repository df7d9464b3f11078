"""Photographs of the page: stages without and with a CRF, and what the viewer is told."""

import base64
import io

import pytest
import torch
from PIL import Image

from inference.crf.parameters import NO_CRF, Parameters
from inference.segmentation.segmentation import Segmentation
from inference.studio.photographs import LONGEST, Source, read_photograph, stages, with_crf
from inference.studio.pictures import entropy_uri, image_uri, legend, mask_uri, stage_values
from scene.images.io import write_image
from scene.labels import Labels

LABELS = Labels(("background", "cat", "a<b>"))


@pytest.fixture
def plain():
    """Make the segmentation of a photograph of two halves by a model that sees them coarsely."""
    image = torch.zeros(3, 24, 32, dtype=torch.uint8)
    image[:, :, 13:] = 220
    probs = torch.full((3, 6, 8), 0.1)
    probs[0, :, :4], probs[1, :, 4:] = 0.8, 0.8
    return Segmentation(probs, (24, 32), LABELS, image)


def _pixels(uri):
    data = base64.b64decode(uri.partition(",")[2])
    return Image.open(io.BytesIO(data))


def test_each_source_has_a_stage_without_and_one_with_the_crf(plain):
    each = [Source("a", "Grad-CAM", plain, Parameters()), Source("b", "SEC", plain, Parameters())]
    results = stages(each, {})
    assert [one.title for one in results] == ["Grad-CAM", "Grad-CAM + CRF", "SEC", "SEC + CRF"]
    assert [one.model for one in results] == ["a", "a", "b", "b"]
    assert results[0].segmentation is plain


def test_the_crf_finds_the_edge_and_without_kernels_changes_nothing(plain):
    assert with_crf(plain, Parameters(appearance_sigma_xy=20)).mask[12].tolist() == (
        [0] * 13 + [1] * 19
    )
    assert with_crf(plain, NO_CRF).mask.equal(plain.mask)


def test_changes_replace_parameters_of_the_crf(plain):
    source = Source("a", "SEC", plain, Parameters())
    off = {"appearance_weight": 0, "smoothness_weight": 0}
    assert stages([source], off)[1].segmentation.mask.equal(plain.mask)
    with pytest.raises(ValueError, match="appearance-sigma-xy must be positive"):
        stages([source], {"appearance_sigma_xy": 0})


def test_a_large_photograph_is_shrunk(tmp_path):
    write_image(tmp_path / "a.png", torch.rand(3, 30, 2 * LONGEST))
    assert read_photograph(tmp_path / "a.png").shape == (3, 15, LONGEST)
    write_image(tmp_path / "b.png", torch.rand(3, 30, 40))
    assert read_photograph(tmp_path / "b.png").shape == (3, 30, 40)
    (tmp_path / "c.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"c.jpg cannot be read as a picture"):
        read_photograph(tmp_path / "c.jpg")


def test_the_viewer_is_told_of_every_stage(plain):
    value = stage_values(stages([Source("a", "SEC", plain, Parameters())], {}))
    assert _pixels(value["photo"]).size == (32, 24)
    for stage in value["stages"]:
        assert _pixels(stage["mask"]).size == _pixels(stage["entropy"]).size == (32, 24)
    assert value["stages"][0]["legend"][0] == {"text": "background 50.0%", "colour": [0, 0, 0]}


def test_pictures_hold_what_they_show():
    image = torch.randint(256, (3, 4, 5), dtype=torch.uint8)
    assert list(_pixels(image_uri(image)).getpixel((2, 1))) == image[:, 1, 2].tolist()
    mask = torch.tensor([[0, 1], [2, 255]])
    colours = _pixels(mask_uri(mask, LABELS)).convert("RGB")
    assert colours.getpixel((1, 0)) == LABELS.colours[1]
    clear = _pixels(mask_uri(mask, LABELS, clear=True)).convert("RGBA")
    assert [clear.getpixel((x, y))[3] for y in (0, 1) for x in (0, 1)] == [0, 255, 255, 0]
    grey = _pixels(entropy_uri(torch.tensor([[0.0, 1.0]])))
    assert [grey.getpixel((0, 0)), grey.getpixel((1, 0))] == [0, 255]


def test_names_of_labels_are_no_html():
    assert "a&lt;b&gt;" in legend(LABELS)
    assert "<b>" not in legend(LABELS)
