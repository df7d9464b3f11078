"""Unaries: arrays from files, noisy truth, and what a run predicted."""

import numpy as np
import pytest
import torch

from inference.crf.arrays import read_probs
from inference.crf.examples import Scenes
from inference.crf.unaries import Arrays, Noise
from scene.datasets.catalogue import open_data


@pytest.fixture
def pets(voc_folder):
    return open_data(str(voc_folder), "val")


@pytest.fixture
def arrays(pets, tmp_path):
    """Write the noisy truth of every scene as arrays, half of them as .npz."""
    folder = tmp_path / "probs"
    folder.mkdir()
    for i in range(len(pets)):
        scene = pets.original(i)
        probs = Noise().probs(pets, i, scene)[0].numpy()
        if i % 2:
            np.save(folder / f"{scene.name}.npy", probs)
        else:
            np.savez(folder / f"{scene.name}.npz", probs)
    return folder


def test_noise_is_probable_and_of_its_scene_and_seed_alone(pets):
    scene = pets.original(0)
    probs, covered = Noise().probs(pets, 0, scene)
    assert covered.all()
    assert probs.shape == (4, *scene.mask.shape)
    torch.testing.assert_close(probs.sum(0), torch.ones(scene.mask.shape))
    assert probs.equal(Noise().probs(pets, 0, scene)[0])
    assert not probs.equal(Noise(seed=1).probs(pets, 0, scene)[0])
    assert Noise(seed=1).fingerprint() != Noise().fingerprint()


def test_noise_that_spoils_nothing_is_the_truth(pets):
    scene = pets.original(1)
    assert Noise(wrong=0, blur=1).probs(pets, 1, scene)[0].argmax(0).equal(scene.mask.long())


def test_arrays_are_what_was_saved(voc_folder, arrays):
    noisy = Scenes(str(voc_folder), "val", Noise()).examples()
    saved = Scenes(str(voc_folder), "val", Arrays(arrays)).examples()
    for one, other in zip(noisy, saved, strict=True):
        assert one.probs.equal(other.probs)
        assert one.image.shape == (*one.mask.shape, 3)


def test_arrays_that_change_have_another_fingerprint(arrays):
    before = Arrays(arrays).fingerprint()
    path = next(iter(arrays.glob("*.npy")))
    np.save(path, np.ones((1, 2, 2), dtype=np.float32))
    assert Arrays(arrays).fingerprint() != before


def test_arrays_that_do_not_fit_name_their_file(voc_folder, arrays, pets):
    scene = pets.original(1)
    path = arrays / f"{scene.name}.npy"
    np.save(path, np.full((4, *scene.mask.shape), 0.5, dtype=np.float32))
    with pytest.raises(ValueError, match=rf"{scene.name}\.npy: probs must sum to one"):
        Arrays(arrays).probs(pets, 1, scene)
    np.save(path, np.ones((2, 3, 4), dtype=np.float32))
    with pytest.raises(
        ValueError, match=rf"{scene.name}\.npy is 2×3×4, but {scene.name} needs 4×"
    ):
        Arrays(arrays).probs(pets, 1, scene)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"has no {scene.name}\.npy or \.npz"):
        Arrays(arrays).probs(pets, 1, scene)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda p: p.write_bytes(b"nothing of the kind"), "cannot be read as numbers"),
        (lambda p: np.save(p, np.ones((2, 2))), "is 2×2 of float64"),
        (lambda p: np.save(p, np.ones((1, 2, 2), dtype=complex)), "1×2×2 of complex128"),
        (lambda p: np.save(p, np.array([{}]), allow_pickle=True), "cannot be read as numbers"),
        (lambda p: p.write_bytes(b""), "is not a NumPy file"),
    ],
)
def test_a_file_that_holds_no_probabilities(tmp_path, made, sentence):
    path = tmp_path / "p.npy"
    made(path)
    with pytest.raises(ValueError, match=rf"p\.npy.*{sentence}"):
        read_probs(path)


def test_an_archive_of_several_arrays_must_say_which(tmp_path):
    one = np.full((1, 2, 2), 1.0)
    np.savez(tmp_path / "p.npz", probs=one, other=2 * one)
    assert (read_probs(tmp_path / "p.npz") == one).all()
    np.savez(tmp_path / "p.npz", this=one, other=one)
    with pytest.raises(ValueError, match="holds this, other; call one of them probs"):
        read_probs(tmp_path / "p.npz")
