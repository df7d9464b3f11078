from contextlib import suppress

import numpy as np
import pytest
import torch

from inference.segmentation.cue_files import CuedScenes, Cues
from inference.training.batches import Varied
from scene.datasets.catalogue import open_data


@pytest.fixture
def scenes(few):
    return open_data("synthetic", "train", (16, 16))


@pytest.fixture
def drawn():
    return torch.rand(8, 7, 4, 3, generator=torch.Generator().manual_seed(0)) < 0.3


def computed(drawn, watch=lambda done: None):
    return Cues.computed(len(drawn), lambda some: drawn[list(some)], watch)


def test_cues_survive_packing_and_saving(drawn, tmp_path):
    cues = computed(drawn)
    assert cues.of(range(8)).equal(drawn)
    cues.save(tmp_path / "cues.npz")
    again = Cues.load(tmp_path / "cues.npz")
    assert again.of([5, 2]).equal(drawn[[5, 2]])
    assert [path.name for path in tmp_path.iterdir()] == ["cues.npz"]


def test_they_are_worked_out_some_at_a_time():
    drawn = torch.rand(120, 2, 3, 3) < 0.5
    done = []
    assert computed(drawn, done.append).of(range(120)).equal(drawn)
    assert done == [50, 100, 120]


def test_every_batch_carries_the_cues_of_its_scenes(scenes, drawn):
    views = CuedScenes(scenes, computed(drawn)).views([3, 0])
    assert views["cues"].equal(drawn[[3, 0]])
    assert views["image"].equal(scenes.views([3, 0])["image"])
    assert views.present["cues"].all()


def test_cued_scenes_are_not_varied_by_default(scenes, drawn):
    """Or cropped, the cues would lie beside what they point at."""
    scenes.augmentation = "crop"
    assert CuedScenes(scenes, computed(drawn)).augmentation == "none"


def test_cues_of_mirrored_scenes_are_mirrored(scenes, drawn):
    """Each column of a batch's cues has the cues of the pixels that it lies on."""
    cued = CuedScenes(scenes, computed(drawn))
    draws = [(index, seed) for index in (3, 0, 5) for seed in range(4)]
    batch = Varied(cued, "flip")[draws]
    mirrored = [not batch["image"][row].equal(cued.views([i])["image"][0]) for row, (i, _) in
                enumerate(draws)]  # fmt: skip
    assert 0 < sum(mirrored) < len(draws)
    for row, (index, _) in enumerate(draws):
        expected = drawn[index].flip(-1) if mirrored[row] else drawn[index]
        assert batch["cues"][row].equal(expected)
    assert batch.present["cues"].all()


def test_cues_of_other_scenes_are_refused(scenes, drawn):
    with pytest.raises(ValueError, match="has cues for 5 scenes, but synthetic-default now has 8"):
        CuedScenes(scenes, computed(drawn[:5]))


def test_damaged_or_missing_cues_are_refused(drawn, tmp_path):
    path = tmp_path / "cues.npz"
    with pytest.raises(LookupError, match=r"There is no .*cues\.npz"):
        Cues.load(path)
    computed(drawn).save(path)
    whole = path.read_bytes()
    for harmed in (whole[:100], b"", b"not cues at all"):
        path.write_bytes(harmed)
        with pytest.raises(ValueError, match="truncated or damaged"):
            Cues.load(path)
    packed = np.zeros((2, 6), np.uint8)
    for arrays in (
        {"packed": np.zeros(3)},
        {"packed": packed, "shape": np.array([3, 4])},
        {"packed": packed, "shape": np.array([3, 4, 5])},
        {"packed": packed, "shape": np.array([-3, -4, 4])},
        {"packed": packed.astype(float), "shape": np.array([3, 4, 4])},
    ):
        with path.open("wb") as file:
            np.savez(file, **arrays)
        with pytest.raises(ValueError, match="truncated or damaged"):
            Cues.load(path)


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_cues_damaged_anywhere_are_refused_or_are_cues(drawn, tmp_path, place):
    path = tmp_path / "cues.npz"
    computed(drawn).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    with suppress(ValueError):
        assert Cues.load(path).of([0]).shape[1:] == drawn.shape[1:]
