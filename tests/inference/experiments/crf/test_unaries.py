"""Unaries: arrays from files, noisy truth, and what a run predicted."""

import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch

from inference.crf.arrays import float_array, read_probs
from inference.experiments.crf.unaries import Arrays, Noise, Scenes
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


def _header(text, version=b"\x01\x00"):
    """Write a header of one's own before 24 bytes of numbers."""
    body = text.encode("latin-1").ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body + bytes(24)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2, 3), }", "its shape is"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2, 3), }", "its shape is"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3), }", "is truncated"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3", "is not a NumPy file"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 2, 3), }", "truncated"),
        ("'''", "is not a NumPy file"),
        ("(" * 110, "is not a NumPy file"),
        ("{'descr': 'O', 'fortran_order': False, 'shape': (1, 2, 3), }", "cannot be read as num"),
    ],
)
def test_a_header_that_is_damaged_is_refused_in_one_sentence(tmp_path, header, sentence):
    path = tmp_path / "p.npy"
    path.write_bytes(_header(header))
    with pytest.raises(ValueError, match=sentence) as message:
        read_probs(path)
    assert str(message.value).startswith(str(path))


def test_a_wrong_shape_is_refused_before_anything_is_decompressed(tmp_path):
    path = tmp_path / "p.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("probs.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f8", "fortran_order": False, "shape": (100, 2000, 1000)}
            )
            for _ in range(64):  # what is missing of 1.6 GB would be found only by reading it
                file.write(bytes(2**20))

    def check(shape):
        raise ValueError(f"{shape} is not wanted.")

    tracemalloc.start()
    with pytest.raises(ValueError, match=r"\(100, 2000, 1000\) is not wanted"):
        read_probs(path, check)
    with pytest.raises(ValueError, match="its array has another length"):
        read_probs(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**21


@pytest.mark.parametrize("compression", [0, 8, 12, 14])  # as zipfile numbers them
def test_an_archive_that_is_damaged_anywhere_is_refused_in_one_sentence(tmp_path, compression):
    path, draw = tmp_path / "p.npz", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", compression) as archive, archive.open("a.npy", "w") as file:
        np.save(file, draw.random((2, 3, 4), dtype=np.float32))
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(ValueError):
            assert read_probs(path).shape == (2, 3, 4)  # a date, or so, may be anything


def test_numbers_come_back_as_they_were_saved(tmp_path):
    values = np.arange(24.0).reshape(2, 3, 4)
    for created in (values, np.asfortranarray(values), values.astype(">f4"), values[:, :0]):
        np.save(tmp_path / "p.npy", created)
        np.savez(tmp_path / "p.npz", created)
        np.savez_compressed(tmp_path / "q.npz", other=created, probs=created)
        for name in ("p.npy", "p.npz", "q.npz"):
            assert np.array_equal(read_probs(tmp_path / name), created)
    assert np.isinf(float_array(np.array([1e300]))).all()
