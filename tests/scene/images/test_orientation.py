"""Orientation: one function decides it, for pixels, for sizes and for masks."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, TiffImagePlugin

from scene.images.io import (
    is_turned,
    picture_size,
    read_image,
    read_mask,
    read_mask_of,
    write_mask,
)
from scene.images.orientation import turned
from scene.labels import Labels
from scene.notices import Notice

PETS = Labels(("background", "cat", "dog"))
PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
SQUARE = np.arange(4, dtype=np.uint8).reshape(2, 2) * 40


def _photo(path, number, pixels=PIXELS):
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_pixels_and_size_turn_alike(tmp_path, number, suffix):
    path = tmp_path / f"a.{suffix}"
    _photo(path, number)
    image = read_image(path)
    assert tuple(image.shape[1:]) == picture_size(path)
    assert picture_size(path) == ((3, 2) if 5 <= number <= 8 else (2, 3))
    if suffix == "png" and number in range(1, 9):
        assert torch.equal(image[0], turned(torch.from_numpy(PIXELS), number))
        with Image.open(path) as picture:
            usual = np.array(ImageOps.exif_transpose(picture))
        assert np.array_equal(image[0].numpy(), usual)


@pytest.mark.parametrize("kind", [1, 2, 7])  # a byte, text, and bytes of unknown meaning
@pytest.mark.parametrize("value", [b"\x06", b"6\x00", b""])
def test_a_tag_of_another_type_turns_nothing(tmp_path, kind, value):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info.tagtype[0x0112] = kind
    info[0x0112] = value.decode() if kind == 2 else value
    block = b"Exif\x00\x00" + info.tobytes(8)
    header = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + block[6:]
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=header)
    assert tuple(read_image(tmp_path / "a.jpg").shape[1:]) == picture_size(tmp_path / "a.jpg")
    assert picture_size(tmp_path / "a.jpg") == (2, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # as Pillow says of its own accord
def test_exif_that_cannot_be_read_turns_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_image(tmp_path / "a.jpg").shape == (3, 2, 3)
    assert picture_size(tmp_path / "a.jpg") == (2, 3)


def _mask(path, values):
    write_mask(path, values, PETS)
    return path


def _ids(photo_pixels):
    height, width = photo_pixels.shape
    return torch.arange(height * width).reshape(height, width) % 3


@pytest.mark.parametrize("number", [5, 6, 7, 8])
def test_a_mask_that_fits_only_the_stored_pixels_is_turned_with_a_notice(tmp_path, number):
    photo, stored = _photo(tmp_path / "a.png", number), _ids(PIXELS)
    path = _mask(tmp_path / "m.png", stored)
    with pytest.warns(Notice, match=r"fit only the stored pixels .*unturned\.txt confirms it"):
        result = read_mask_of(path, PETS, photo)
    assert torch.equal(result, turned(stored, number).to(torch.uint8))
    assert torch.equal(read_mask_of(path, PETS, photo, unturned=True), result)
    drawn = _mask(tmp_path / "t.png", result)
    assert torch.equal(read_mask_of(drawn, PETS, photo), result)  # sizes tell; nothing to say


@pytest.mark.parametrize(
    ("number", "pixels"), [(2, PIXELS), (3, PIXELS), (4, PIXELS), (6, SQUARE)]
)
def test_where_sizes_are_ambiguous_the_notice_names_the_assumption_and_the_other(
    tmp_path, number, pixels
):
    photo, ids = _photo(tmp_path / "a.png", number, pixels), _ids(pixels)
    path = _mask(tmp_path / "m.png", ids)
    with pytest.warns(Notice, match=r"taken as drawn on the turned photos; if not, list"):
        assert torch.equal(read_mask_of(path, PETS, photo).long(), ids)
    assert torch.equal(read_mask_of(path, PETS, photo, unturned=False).long(), ids)
    assert torch.equal(read_mask_of(path, PETS, photo, unturned=True).long(), turned(ids, number))


def test_a_mask_with_a_turn_of_its_own_is_turned_by_that(tmp_path):
    photo, ids = _photo(tmp_path / "a.png", 3), _ids(PIXELS)
    path = _mask(tmp_path / "m.png", ids)
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(path) as picture:
        picture.save(path, exif=exif)
    assert torch.equal(read_mask(path, PETS).long(), turned(ids, 3))
    assert torch.equal(read_mask_of(path, PETS, photo).long(), turned(ids, 3))


def test_a_photo_that_is_not_turned_asks_nothing(tmp_path):
    photo, ids = _photo(tmp_path / "a.png", 1), _ids(PIXELS)
    path = _mask(tmp_path / "m.png", ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(read_mask_of(path, PETS, photo).long(), ids)
    assert not is_turned(photo)
    assert is_turned(_photo(tmp_path / "b.png", 8))
