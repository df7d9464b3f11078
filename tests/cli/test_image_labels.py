"""From a folder per class to masks, and what `scene data info` says of image-level labels."""

import json

import pytest

from scene.datasets.folders.voc import VOCScenes

TINY = ("--size", "32x32", "--device", "cpu", "--width", 4, "--batch-size", 4)


def test_a_folder_per_class_becomes_a_dataset_with_masks(scene, class_folder, place):
    """Train a classifier, write its cues, train SEC, and write pseudo-labels."""
    for words in (
        ("train", "classifier", "--data", class_folder, "--steps", 5, *TINY, "--out", "cls"),
        ("cues", "cls", "--out", "cues", "--device", "cpu"),
        ("train", "sec", "--data", class_folder, "--steps", 1, *TINY, "--classifier", "cls",
         "--out", "sec"),
        ("evaluate", "cls", "--device", "cpu"),
        ("pseudo-label", "--run", "sec", "--no-crf", "--out", "weak", "--device", "cpu"),
        ("data", "preview", class_folder, "-n", 2, "--size", "16x16"),
    ):  # fmt: skip
        result = scene(*words)
        assert result.code == 0, result.err
    weak = [VOCScenes(place / "weak", split, (32, 32)) for split in ("train", "tune")]
    counts = json.loads(scene("data", "info", class_folder, "--json").out)["splits"]
    assert sum(scenes.weak for scenes in weak) == sum(map(len, weak)) == counts["train"]
    for scenes in weak:
        for i in range(len(scenes)):
            assert scenes.schema.labels.decode(scenes[i].classes) == (scenes[i].name[:-3],)


def test_recipes_that_need_masks_are_refused(refused, class_folder):
    sentence = refused("train", "telbo", "--data", class_folder, "--steps", 1, *TINY)
    assert sentence.endswith("Image-level labels alone train a classifier and sec.")


def test_image_level_labels_are_counted(scene, class_folder):
    (class_folder / "dog" / "01.jpg").unlink()
    (class_folder / "dog" / "02.jpg").write_bytes(b"no picture")
    result = scene("data", "info", class_folder)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].endswith("29 scenes with image-level labels of 3 classes, no masks")
    assert lines[1].startswith("splits: train ")
    assert "│ 1  │ bird  │" in result.out
    assert "imbalance: 1.1 (largest class / smallest class with scenes)" in lines
    assert "scenes without any label: 0" in lines
    assert "files: headers of 29 of 29 photographs opened, 1 broken" in lines
    assert "02.jpg cannot be read as a picture" in lines[-1]
    report = json.loads(scene("data", "info", class_folder, "--json").out)
    assert report["totals"] == {"bird": 10, "cat": 10, "dog": 9}
    assert list(report["broken"]) == ["dog/02.jpg"]
    assert sum(report["splits"].values()) == report["scenes"] == report["checked"] == 29


def test_a_class_that_cannot_be_learned_is_told(scene, class_folder):
    (class_folder / "labels.csv").write_text(
        "file,labels,split\ncat/01.jpg,cat,train\ndog/01.jpg,dog,val\ncat/02.jpg,,train\n"
    )
    lines = scene("data", "info", class_folder).out.splitlines()
    assert "in no scene of train: dog" in lines
    assert "scenes without any label: 1" in lines


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--split", "test"), "has no split 'test'; its 30 photographs are of train, tune, val."),
        (("--size", "1x1"), "1x1 is too small;"),
        (("--count", "3"), "--count is for data with masks; image-level labels are all counted."),
    ],
)
def test_options_that_do_not_fit_are_refused(refused, class_folder, words, sentence):
    assert sentence in refused("data", "info", class_folder, *words)


def test_labels_are_printed(scene, class_folder):
    lines = scene("data", "labels", class_folder).out.splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == ["background", "bird", "cat", "dog"]
