"""Observations: every form of the same views is the same batch, and what does not fit is said."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from scene.datasets.folders.voc import VOCScenes
from scene.datasets.framing import Frame
from scene.datasets.observations import observe, photograph
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.images.io import write_image, write_mask
from scene.labels import Labels
from scene.notices import Notice
from scene.views import Schema

DATA = "synthetic:default"


@pytest.fixture(autouse=True)
def _few(few):
    """Make every split a handful."""


@pytest.fixture
def schema():
    return Schema(SyntheticScenes("test").schema.labels, (16, 16))


@pytest.fixture
def pair(tmp_path, schema):
    """Write an image and its mask of 40×33 pixels."""
    mask = torch.randint(0, 7, (40, 33), dtype=torch.uint8)
    image = torch.randint(0, 256, (3, 40, 33), dtype=torch.uint8)
    write_mask(tmp_path / "m.png", mask, schema.labels)
    write_image(tmp_path / "i.png", image)
    return image, mask


def test_scenes_of_a_dataset_are_its_own(schema):
    scenes = SyntheticScenes("test", size=(16, 16))
    seen = observe(schema, image="test:2", classes="test:2", mask="test:2", data=DATA)
    assert not seen.batched
    expected = scenes.views([2])
    for name in expected:
        assert seen.views[name].equal(expected[name])


def test_files_are_framed_to_the_models_size(schema, tmp_path, pair):
    image, mask = pair
    seen = observe(schema, image=tmp_path / "i.png", mask=str(tmp_path / "m.png")).views
    frame = Frame((40, 33), (16, 16))
    assert seen["mask"][0].equal(frame.apply_mask(mask).long())
    assert (seen["image"][0] * 255).equal(frame.apply_image(image).float())


def test_every_form_of_a_scene_is_the_same_views(schema, tmp_path, pair):
    image, mask = pair
    expected = observe(schema, image=tmp_path / "i.png", mask=tmp_path / "m.png").views
    last = image.permute(1, 2, 0).numpy()
    for one, other in (
        (image, mask),
        (last, mask.numpy()),
        (Image.fromarray(last), Image.open(tmp_path / "m.png")),
        (image.float() / 255, mask.long()),
        (tmp_path / "i.png", mask),
        (image, tmp_path / "m.png"),
    ):
        seen = observe(schema, image=one, mask=other).views
        assert all(seen[name].equal(expected[name]) for name in ("image", "mask"))


def test_views_that_a_dataset_gave_come_back_as_they_were(schema):
    """A batch of floats and ids is what `Views` hold; framing changes nothing of their size."""
    views = SyntheticScenes("test", size=(16, 16)).views(range(4))
    seen = observe(schema, **dict(views.items()))
    assert seen.batched
    assert all(seen.views[name].equal(views[name]) for name in views)


def test_a_batch_is_its_scenes_one_by_one(schema, pair):
    image, mask = pair
    both = observe(schema, image=[image, image.flip(-1)], mask=torch.stack([mask, mask.flip(-1)]))
    for row, (one, other) in enumerate(((image, mask), (image.flip(-1), mask.flip(-1)))):
        alone = observe(schema, image=one, mask=other).views
        assert all(both.views[name][row].equal(alone[name][0]) for name in alone)


@pytest.mark.parametrize(
    "classes",
    [" ring ,circle,", ["ring", "circle"], ("circle", "ring"), torch.tensor([1.0, 0, 0, 0, 1, 0]),
     np.array([1, 0, 0, 0, 1, 0])],
)  # fmt: skip
def test_names_of_classes_are_a_class_vector(schema, classes):
    seen = observe(schema, classes=classes)
    names = schema.labels.decode(seen.views["classes"][0])
    assert set(names) == ({"circle", "ring"} if not hasattr(classes, "shape") else set(names))
    assert len(names) == 2
    assert not seen.batched


def test_classes_of_several_scenes_are_lists_of_lists(schema):
    seen = observe(schema, classes=[["ring"], ["circle", "star"], []])
    assert seen.batched
    assert seen.views["classes"].sum(1).tolist() == [1, 2, 0]


def test_nothing_is_observed_where_nothing_is_given(schema):
    assert observe(schema).views is None


@pytest.mark.parametrize(
    ("views", "sentence"),
    [
        ({"image": "gone.png"}, r"There is no picture gone\.png"),
        ({"mask": "test:99"}, "test:99 is not there; synthetic-default test has scenes 0 to 5"),
        ({"classes": "circel"}, "No class is called 'circel'. Did you mean 'circle'"),
        ({"classes": ["ring", "rong"]}, "No class is called 'rong'"),
        ({"classes": 3}, "Classes are names, or a vector of 6, not a int"),
        ({"classes": torch.ones(5)}, r"holds 6 numbers, one for each of .*; this one is \(5,\)"),
        ({"classes": torch.full((6,), 0.5)}, "holds 1 for a class that is present and 0 for"),
        ({"classes": torch.full((6,), float("nan"))}, "holds 1 for a class that is present"),
        ({"image": []}, "The batch is empty"),
        ({"image": [torch.rand(3, 9, 9)] * 2, "mask": torch.zeros(9, 9).long()},
         "equally many scenes, not 2 for image, one for mask"),
        ({"image": [torch.rand(3, 9, 9)] * 2, "classes": [["ring"]] * 3},
         "equally many scenes, not 2 for image, 3 for classes"),
        ({"image": torch.rand(3, 9, 8), "mask": torch.zeros(9, 9).long()},
         "The image is 8×9 but its mask is 9×9; give an image and its mask at one size"),
        ({"mask": np.zeros((9, 9, 3), np.uint8)}, "give a coloured one as a Pillow image"),
        ({"image": None, "mask": object()}, "A mask is a path, .* not a object"),
    ],
)  # fmt: skip
def test_views_that_will_not_do_are_a_sentence(schema, views, sentence):
    with pytest.raises((LookupError, OSError, TypeError, ValueError), match=sentence):
        observe(schema, data=DATA, **views)


def test_an_image_and_a_mask_of_other_sizes_are_refused(schema, tmp_path):
    write_mask(tmp_path / "m.png", torch.zeros(20, 30).byte(), schema.labels)
    write_image(tmp_path / "i.png", torch.zeros(3, 30, 20).byte())
    with pytest.raises(ValueError, match=r"i\.png is 20×30 but .*m\.png is 30×20; give an image"):
        observe(schema, image=tmp_path / "i.png", mask=tmp_path / "m.png")


def test_a_folder_without_a_test_split_gives_scenes_of_the_one_it_is_scored_on(voc_folder):
    val = VOCScenes(voc_folder, "val", (16, 16))
    seen = observe(val.schema, mask="test:1", data=str(voc_folder)).views
    assert torch.equal(seen["mask"][0], val[1].mask.long())


@pytest.mark.parametrize("number", [1, 6, 8])
def test_a_mask_of_stored_pixels_is_turned_with_its_photo(schema, tmp_path, number):
    """What is given is the photo as EXIF turns it, and its mask, pixel upon pixel."""
    mask = torch.zeros(16, 24, dtype=torch.uint8)
    mask[:4, :4] = 1
    write_image(tmp_path / "a.png", 255 * mask.expand(3, -1, -1))
    write_mask(tmp_path / "m.png", mask, schema.labels)
    exif = Image.Exif()
    exif[0x0112] = number
    with Image.open(tmp_path / "a.png") as picture:
        picture.save(tmp_path / "a.png", exif=exif)
    schema = replace(schema, size=(24, 16) if number > 1 else (16, 24))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if number > 1 else "error", Notice)
        views = observe(schema, image=tmp_path / "a.png", mask=tmp_path / "m.png").views
    assert torch.equal(views["image"][0, 0] > 0.5, views["mask"][0] == 1)


def test_a_mask_is_read_as_the_label_map_says(schema, tmp_path):
    """Black and white are the two labels that have these colours, not one label and void."""
    schema = replace(schema, labels=Labels(("no", "yes"), ((0, 0, 0), (255, 255, 255))))
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "m.png")
    for form in (tmp_path / "m.png", Image.open(tmp_path / "m.png")):
        views = observe(schema, mask=form).views
        assert views["mask"][0].tolist() == np.eye(16, dtype=int).tolist()


def test_a_photograph_keeps_its_size(tmp_path, pair):
    image, _ = pair
    assert photograph(str(tmp_path / "i.png")).equal(image)
    assert photograph(image.permute(1, 2, 0).numpy()).equal(image)
