"""Folders in VOC layout: who is in which split, and every contradiction named."""

import re
from shutil import rmtree

import pytest

from scene.datasets.folders.index import entries, labels_of, splits
from scene.datasets.folders.layouts import locate
from scene.datasets.folders.voc import VOCScenes
from scene.labelmap import VOC


def _names(root, split):
    return [entry.name for entry in entries(root, split, labels_of(root))]


def _move(root, old, new):
    for kind in ("Segmentation", "Main"):
        for path in list((root / "ImageSets" / kind).glob("*.txt")):
            if path.stem == old or path.stem.endswith(f"_{old}"):
                path.rename(path.with_name(path.name.replace(f"{old}.txt", f"{new}.txt")))


def test_masked_scenes_come_first_then_those_with_classes_only(voc_folder):
    result = entries(voc_folder, "train", labels_of(voc_folder))
    masked = [entry.mask is not None for entry in result]
    assert masked == sorted(masked, reverse=True)
    assert all((entry.classes is None) == (entry.mask is not None) for entry in result)


def test_train_and_tune_share_the_train_list_without_overlap(voc_folder):
    train, tune = _names(voc_folder, "train"), _names(voc_folder, "tune")
    assert sorted(train + tune) == [f"photo_{i:02d}" for i in range(12)]
    assert tune
    assert any(e.mask for e in entries(voc_folder, "tune", labels_of(voc_folder)))


def test_a_scene_keeps_its_side_when_others_are_added(voc_folder):
    path = voc_folder / "ImageSets" / "Segmentation" / "train.txt"
    for i in range(200):
        for suffix, kind in (("jpg", "JPEGImages"), ("png", "SegmentationClass")):
            (voc_folder / kind / f"more_{i}.{suffix}").touch()
    path.write_text(path.read_text() + "".join(f"more_{i}\n" for i in range(100)))
    before = set(_names(voc_folder, "tune"))
    path.write_text(path.read_text() + "".join(f"more_{i}\n" for i in range(100, 200)))
    after = set(_names(voc_folder, "tune"))
    assert before < after
    assert 10 < len(after) < 40


def test_a_tune_list_of_ones_own_leaves_train_whole(voc_folder):
    _move(voc_folder, "val", "tune")
    assert splits(voc_folder) == ("train", "tune")
    assert len(_names(voc_folder, "train")) == 12
    assert _names(voc_folder, "tune") == [f"photo_{i}" for i in range(12, 16)]


def test_splits_are_what_the_lists_say(voc_folder):
    assert splits(voc_folder) == ("train", "tune", "val")
    _move(voc_folder, "train", "small")
    assert splits(voc_folder) == ("val", "small")


def test_splits_may_have_the_names_labelling_tools_give_them(voc_folder):
    """One tool calls its only split ``default``, another writes Train and Validation."""
    expected = _names(voc_folder, "train"), _names(voc_folder, "val")
    _move(voc_folder, "train", "default")
    _move(voc_folder, "val", "Validation")
    assert splits(voc_folder) == ("train", "tune", "val")
    assert (_names(voc_folder, "train"), _names(voc_folder, "val")) == expected


def test_a_class_called_train_is_not_taken_for_a_split(voc_folder):
    """PASCAL VOC has trains, hence a file train_val.txt, which lists no split train_val."""
    _move(voc_folder, "val", "trainval")
    main = voc_folder / "ImageSets" / "Main"
    for split in ("train", "trainval"):
        (main / f"train_{split}.txt").write_text((main / f"cat_{split}.txt").read_text())
    assert splits(voc_folder) == ("train", "tune", "trainval")


def test_difficult_counts_as_present(voc_folder):
    """The folder's dogs are marked 0; background has no file, and no entry in the vector."""
    classes = {e.name: e.classes for e in entries(voc_folder, "train", labels_of(voc_folder))}
    assert classes["photo_08"].tolist() == [1, 0, 1]  # label 1 + 8 % 3 = bird, and the next, cat
    assert classes["photo_10"].tolist() == [0, 1, 0]


def test_without_class_files_the_classes_are_not_known(voc_folder):
    for path in (voc_folder / "ImageSets" / "Main").glob("*_*.txt"):
        path.unlink()
    result = entries(voc_folder, "train", labels_of(voc_folder))
    assert all(entry.classes is None for entry in result)
    assert any(entry.mask is None for entry in result)


def test_voc_is_known_by_its_name_or_by_its_lists(voc_folder):
    (voc_folder / "labelmap.txt").unlink()
    with pytest.raises(
        LookupError, match=r"has no labelmap\.txt and is not PASCAL VOC.*write one"
    ):
        labels_of(voc_folder)
    for name in VOC.classes:
        (voc_folder / "ImageSets" / "Main" / f"{name}_train.txt").touch()
    assert labels_of(voc_folder) is VOC
    rmtree(voc_folder / "ImageSets")
    named = voc_folder.rename(voc_folder.with_name("VOC2012"))
    assert labels_of(named) is VOC


def test_a_devkit_may_be_given_by_its_outer_folder(voc_folder, tmp_path):
    (tmp_path / "VOCdevkit").mkdir()
    inner = voc_folder.rename(tmp_path / "VOCdevkit" / "VOC2012")
    assert locate(tmp_path) == inner
    assert locate(tmp_path / "VOCdevkit") == inner
    assert locate(inner) == inner


