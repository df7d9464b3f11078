"""Pictures: read as a person sees them, masks exactly as stored, files whole or absent."""

import os
import sys
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from scene.images.io import (
    MOST_PIXELS,
    picture_size,
    read_image,
    read_mask,
    write_grey,
    write_image,
    write_mask,
)
from scene.labels import VOID, Labels, voc_colours

LABELS = Labels(("background", "cat", "dog"))
RED = np.zeros((4, 6, 3), dtype=np.uint8)
RED[...] = (200, 30, 30)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9)])
def test_a_mask_is_read_as_it_was_written(tmp_path, shape):
    mask = torch.randint(0, 3, shape, dtype=torch.uint8)
    mask[0, 0] = VOID
    write_mask(tmp_path / "new" / "m.png", mask, LABELS)
    assert torch.equal(read_mask(tmp_path / "new" / "m.png", LABELS), mask)


def test_a_mask_shows_its_labels_colours_and_cream_for_void(tmp_path):
    """Read in colours, not ids, the file says the same thing."""
    mask = torch.tensor([[0, 1], [2, VOID]])
    write_mask(tmp_path / "m.png", mask, LABELS)
    picture = Image.open(tmp_path / "m.png").convert("RGB")
    assert picture.getpixel((1, 1)) == (224, 224, 192)
    picture.save(tmp_path / "rgb.png")
    assert torch.equal(read_mask(tmp_path / "rgb.png", LABELS).long(), mask)


@pytest.mark.parametrize("mode", ["P", "L", "I;16", "LA", "RGB", "RGBA"])
def test_ids_and_colours_mean_the_same_labels(tmp_path, mode):
    ids = np.array([[0, 1, 2], [2, 255, 0]], dtype=np.uint8)
    write_mask(tmp_path / "p.png", torch.from_numpy(ids), LABELS)
    if mode in ("RGB", "RGBA"):
        picture = Image.open(tmp_path / "p.png").convert(mode)
    elif mode == "I;16":
        picture = Image.fromarray(ids.astype(np.uint16))
    else:
        picture = Image.open(tmp_path / "p.png") if mode == "P" else Image.fromarray(ids)
        picture = picture.convert("LA") if mode == "LA" else picture
    picture.save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", LABELS).tolist() == ids.tolist()


def test_an_exif_rotation_is_applied(tmp_path):
    """A camera that stores a lying picture and a note to turn it means an upright one."""
    pixels = RED.copy()
    pixels[0] = 255  # the top row; turned clockwise it is the right column
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (3, 6, 4)
    assert picture_size(tmp_path / "a.png") == (6, 4)
    assert (image[:, :, -1] == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_every_mode_shows_the_same_colour(tmp_path, mode):
    suffix = "tiff" if mode == "CMYK" else "png"
    Image.fromarray(RED).convert(mode).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.dtype == torch.uint8
    expected = torch.tensor([200, 30, 30]).view(3, 1, 1)
    assert (image.int() - expected).abs().max() <= 32  # the web palette rounds most


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[0, 128, 255]]


def test_greyscale_has_three_equal_channels(tmp_path):
    Image.fromarray(RED[..., 0]).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 200).all()


def test_transparency_is_laid_on_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_an_image_is_read_as_it_was_written(tmp_path):
    image = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8)
    write_image(tmp_path / "a.png", image)
    write_image(tmp_path / "b.png", image.float() / 255)
    assert torch.equal(read_image(tmp_path / "a.png"), image)
    assert torch.equal(read_image(tmp_path / "b.png"), image)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, torch.zeros(3, 2, 2, dtype=torch.uint8))
    before = path.read_bytes()

    def full(self, target, **kwargs):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="disk full"):
        write_image(path, torch.ones(3, 2, 2, dtype=torch.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"not a picture", lambda b: b""])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_damaged_picture_is_one_sentence(tmp_path, damage, suffix):
    path = tmp_path / f"a.{suffix}"
    write_image(path, torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"a\.{suffix} cannot be read as a picture.*again\.$"):
        read_image(path)
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        read_mask(path, LABELS)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no picture .*gone\.png"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ValueError, match="is a folder, not a picture"):
        read_image(tmp_path)


