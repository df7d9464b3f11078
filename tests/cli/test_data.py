"""`scene data`: what is in a dataset, counted and drawn."""

import json

import pytest
from PIL import Image

from scene.labelmap import read_labelmap


def test_generated_scenes_are_counted(scene):
    result = scene("data", "info", "--split", "val", "--size", "16x32")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "synthetic-default val: 4 scenes at 16x32"
    assert lines[1] == "views: 4 with image, 4 with classes, 4 with mask; " + (
        "splits: train, tune, val, test"
    )
    assert max(map(len, lines)) <= 80


def test_partly_labelled_scenes_are_counted(scene, voc_folder):
    result = scene("data", "info", voc_folder, "--json", "--size", "16x16")
    assert (result.code, result.err) == (0, "")
    actual = json.loads(result.out)
    assert actual["name"] == "pets"
    assert actual["views"]["mask"] < actual["views"]["classes"] == actual["scenes"]
    assert actual["labels"] == ["background", "cat", "dog", "bird"]


def test_weak_masks_are_counted(scene, voc_folder):
    path = voc_folder / "ImageSets" / "Segmentation" / "weak.txt"
    path.write_text("photo_02\nphoto_03\nphoto_05\n")
    words = ("data", "info", voc_folder, "--size", "16x16")
    assert json.loads(scene(*words, "--json").out)["weak"] == 3
    assert "with mask (3 weak); splits:" in " ".join(scene(*words).out.split())
    path.write_text("photo_02\nphoto_99\n")
    result = scene(*words)
    assert result.code == 1
    assert "weak.txt lists 'photo_99', which is no scene of train with a mask;" in result.last


def test_a_label_is_written_as_it_is(scene, voc_folder):
    """A name in brackets is no markup."""
    path = voc_folder / "labelmap.txt"
    path.write_text(path.read_text().replace("bird:", "[red]x[/]:"))
    for file in (voc_folder / "ImageSets" / "Main").glob("*_*.txt"):
        file.unlink()
    result = scene("data", "info", voc_folder, "--size", "16x16")
    assert result.code == 0
    assert "│ [red]x[/]" in result.out


def test_more_scenes_than_there_are_is_all_of_them(scene, place):
    result = scene("data", "preview", "-n", 99, "--split", "val", "--size", "16x16")
    assert result.out == "preview.png: 4 of 4 scenes\n"
    assert scene("data", "preview", "--size", "16x16").code == 1
    assert scene("data", "preview", "--size", "16x16", "--force").code == 0


def test_readings_are_drawn_where_the_data_know_them(scene, place):
    words = ("data", "preview", "-n", 3, "--split", "val", "--size", "16x16", "--readings")
    result = scene(*words, "synthetic:ambiguous")
    assert result.out == "preview.png: 3 of 4 scenes\n"
    assert (place / "preview.png").exists()
    result = scene(*words, "synthetic", "--out", "other.png")
    assert (result.code, result.out) == (1, "")
    assert "synthetic-default has no readings" in result.err
    assert not (place / "other.png").exists()


def test_labels_are_printed_as_a_label_map(scene, voc_folder, trained, tmp_path):
    result = scene("data", "labels", voc_folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1:3] == ["background:0,0,0:: # 0", "cat:128,0,0:: # 1"]
    (tmp_path / "labelmap.txt").write_text(result.out)
    assert read_labelmap(tmp_path / "labelmap.txt") == read_labelmap(voc_folder / "labelmap.txt")
    result = scene("data", "labels", "--run", trained("segmenter"), "--json")
    assert json.loads(result.out)[1] == {"id": 1, "name": "circle", "colour": [230, 97, 82]}
    assert scene("data", "labels").code == scene("data", "labels", "a", "--run", "b").code == 2
    assert scene("data", "labels", "gone").code == 1


@pytest.mark.filterwarnings("default::scene.notices.Notice")
def test_what_is_assumed_is_one_line_whatever_the_number_of_masks(scene, voc_folder):
    for path in (voc_folder / "SegmentationClass").glob("*.png"):
        with Image.open(path) as picture:
            anew = picture.convert("RGB").quantize(8)
        anew.save(path)
    result = scene("data", "info", voc_folder, "--size", "16x16", "--json")
    assert result.code == 0
    assert json.loads(result.out)["pixels"]["background"] > 0.5
    (line,) = result.err.splitlines()
    assert line.startswith("note: Masks in ")
    assert line.endswith(
        "SegmentationClass have palettes whose colours are all labels', but not "
        "at the labels' ids: they are read by their colours."
    )