def test_names_are_read_with_quotes_blank_lines_and_twice(voc_folder):
    path = voc_folder / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text('photo_12\n\n"photo_13"\nphoto_12\n')
    assert _names(voc_folder, "val") == [f"photo_{i}" for i in range(12, 16)]


def _weak(root, *names):
    path = root / "ImageSets" / "Segmentation" / "weak.txt"
    path.write_text("".join(f"{name}\n" for name in names))


def test_weak_masks_are_of_train_and_keep_the_classes_that_are_known(voc_folder):
    plain = entries(voc_folder, "train", labels_of(voc_folder))
    _weak(voc_folder, "photo_02", "photo_03")
    assert splits(voc_folder) == ("train", "tune", "val")
    result = entries(voc_folder, "train", labels_of(voc_folder))
    assert [e.name for e in result] == [e.name for e in plain]
    assert {e.name for e in result if e.weak} == {"photo_02", "photo_03"}
    assert all((e.classes is not None) == (e.weak or e.mask is None) for e in result)
    assert not any(e.weak for e in entries(voc_folder, "val", labels_of(voc_folder)))


def test_what_class_files_do_not_mention_has_weak_classes_too(voc_folder):
    _weak(voc_folder, "photo_02", "photo_03")
    for path in (voc_folder / "ImageSets" / "Main").glob("*_train.txt"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line for line in lines if "photo_02" not in line))
    known = {e.name: e.classes for e in entries(voc_folder, "train", labels_of(voc_folder))}
    assert known["photo_02"] is None
    assert known["photo_03"] is not None


def test_settings_are_chosen_on_true_masks_where_two_are_left(voc_folder):
    every = [f"photo_{i:02d}" for i in range(8)]
    plain = _names(voc_folder, "tune")
    for true in (2, 3, 4):
        _weak(voc_folder, *every[true:])
        tune = entries(voc_folder, "tune", labels_of(voc_folder))
        assert next(e.name for e in tune if e.mask) in every[:true]
        assert sorted(_names(voc_folder, "train") + [e.name for e in tune]) == [
            f"photo_{i:02d}" for i in range(12)
        ]
    for few in (0, 1):
        _weak(voc_folder, *every[few:])
        assert _names(voc_folder, "tune") == plain


DAMAGE = {
    "weak masks of no scene": (
        lambda root: _weak(root, "photo_01", "photo_08"),
        "train", ValueError, r"weak\.txt lists 'photo_08', which is no scene of train with a mask",
    ),
    "weak masks of another split": (
        lambda root: _weak(root, "photo_12"),
        "tune", ValueError, r"weak\.txt lists 'photo_12', .*; add it to train\.txt beside it, or",
    ),
    "no split": (
        lambda root: None, "test", LookupError, "no split 'test'; it has train, tune, val",
    ),
    "no lists": (
        lambda root: [p.unlink() for p in (root / "ImageSets").rglob("*.txt")],
        "train", LookupError, "has no splits; list its",
    ),
    "no image": (
        lambda root: (root / "JPEGImages" / "photo_13.jpg").unlink(),
        "val", FileNotFoundError, "JPEGImages has no picture of 'photo_13'; add it",
    ),
    "no mask": (
        lambda root: (root / "SegmentationClass" / "photo_13.png").unlink(),
        "val", FileNotFoundError, "SegmentationClass has no mask of 'photo_13'; add it, or",
    ),
    "no class file": (
        lambda root: (root / "ImageSets" / "Main" / "cat_train.txt").unlink(),
        "train", ValueError, r"There is no .*cat_train\.txt, but the other classes have theirs",
    ),
    "unknown class": (
        lambda root: (root / "ImageSets" / "Main" / "cow_train.txt").touch(),
        "train", ValueError, r"cow_train\.txt is about 'cow', which is no label of pets",
    ),
    "bad value": (
        lambda root: (root / "ImageSets" / "Main" / "cat_train.txt").write_text("photo_08 yes\n"),
        "train", ValueError, r"cat_train\.txt has the line 'photo_08 yes'; write a name and 1",
    ),
    "not mentioned": (
        lambda root: (root / "ImageSets" / "Main" / "cat_train.txt").write_text("photo_08 1\n"),
        "train", ValueError, r"cat_train\.txt does not mention 'photo_",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_a_contradiction_is_one_sentence(voc_folder, case):
    damage, split, kind, message = DAMAGE[case]
    damage(voc_folder)
    with pytest.raises(kind, match=message) as caught:
        entries(voc_folder, split, labels_of(voc_folder))
    assert re.fullmatch(r".*[^.]\.", str(caught.value))


def test_an_empty_split_is_one_sentence(voc_folder):
    for kind in ("Segmentation", "Main"):
        (voc_folder / "ImageSets" / kind / "val.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"The split 'val' of .*pets is empty"):
        entries(voc_folder, "val", labels_of(voc_folder))


def test_a_folder_without_images_is_refused(voc_folder, tmp_path):
    rmtree(voc_folder / "JPEGImages")
    with pytest.raises(FileNotFoundError, match="has no folder JPEGImages; put the images there"):
        locate(voc_folder)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        locate(tmp_path / "gone")


def test_a_picture_that_is_missing_is_listed_by_its_suffix_and_its_mask_is_there(voc_folder):
    path = voc_folder / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("".join(f"{name}.jpg\n" for name in path.read_text().split()))
    (voc_folder / "JPEGImages" / "photo_13.jpg").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        VOCScenes(voc_folder, "val", (16, 16))
    assert "has no picture of 'photo_13'" in str(caught.value)
    assert "no mask" not in str(caught.value)
