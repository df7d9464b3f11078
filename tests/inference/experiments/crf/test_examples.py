"""Examples: which scenes are taken, and the part of each that its unaries cover."""

import pytest
import torch

from inference.experiments.crf.unaries import Noise, Scenes, rows
from inference.experiments.predictions import Predictions
from scene.datasets.catalogue import open_data


@pytest.fixture
def train(voc_folder):
    return open_data(str(voc_folder), "train")


def test_scenes_without_a_mask_are_never_taken(train):
    masked = [i for i in range(len(train)) if train.original(i).mask is not None]
    assert 0 < len(masked) < len(train)
    assert rows(train, None, None) == rows(train, 100, 3) == masked
    assert rows(train, 2, None) == masked[:2]


def test_a_sample_is_of_its_seed(train):
    drawn = {tuple(rows(train, 3, seed)) for seed in range(20)}
    assert len(drawn) > 1
    assert all(len(set(some)) == 3 and list(some) == sorted(some) for some in drawn)
    assert rows(train, 3, 5) == rows(train, 3, 5)


def test_only_what_the_crop_covers_is_kept(voc_folder, tmp_path):
    """Predictions at a square crop cover the middle of a picture that is longer than high."""
    pets = open_data(str(voc_folder), "val", (16, 16))
    result = Scenes(str(voc_folder), "val", Predictions(tmp_path, "key", "flat", True), (16, 16))
    with pytest.MonkeyPatch.context() as patch:
        flat = torch.full((4, 16, 16), 0.25).numpy()
        patch.setattr("inference.experiments.predictions.read_probs", lambda path: flat)
        example = result.example(pets, 0)
    whole = pets.original(0)
    height, width = whole.mask.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    assert example.probs.shape == (4, side, side)
    assert example.mask.equal(whole.mask[top : top + side, left : left + side])
    cropped = whole.image[:, top : top + side, left : left + side]
    assert example.image.equal(cropped.permute(1, 2, 0))


def test_noise_covers_everything(voc_folder):
    (first, *_) = Scenes(str(voc_folder), "val", Noise()).examples()
    assert first.probs.shape[1:] == first.mask.shape
