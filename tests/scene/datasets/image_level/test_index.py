"""The index: splits by names alone, names of scenes, and labels that can be used."""

import re
from pathlib import Path
from zlib import crc32

import pytest

from scene.datasets.image_level import index as index_module
from scene.datasets.image_level.index import LabelledImage, make_index
from scene.notices import Notice

ROOT = Path("/data")


def _images(names, classes=("cat",), split=None):
    return [LabelledImage(name, ROOT / name, frozenset(classes), split) for name in names]


def _index(names, classes=("cat",), split=None):
    return make_index(ROOT, ROOT, _images(names, classes, split), sorted(classes))


def _splits(index):
    return {image.file: split for split, images in index.by_split.items() for image in images}


NAMES = [f"cat/{i}.jpg" for i in range(1000)]


def test_each_photograph_is_of_one_split():
    index = _index(NAMES)
    assert tuple(index.by_split) == ("train", "tune", "val")
    assert sorted(i.file for images in index.by_split.values() for i in images) == sorted(NAMES)


def test_about_a_fifth_is_of_val_and_a_tenth_of_the_rest_of_tune():
    counts = {split: len(images) for split, images in _index(NAMES).by_split.items()}
    assert 160 < counts["val"] < 240
    assert 55 < counts["tune"] < 105


def test_a_photograph_keeps_its_split_when_others_are_added_in_any_order():
    few, all_of_them = _splits(_index(NAMES[:300])), _splits(_index(NAMES[::-1]))
    assert few == {name: all_of_them[name] for name in few}


def test_tune_is_held_out_as_of_other_folders():
    index = _index(NAMES)
    held_out = {image.key for image in index.by_split["tune"]}
    train = {image.key for image in index.by_split["train"]}
    assert held_out == {key for key in held_out | train if crc32(key.encode()) % 10 == 0}


def test_splits_of_the_data_stay():
    images = _images(NAMES[:50], split="train") + _images(NAMES[50:60], split="test")
    index = make_index(ROOT, ROOT, images, ["cat"])
    assert tuple(index.by_split) == ("train", "tune", "test")
    assert {i.file for i in index.by_split["test"]} == set(NAMES[50:60])
    images += _images(NAMES[60:65], split="tune")
    index = make_index(ROOT, ROOT, images, ["cat"])
    assert len(index.by_split["train"]) == 50


def test_a_single_photograph_of_train_is_not_held_out():
    assert tuple(_index(["a.jpg"], split="train").by_split) == ("train",)


def test_two_files_of_one_stem_are_two_scenes_of_one_split():
    index = _index(["a.jpg", "a.png", "a.jpg.png", "b.jpg", "cat/b.jpg", *NAMES])
    assert len(set(index.names.values())) == len(index.images)
    assert index.names["b.jpg"] == "b"
    assert index.names["cat/b.jpg"] == "cat/b"
    assert index.names["a.png"] == "a.png"
    splits = _splits(index)
    assert splits["a.jpg"] == splits["a.png"]


def test_background_is_first_whether_it_is_named_or_not():
    assert _index(["a.jpg"], ("dog", "cat")).labels.names == ("background", "cat", "dog")
    index = _index(["a.jpg"], ("dog", "Background", "cat"))
    assert index.labels.names == ("Background", "cat", "dog")
    assert index.images[0].classes == {"dog", "cat"}


def test_classes_that_differ_in_case_only_are_told():
    with pytest.warns(Notice, match=r"has the classes 'Cat', 'cat', which differ in case only"):
        _index(["a.jpg"], ("Cat", "cat"))


@pytest.mark.parametrize(
    ("names", "classes", "kind", "sentence"),
    [
        ([], ("cat",), LookupError, "/data lists no photograph;"),
        (["a.jpg"], (), ValueError, "/data has no class;"),
        (["a.jpg"], ("background",), ValueError, "/data has no class;"),
        (["a.jpg"], ("ab:c",), ValueError, "names 'ab:c'; a label starts with no #"),
        (["a.jpg"], ("#b",), ValueError, "names '#b'; a label starts with no #"),
        (["a.jpg"], ("../b",), ValueError, "names '../b', which leads out of the folder;"),
        (["a.jpg"], ("b\0",), ValueError, "which holds control characters;"),
        (["a.jpg"], map(str, range(255)), ValueError, "1 to 255 labels, not 256."),
        (["caf\udce9.jpg"], ("cat",), ValueError, "which is not UTF-8 text; rename it."),
        (["a.jpg"], ("caf\ud800",), ValueError, "which is not UTF-8 text; rename it."),
        (["a\nb.jpg"], ("cat",), ValueError, "which holds control characters;"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(names, classes, kind, sentence):
    with pytest.raises(kind, match=re.escape(sentence)):
        _index(names, tuple(classes))


def test_the_number_of_photographs_is_bounded(monkeypatch):
    monkeypatch.setattr(index_module, "MOST_IMAGES", 3)
    with pytest.raises(ValueError, match="has more than 3 photographs, the most that are read;"):
        _index(NAMES[:4])
