"""The cache: a result is read back only if it was computed from the same."""

import pytest

from inference.experiments.cache import dataset_digest, digest, read_result, write_result
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes


def test_a_result_is_read_back_under_its_key_only(tmp_path):
    path = tmp_path / "deep" / "a.json"
    assert read_result(path, "key") is None
    assert write_result(path, "key", {"miou": (1.5, None)}) == {"miou": [1.5, None]}
    assert read_result(path, "key") == {"miou": [1.5, None]}
    assert read_result(path, "other") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"key": "key"', "\xff", "[" * 100_000])
def test_a_damaged_file_counts_as_none(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    assert read_result(path, "key") is None


def test_a_digest_tells_types_orders_and_nesting_apart():
    values = [(1, "a"), ("1", "a"), ("a", 1), ((1, "a"),), (1, ("a",)), (1, "a", None)]
    assert len({digest(*value) for value in values}) == len(values)
    assert digest(1, "a") == digest(1, "a")


def test_the_digest_of_a_dataset_changes_with_its_pixels_rows_and_size(voc_folder):
    pets = VOCScenes(voc_folder, "val", (16, 16))
    before = dataset_digest(pets, [0, 1])
    assert dataset_digest(VOCScenes(voc_folder, "val", (16, 16)), [0, 1]) == before
    assert dataset_digest(pets, [0]) != before
    assert dataset_digest(VOCScenes(voc_folder, "val", (24, 24)), [0, 1]) != before
    mask = pets.entries[0].mask
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert dataset_digest(VOCScenes(voc_folder, "val", (16, 16)), [0, 1]) != before


def test_generated_scenes_are_distinguished_by_their_pixels():
    easy, hard = (SyntheticScenes("val", name, (16, 16), 2) for name in ("default", "confounded"))
    assert dataset_digest(easy, [0]) != dataset_digest(easy, [1])
    assert dataset_digest(easy, [0]) != dataset_digest(hard, [0])
