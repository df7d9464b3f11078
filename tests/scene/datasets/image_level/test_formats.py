"""Which format a folder or a file is in, and hints about what is nearly one."""

import json

import pytest

from scene.datasets.catalogue import (
    evaluation_split,
    image_index,
    labels_in,
    open_data,
    splits_of,
    summary_split,
)

ONE = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 1}],
    "categories": [{"id": 1, "name": "cat"}],
}
TABLE = "file,labels\na.jpg,cat\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", TABLE),
        ("annotations.csv", TABLE),
        ("labels.tsv", TABLE.replace(",", "\t")),
        ("annotations.json", json.dumps(ONE)),
        ("instances_default.json", json.dumps(ONE)),
    ],
)
def test_a_folder_and_the_file_in_it_say_the_same(photographs, labelled, name, text):
    root = photographs("a.jpg", "more/b.jpg", "others/c.jpg")
    (root / name).write_text(text)
    for source in (root, root / name):
        index = image_index(str(source))
        assert labelled(index) == {"a.jpg": ["cat"]}
        assert labels_in(str(source)).classes == ("cat",)
        (split,) = splits_of(str(source))
        scenes = open_data(str(source), split, (16, 16))
        assert (scenes.name, scenes.source) == ("pets", str(source))
        assert open_data(scenes.source, split, (16, 16))[0].classes.tolist() == [1]


def test_several_files_of_labels_are_refused(photographs):
    root = photographs("a.jpg")
    (root / "labels.csv").write_text(TABLE)
    (root / "annotations.json").write_text(json.dumps(ONE))
    with pytest.raises(
        ValueError, match=r"several files of labels, 'labels.csv', 'annotations.json"
    ):
        image_index(str(root))
    assert image_index(str(root / "annotations.json")) is not None


def test_the_layout_of_voc_comes_first(voc_folder):
    (voc_folder / "labels.csv").write_text("nonsense")
    assert image_index(str(voc_folder)) is None
    assert splits_of(str(voc_folder)) == ("train", "tune", "val")


@pytest.mark.parametrize("source", ["synthetic", "synthetic:confounded", "voc2012", "a.py:Name"])
def test_other_data_have_no_index(source):
    assert image_index(source) is None


def test_scores_of_masks_are_refused_and_training_needs_none(class_folder):
    source = str(class_folder)
    with pytest.raises(
        LookupError, match=r"no masks to score against; give a folder in VOC .*sec"
    ):
        evaluation_split(source)
    assert evaluation_split(source, target="classes") == "val"
    assert summary_split(source, masks=False) == "val"
    with pytest.raises(LookupError, match="Image-level labels alone train a classifier and sec"):
        summary_split(source)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["a.jpg", "classes.csv"], "are its labels in 'classes.csv'? Give that file, --data "),
        (["a.jpg", "x.tsv"], "or call it labels.tsv."),
        (["a.jpg", "my_coco.json"], "or call it annotations.json."),
        (["cat/a.jpg"], "it has one folder of pictures, 'cat':"),
        (["a.jpg", "b.jpg"], "has no folder JPEGImages; the 2 pictures in it belong there"),
        (["images/a.jpg"], "is it 'images'? Call that JPEGImages"),
    ],
)
def test_a_folder_that_is_nearly_right_gets_a_hint(photographs, names, hint):
    root = photographs(*(name for name in names if name.endswith("jpg")))
    for name in names:
        (root / name).touch()
    with pytest.raises(FileNotFoundError) as caught:
        open_data(str(root), "train")
    assert hint in str(caught.value)


def test_a_file_of_another_kind_is_refused(photographs):
    root = photographs("a.jpg")
    with pytest.raises(ValueError, match=r"or labels as .csv, .tsv or COCO's .json"):
        open_data(str(root / "a.jpg"), "train")
