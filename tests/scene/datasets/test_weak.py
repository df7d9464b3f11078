import pytest
import torch

from scene.datasets.augment import augmenter
from scene.datasets.synthetic import SyntheticScenes
from scene.datasets.weak import ImageLevel


@pytest.fixture
def hidden():
    return ImageLevel(SyntheticScenes("train", "confounded", (16, 16), 6))


def test_no_mask_is_seen(hidden):
    assert len(hidden) == 6
    assert all(hidden[i].mask is None for i in range(6))
    assert hidden.views([0, 4]).names == ("image", "classes")


def test_images_and_classes_are_those_of_the_dataset(hidden):
    for name in ("image", "classes"):
        assert torch.equal(hidden.views([1, 3])[name], hidden.scenes.views([1, 3])[name])
        assert torch.equal(getattr(hidden[2], name), getattr(hidden.scenes[2], name))
    assert (hidden.name, hidden.source, hidden.augmentation) == (
        "synthetic-confounded", "synthetic:confounded", "none",
    )  # fmt: skip


def test_a_crop_cannot_tell_which_class_it_left_out(hidden):
    """With the mask it can: then image-level labels would be finer than they are."""
    vary = augmenter("crop", hidden.schema.labels)
    assert all(
        torch.equal(vary(hidden[i], seed).classes, hidden[i].classes)
        for i in range(6)
        for seed in range(5)
    )
