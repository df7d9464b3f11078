"""Pictures in memory: whatever form they have, they are the bytes that a file would give."""

import numpy as np
import pytest
import torch
from PIL import Image

from scene.images.inputs import image_from, mask_from
from scene.images.io import read_image, read_mask, write_image, write_mask
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"))


@pytest.fixture
def photo():
    return torch.randint(0, 256, (3, 7, 5), dtype=torch.uint8)


def test_an_image_is_the_same_bytes_in_every_form(photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    last = photo.permute(1, 2, 0).numpy()
    with Image.open(tmp_path / "a.png") as picture:
        forms = [picture.copy(), last, photo, photo.float() / 255, last / 255]
    for form in forms:
        assert image_from(form).equal(read_image(tmp_path / "a.png"))


def test_grey_is_every_channel(photo):
    grey = photo[0]
    for form in (grey.numpy(), grey[None], grey.numpy()[..., None], Image.fromarray(grey.numpy())):
        assert image_from(form).equal(grey.expand(3, -1, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_a_pillow_image_is_read_as_its_file_is(photo, tmp_path, mode):
    source = Image.fromarray(photo.permute(1, 2, 0).numpy())
    picture = source.convert("I" if mode == "I;16" else mode)
    picture = picture.convert("I;16") if mode == "I;16" else picture
    name = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(name)
    before = picture.tobytes()
    assert image_from(picture).equal(read_image(name))
    assert picture.tobytes() == before


@pytest.mark.parametrize("number", [1, 3, 6, 8])
def test_a_pillow_image_is_turned_as_its_file_is(photo, tmp_path, number):
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(photo.permute(1, 2, 0).numpy()).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        assert image_from(picture).equal(read_image(tmp_path / "a.png"))


def test_a_mask_is_the_same_ids_in_every_form(tmp_path):
    mask = torch.tensor([[0, 1, 2], [255, 2, 0]])
    write_mask(tmp_path / "m.png", mask, PETS)
    with Image.open(tmp_path / "m.png") as picture:
        forms = [picture.copy(), picture.convert("RGB"), mask, mask.to(torch.uint8)]
    forms += [mask.numpy(), mask.to(torch.int32).numpy()]
    for form in forms:
        assert mask_from(form, PETS).equal(read_mask(tmp_path / "m.png", PETS))
        assert mask_from(form, PETS).dtype == torch.uint8


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (3, "An image is a path, a Pillow image, .* not a int"),
        (np.zeros((3, 4, 5), np.uint8), r"array is \(H, W\), .* not \(3, 4, 5\)"),
        (torch.zeros(4, 5), r"tensor is \(3, H, W\) or \(1, H, W\), not \(4, 5\)"),
        (torch.zeros(3, 0, 5), r"not \(3, 0, 5\)"),
        (torch.full((3, 2, 2), float("nan")), "The image holds NaN or infinity"),
        (torch.full((3, 2, 2), 7.0), r"floats from 7 to 7, not in \[0, 1\]; scale it"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), r"uint8, or floats in \[0, 1\], not int64"),
        (np.zeros((2, 2), bool), r"not bool; convert it"),
    ],
)
def test_what_is_no_image_is_a_sentence(form, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        image_from(form)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({}, "A mask is a path, .* not a dict"),
        (torch.zeros(2, 2), "holds label ids, whole numbers, not float32"),
        (np.zeros((2, 2), bool), "holds label ids, whole numbers, not bool"),
        (torch.zeros(2, 2, 3, dtype=torch.uint8), r"\(H, W\), not \(2, 2, 3\); give a coloured"),
        (torch.full((2, 2), 3), "holds the id 3, but labels are 0 to 2, and 255 is void"),
        (np.full((2, 2), -1), "holds the id -1"),
        (Image.new("L", (2, 2), 9), "the mask has the label id 9, but there are 3 labels"),
    ],
)
def test_what_is_no_mask_is_a_sentence(form, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        mask_from(form, PETS)


def test_a_mask_from_a_format_with_losses_is_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "m.jpg")
    with (
        Image.open(tmp_path / "m.jpg") as picture,
        pytest.raises(ValueError, match="the mask is JPEG"),
    ):
        mask_from(picture, PETS)
