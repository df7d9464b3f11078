"""COCO's JSON: the categories of a photograph are its labels, whatever else is annotated."""

import json
import re

import pytest

from scene.datasets.image_level import coco
from scene.datasets.image_level.coco import coco_files, read_coco


def _content(**changes):
    """Give the annotations of a cat and a dog, of a dog, and of nothing."""
    content = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 24, "height": 20},
            {"id": 8, "file_name": "seq/b.jpg"},
            {"id": 9, "file_name": "c.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "iscrowd": 1, "bbox": [0, 0, 2, 2]},
            {"id": 2, "image_id": 7, "category_id": 3, "segmentation": "none"},
            {"id": 3, "image_id": 8, "category_id": 18},
            {"id": 4, "image_id": 8, "category_id": 18},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    return {**content, **changes}


NAMES = ("a.jpg", "seq/b.jpg", "c.jpg")
CLASSES = {"a.jpg": ["cat", "dog"], "seq/b.jpg": ["dog"], "c.jpg": []}


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("annotations.json", ""),
        ("annotations.json", "images/"),
        ("instances_default.json", "images/"),
        ("annotations/instances_default.json", ""),
        ("annotations/instances_default.json", "images/"),
        ("annotations/instances_val2017.json", "val2017/"),
        ("annotations/instances_train.json", "images/train/"),
        ("train/_annotations.coco.json", "train/"),
    ],
)
def test_photographs_are_found_where_tools_put_them(photographs, labelled, file, place):
    root = photographs(*(f"{place}{name}" for name in NAMES))
    _write(root / file, _content())
    index = read_coco(coco_files(root), root)
    assert labelled(index) == {f"{place}{name}": CLASSES[name] for name in NAMES}
    assert index.labels.names == ("background", "dog", "cat")
    assert all(image.path.is_file() for image in index.images)


def test_files_of_splits_give_the_splits(photographs):
    root = photographs("train2017/a.jpg", "train2017/seq/b.jpg", "val2017/c.jpg")
    whole = _content()
    train = _content(images=whole["images"][:2])
    val = _content(images=whole["images"][2:], annotations=[])
    _write(root / "annotations" / "instances_train2017.json", train)
    _write(root / "annotations" / "instances_val2017.json", val)
    index = read_coco(coco_files(root), root)
    assert [image.file for image in index.by_split["val"]] == ["val2017/c.jpg"]
    assert len(index.by_split["train"] + index.by_split["tune"]) == 2
    other = _content(images=[], annotations=[], categories=[{"id": 1, "name": "cow"}])
    _write(root / "annotations" / "instances_val2017.json", other)
    with pytest.raises(ValueError, match=r"has other categories than instances_train2017.json;"):
        read_coco(coco_files(root), root)
    _write(root / "annotations" / "instances_new.json", val)
    with pytest.raises(LookupError, match=r"instances_new.json names no split, but there are"):
        read_coco(coco_files(root), root)


FAULTS = {
    "list": ([], "format: it needs lists called images, annotations, categories;"),
    "number": (_content(images=3), "is not in COCO's format"),
    "lacks": ({"images": []}, "is not in COCO's format"),
    "no images": (_content(images=[], annotations=[]), "lists no photograph;"),
    "no categories": (_content(categories=[], annotations=[]), "has no class;"),
    "no id": (_content(images=[{"file_name": "a.jpg"}]), "has the image {}; it needs an id"),
    "true id": (_content(images=[{"id": True, "file_name": "a.jpg"}]), "it needs an id"),
    "no name": (_content(categories=[{"id": 3}]), "has the category {'id': 3}; it needs"),
    "odd image": (_content(images=["a.jpg"]), "has the image 'a.jpg'; it needs an id"),
    "same id": (
        _content(images=[{"id": 7, "file_name": "a.jpg"}, {"id": 7, "file_name": "c.jpg"}]),
        "gives 'a.jpg', 'c.jpg' the same id 7;",
    ),
    "same name": (
        _content(categories=[{"id": 3, "name": "cat"}, {"id": 18, "name": "cat"}]),
        "has two categories of one name;",
    ),
    "same file": (
        _content(images=[{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "./a.jpg"}]),
        "lists 'a.jpg' twice;",
    ),
    "unknown image": (
        _content(annotations=[{"image_id": 99, "category_id": 3}]),
        "has the annotation {'image_id': 99, 'category_id': 3} of an unknown image;",
    ),
    "unknown category": (
        _content(annotations=[{"image_id": 7, "category_id": [3]}]), "of an unknown category;"),
    "odd annotation": (_content(annotations=[7]), "has the annotation 7 of an unknown image;"),
    "above": (_content(images=[{"id": 7, "file_name": "../a.jpg"}], annotations=[]),
              "names '../a.jpg', which leads out of the folder;"),
    "absolute": (_content(images=[{"id": 7, "file_name": "/a.jpg"}], annotations=[]),
                 "which leads out of the folder;"),
    "NUL": (_content(images=[{"id": 7, "file_name": "a\0.jpg"}], annotations=[]),
            "which holds control characters;"),
    "label": (_content(categories=[{"id": 3, "name": "../x"}], annotations=[]),
              "names '../x', which leads out of the folder;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence(photographs, fault):
    content, sentence = FAULTS[fault]
    root = photographs(*NAMES)
    _write(root / "annotations.json", content)
    with pytest.raises((ValueError, LookupError), match=re.escape(sentence)):
        read_coco(coco_files(root), root)


def test_all_missing_files_are_named_at_once(photographs):
    root = photographs("a.jpg", "B.jpg")
    _write(root / "annotations.json", _content())
    with pytest.raises(FileNotFoundError, match=r"no picture 'seq/b.jpg', 'c.jpg', which annot"):
        read_coco(coco_files(root), root)


def test_the_size_of_the_file_is_bounded(photographs, monkeypatch):
    root = photographs(*NAMES)
    path = _write(root / "annotations.json", _content())
    monkeypatch.setattr(coco, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"annotations are read; split it, or write a labels.csv"):
        read_coco([path], path)


def test_what_is_no_json_is_refused(photographs):
    root = photographs(*NAMES)
    (root / "annotations.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not JSON that can be read: its brackets are nested"):
        read_coco(coco_files(root), root)