def test_an_id_out_of_range_is_refused(tmp_path):
    Image.fromarray(np.array([[0, 7]], dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png has the label id 7, but there are 3 labels"):
        read_mask(tmp_path / "m.png", LABELS)


def test_a_colour_of_no_label_is_refused(tmp_path):
    Image.fromarray(RED).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png has pixels of colour 200,30,30"):
        read_mask(tmp_path / "m.png", LABELS)


def test_a_palette_in_another_order_is_read_by_its_colours(tmp_path):
    """Ids 0 to 2 exist; a palette that uses 5 for the cat's colour can only mean colours."""
    picture = Image.fromarray(np.array([[5, 6]], dtype=np.uint8))
    colours = [(9, 9, 9)] * 5 + [voc_colours(2)[1], (224, 224, 192)]
    picture.putpalette([channel for colour in colours for channel in colour])
    picture.save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", LABELS).tolist() == [[1, VOID]]


def test_formats_that_would_change_ids_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"end the name in \.png"):
        write_mask(tmp_path / "m.jpg", torch.zeros(2, 2), LABELS)
    with pytest.raises(ValueError, match="No picture format ends in"):
        write_image(tmp_path / "a.mask", torch.zeros(3, 2, 2))
    assert not list(tmp_path.iterdir())


def test_grey_pictures_run_from_black_to_white(tmp_path):
    write_grey(tmp_path / "new" / "grey.png", torch.tensor([[0.0, 0.5], [1.0, 3.0]]))
    with Image.open(tmp_path / "new" / "grey.png") as picture:
        assert picture.mode == "L"
        assert np.array(picture).flatten().tolist() == [0, 128, 255, 255]


def _claiming(path, width, height):
    """Write a PNG that claims a size, and holds nothing."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    chunks = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("read", [read_image, picture_size, lambda path: read_mask(path, LABELS)])
@pytest.mark.parametrize("size", [(13000, 13000), (1, MOST_PIXELS + 1), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path, read, size):
    _claiming(tmp_path / "a.png", *size)
    with pytest.raises(ValueError, match=r"a\.png is .*pictures of up to 105 megapixels are read"):
        read(tmp_path / "a.png")


def test_a_large_picture_that_may_be_read_is_read_without_a_warning(tmp_path):
    Image.new("1", (10_000, 9_500)).save(tmp_path / "a.tif", compression="group4")
    with warnings.catch_warnings(record=True) as message:
        warnings.simplefilter("always")
        assert picture_size(tmp_path / "a.tif") == (9_500, 10_000)
    assert not message


@pytest.mark.parametrize("read", [read_image, picture_size, lambda path: read_mask(path, LABELS)])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png is a pipe, not a file"):
        read(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="/dev/zero is a device, not a file"):
        read("/dev/zero")


def test_formats_that_other_programs_read_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture"):
        read_image(tmp_path / "a.png")


def test_a_picture_of_many_rows_is_read_and_written_as_one(tmp_path):
    image = torch.randint(0, 256, (3, 700, 5), dtype=torch.uint8)
    write_image(tmp_path / "a.png", image)
    assert torch.equal(read_image(tmp_path / "a.png"), image)
    Image.open(tmp_path / "a.png").convert("P").save(tmp_path / "p.gif")
    with Image.open(tmp_path / "p.gif") as picture:
        reported = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(read_image(tmp_path / "p.gif"), reported)


HEIC = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(("brand", "name"), [(b"heic", "HEIC"), (b"mif1", "HEIF")])
def test_formats_of_phones_are_called_by_their_names(tmp_path, brand, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC + brand + bytes(100))
    with pytest.raises(ValueError, match=rf"a\.heic is {name}, .* or install pillow-heif\.$"):
        read_image(tmp_path / "a.heic")


def test_pillow_heif_is_used_where_it_is_installed(tmp_path, monkeypatch):
    """A stand-in says that it was asked to register, as the package itself is not needed here."""
    calls = []
    stand_in = SimpleNamespace(register_heif_opener=lambda: calls.append("registered"))
    monkeypatch.setitem(sys.modules, "pillow_heif", stand_in)
    (tmp_path / "a.heic").write_bytes(HEIC + b"heic" + bytes(100))
    with pytest.raises(ValueError, match="is HEIC"):
        read_image(tmp_path / "a.heic")
    assert calls == ["registered"]
    write_image(tmp_path / "a.png", torch.zeros(3, 2, 2))
    read_image(tmp_path / "a.png")
    assert calls == ["registered"]


def test_a_strip_that_is_longer_than_jpeg_can_hold_is_refused(tmp_path):
    Image.new("1", (1, 65_536)).save(tmp_path / "a.png")
    for read in (read_image, picture_size):
        with pytest.raises(ValueError, match=r"a\.png is 1×65536, but pictures of up to 65535"):
            read(tmp_path / "a.png")
