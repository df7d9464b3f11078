"""A folder per class: the folder names the class, and folders above may name splits."""

import pytest

from scene.datasets.image_level.class_folders import (
    class_folder_hint,
    has_class_folders,
    read_class_folders,
)
from scene.notices import Notice


def test_the_class_is_the_name_of_the_folder(photographs, labelled):
    root = photographs("cat/a.jpg", "dog/a.jpg", "dog/puppies/b.png")
    assert has_class_folders(root)
    index = read_class_folders(root)
    assert labelled(index) == {
        "cat/a.jpg": ["cat"],
        "dog/a.jpg": ["dog"],
        "dog/puppies/b.png": ["dog"],
    }
    assert sorted(index.names.values()) == ["cat/a", "dog/a", "dog/puppies/b"]
    assert index.labels.names == ("background", "cat", "dog")


def test_a_folder_called_background_holds_scenes_of_no_class(photographs, labelled):
    index = read_class_folders(photographs("cat/a.jpg", "background/b.jpg"))
    assert labelled(index) == {"cat/a.jpg": ["cat"], "background/b.jpg": []}
    assert index.labels.names == ("background", "cat")


def test_folders_of_splits_give_the_splits(photographs, labelled):
    root = photographs(
        "train/cat/a.jpg", "train/dog/b.jpg", "Validation/cat/a.jpg", "test/dog/c.jpg"
    )
    index = read_class_folders(root)
    files = {split: [i.file for i in images] for split, images in index.by_split.items()}
    assert (files["val"], files["test"]) == (["Validation/cat/a.jpg"], ["test/dog/c.jpg"])
    assert sorted(files["train"] + files["tune"]) == ["train/cat/a.jpg", "train/dog/b.jpg"]
    assert labelled(index)["test/dog/c.jpg"] == ["dog"]


def test_a_class_may_be_called_as_a_split(photographs, labelled):
    index = read_class_folders(photographs("train/a.jpg", "car/a.jpg"))
    assert labelled(index) == {"train/a.jpg": ["train"], "car/a.jpg": ["car"]}


def test_the_first_scenes_are_of_several_classes(class_folder):
    images = read_class_folders(class_folder).images
    assert len({name for image in images[:10] for name in image.classes}) == 3


def test_hidden_files_and_folders_are_left_out(photographs, labelled):
    root = photographs("cat/a.jpg", "dog/b.jpg")
    for name in (".cache/c.jpg", "cat/.d.jpg", "cat/._a.jpg", "__MACOSX/a.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / "cat" / "notes.txt").touch()
    assert len(read_class_folders(root).images) == 2


def test_a_linked_folder_is_a_class_and_links_below_it_are_not_followed(photographs, tmp_path):
    root = photographs("cat/a.jpg", "dog/b.jpg")
    (root / "dog").rename(tmp_path / "dogs")
    (root / "dog").symlink_to(tmp_path / "dogs")
    (root / "cat" / "loop").symlink_to(root)
    assert {image.file for image in read_class_folders(root).images} == {"cat/a.jpg", "dog/b.jpg"}


def test_what_is_left_out_is_told(photographs):
    root = photographs("cat/a.jpg", "dog/b.jpg", "loose.jpg")
    with pytest.warns(Notice, match="has 1 pictures that are in no folder of a class"):
        read_class_folders(root)
    (root / "loose.jpg").unlink()
    (root / "notes").mkdir()
    with pytest.warns(Notice, match="has no pictures in 'notes', which are read as no"):
        read_class_folders(root)
    root = photographs("split/train/cat/a.jpg", "split/train/dog/a.jpg", "split/test/a.jpg")
    with pytest.warns(Notice, match="directly in 'test' have no class, and are left out"):
        assert len(read_class_folders(root / "split").images) == 2


def test_splits_beside_classes_are_refused(photographs):
    root = photographs("train/cat/a.jpg", "train/dog/b.jpg", "bird/c.jpg")
    with pytest.raises(ValueError, match=r"has folders of splits \(train\) beside 'bird'; put"):
        read_class_folders(root)


def test_a_class_whose_name_cannot_be_used_is_refused(photographs):
    with pytest.raises(ValueError, match="names 'ab:c'; a label starts with no #"):
        read_class_folders(photographs("ab:c/a.jpg", "dog/b.jpg"))


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["cat/a.jpg"], "it has one folder of pictures, 'cat': a folder per class needs two"),
        (["train/a.jpg", "val/b.jpg"], "pictures in 'train', 'val' are in no folder"),
        (["cat/a.jpg", "dog/a.jpg", "masks/a.png"], "but 'masks' is no class by its name"),
    ],
)
def test_folders_that_are_nearly_right_get_a_hint(photographs, names, hint):
    root = photographs(*names)
    assert not has_class_folders(root)
    assert hint in class_folder_hint(root)


def test_datasets_in_folders_are_no_classes(voc_folder, tmp_path):
    (tmp_path / "other" / "JPEGImages").mkdir(parents=True)
    assert not has_class_folders(tmp_path)
