"""What pixels of masks mean: the label map decides, whatever the mode of the picture."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from scene.images.io import read_mask, write_mask
from scene.labelmap import NUMBERED, VOC
from scene.labels import VOID, Labels
from scene.notices import Notice

LESION = Labels(("background", "lesion"), ((0, 0, 0), (255, 255, 255)))
SWAPPED = Labels(("lesion", "background"), ((255, 255, 255), (0, 0, 0)))
PETS = Labels(("background", "cat", "dog"))
THERE = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)


def _grey(values):
    return Image.fromarray(np.asarray(values, dtype=np.uint8))


def _read(tmp_path, picture, labels, name="m.png", **how):
    picture.save(tmp_path / name, **how)
    return read_mask(tmp_path / name, labels).tolist()


BLACK_AND_WHITE = {
    "L": lambda grey: grey,
    "1": lambda grey: grey.convert("1"),
    "P": lambda grey: grey.convert("P"),
    "LA": lambda grey: grey.convert("LA"),
    "RGB": lambda grey: grey.convert("RGB"),
    "RGBA": lambda grey: grey.convert("RGBA"),
    "I;16": lambda grey: Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
    "quantized": lambda grey: grey.convert("RGB").quantize(2),
}


@pytest.mark.parametrize("mode", BLACK_AND_WHITE)
def test_white_is_the_label_that_claims_it_in_every_mode(tmp_path, mode):
    picture = BLACK_AND_WHITE[mode](_grey(255 * THERE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if mode == "quantized" else "error", Notice)
        assert _read(tmp_path, picture, LESION) == THERE.tolist()
        assert _read(tmp_path, picture, SWAPPED) == (1 - THERE).tolist()


@pytest.mark.parametrize("mode", ["L", "P", "LA"])
def test_ids_stay_ids_where_the_label_map_has_white(tmp_path, mode):
    assert _read(tmp_path, _grey(THERE).convert(mode), LESION) == THERE.tolist()


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGB"])
def test_white_of_no_label_is_void_with_a_notice(tmp_path, mode):
    picture = _grey(255 * THERE).convert(mode)
    with pytest.warns(Notice, match=r"'background', and white .*the colour 255,255,255 in label"):
        result = _read(tmp_path, picture, PETS)
    assert result == np.where(THERE, VOID, 0).tolist()


def test_void_beside_two_labels_needs_no_word(tmp_path):
    assert _read(tmp_path, _grey([[0, 2, 255]]), PETS) == [[0, 2, 255]]
    write_mask(tmp_path / "m.png", torch.tensor([[0, 255]]), PETS)  # cream, as VOC has it
    assert read_mask(tmp_path / "m.png", PETS).tolist() == [[0, 255]]


def test_a_grey_mask_of_coloured_labels_is_ids(tmp_path):
    """Ids may happen to be greys that labels have, as sky and void of driving scenes do."""
    street = Labels(("sky", "car", "void"), ((128, 128, 128), (64, 0, 128), (0, 0, 0)))
    assert _read(tmp_path, _grey([[0, 0]]), street) == [[0, 0]]
    assert _read(tmp_path, _grey([[0, 128]]), street) == [[2, 0]]  # 128 can be no id
    many = Labels(tuple(map(str, range(200))))
    assert _read(tmp_path, _grey([[0, 128]]), many) == [[0, 128]]
    assert _read(tmp_path, _grey([[0, 128, 255]]), NUMBERED) == [[0, 128, 255]]


def test_ids_in_three_equal_channels_are_ids(tmp_path):
    assert _read(tmp_path, _grey([[0, 1, 2]]).convert("RGB"), PETS) == [[0, 1, 2]]


@pytest.mark.parametrize("labels", [VOC, Labels(("background", "cat", "dog", "bird"))])
def test_a_palette_that_a_tool_sorted_is_read_by_colours_with_a_notice(tmp_path, labels):
    mask = torch.tensor([[1, 1, 2], [2, 2, 0], [255, 2, 2]])
    write_mask(tmp_path / "m.png", mask, labels)
    with Image.open(tmp_path / "m.png") as picture:
        anew = picture.convert("RGB").quantize(4)
    assert not np.array_equal(np.array(anew), mask.numpy())
    with pytest.warns(Notice, match="colours are all labels', but not at the labels' ids"):
        assert _read(tmp_path, anew, labels, "anew.png") == mask.tolist()


@pytest.mark.parametrize(
    "palette",
    [
        [0] * 768,  # one colour for all shows nothing
        [0, 0, 0] + [128, 0, 0] * 255,  # two labels shown alike
        [0, 0, 0] + [255, 255, 255] * 255,  # white is no label's
        [9, 9, 9] * 128 + [7, 7, 7] * 128,  # colours of nobody
        [c for i in range(256) for c in (i, 255 - i, 7)],
    ],
)
def test_a_palette_that_is_for_show_changes_no_id(tmp_path, palette):
    picture = _grey([[0, 1, 2], [2, 1, 255]])
    picture.putpalette(palette)
    assert _read(tmp_path, picture, PETS) == [[0, 1, 2], [2, 1, 255]]


@pytest.mark.parametrize("palette", [None, [0] * 768])
def test_ids_of_no_label_are_named_whatever_the_palette_fills_in(tmp_path, palette):
    picture = _grey([[0, 7, 9]])
    if palette:
        picture.putpalette(palette)
    message = r"m\.png has the label ids 7, 9, but there are 3 labels \(0 to 2, and 255 for void\)"
    with pytest.raises(ValueError, match=message):
        _read(tmp_path, picture, PETS)


def test_many_strange_numbers_are_taken_for_smoothing(tmp_path):
    with pytest.raises(ValueError, match=r"3, 4, 5, 6, 7, …, but .* Export it again, as PNG"):
        _read(tmp_path, _grey([range(12)]), PETS)


@pytest.mark.parametrize(("name", "how"), [("m.jpg", {}), ("m.webp", {"quality": 80})])
@pytest.mark.parametrize("labels", [PETS, LESION, NUMBERED])
def test_a_format_with_losses_is_refused(tmp_path, name, how, labels):
    with pytest.raises(ValueError, match=r"which changes the labels of a mask .* as PNG"):
        _read(tmp_path, _grey(255 * THERE), labels, name, **how)


@pytest.mark.parametrize(
    ("name", "how"),
    [("m.webp", {"lossless": True}), ("m.bmp", {}), ("m.tif", {}), ("m.gif", {}), ("m.PNG", {})],
)
def test_other_formats_hold_masks_exactly(tmp_path, name, how):
    assert _read(tmp_path, _grey(255 * THERE), LESION, name, **how) == THERE.tolist()


def test_whole_floats_are_ids_and_fractions_are_refused(tmp_path):
    whole = Image.fromarray(THERE.astype(np.float32))
    assert _read(tmp_path, whole, PETS, "m.tiff") == THERE.tolist()
    with pytest.raises(ValueError, match="holds fractions, not label ids"):
        _read(tmp_path, Image.fromarray(THERE.astype(np.float32) / 3), PETS, "f.tiff")


def test_a_colour_of_no_label_says_where_colours_are_listed(tmp_path):
    picture = Image.new("RGB", (2, 2), (200, 30, 30))
    with pytest.raises(ValueError, match=r"colour 200,30,30, .*scene data labels prints those"):
        _read(tmp_path, picture, PETS)
