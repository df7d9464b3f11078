"""`scene data`: what is in a dataset, counted and drawn."""

import json

import pytest
from PIL import Image

from scene.labelmap import read_labelmap


def test_generated_scenes_are_counted(scene):
    said = scene("data", "info", "--split", "val", "--size", "16x32")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "synthetic-default val: 4 scenes at 16x32"
    assert lines[1] == "views: 4 with image, 4 with classes, 4 with mask; " + (
        "splits: train, tune, val, test"
    )
    assert max(map(len, lines)) <= 80


def test_partly_labelled_scenes_are_counted(scene, voc_folder):
    said = scene("data", "info", voc_folder, "--json", "--size", "16x16")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert found["name"] == "pets"
    assert found["views"]["mask"] < found["views"]["classes"] == found["scenes"]
    assert found["labels"] == ["background", "cat", "dog", "bird"]


def test_weak_masks_are_counted(scene, voc_folder):
    path = voc_folder / "ImageSets" / "Segmentation" / "weak.txt"
    path.write_text("photo_02\nphoto_03\nphoto_05\n")
    words = ("data", "info", voc_folder, "--size", "16x16")
    assert json.loads(scene(*words, "--json").out)["weak"] == 3
    assert "with mask (3 weak); splits:" in " ".join(scene(*words).out.split())
    path.write_text("photo_02\nphoto_99\n")
    said = scene(*words)
    assert said.code == 1
    assert "weak.txt lists 'photo_99', which is no scene of train with a mask;" in said.last


def test_a_label_is_written_as_it_is(scene, voc_folder):
    """A name in brackets is no markup."""
    path = voc_folder / "labelmap.txt"
    path.write_text(path.read_text().replace("bird:", "[red]x[/]:"))
    for file in (voc_folder / "ImageSets" / "Main").glob("*_*.txt"):
        file.unlink()
    said = scene("data", "info", voc_folder, "--size", "16x16")
    assert said.code == 0
    assert "│ [red]x[/]" in said.out


def test_more_scenes_than_there_are_is_all_of_them(scene, place):
    said = scene("data", "preview", "-n", 99, "--split", "val", "--size", "16x16")
    assert said.out == "preview.png: 4 of 4 scenes\n"
    assert scene("data", "preview", "--size", "16x16").code == 1
    assert scene("data", "preview", "--size", "16x16", "--force").code == 0


def test_labels_are_printed_as_a_label_map(scene, voc_folder, trained, tmp_path):
    said = scene("data", "labels", voc_folder)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1:3] == ["background:0,0,0:: # 0", "cat:128,0,0:: # 1"]
    (tmp_path / "labelmap.txt").write_text(said.out)
    assert read_labelmap(tmp_path / "labelmap.txt") == read_labelmap(voc_folder / "labelmap.txt")
    said = scene("data", "labels", "--run", trained("segmenter"), "--json")
    assert json.loads(said.out)[1] == {"id": 1, "name": "circle", "colour": [230, 97, 82]}
    assert scene("data", "labels").code == scene("data", "labels", "a", "--run", "b").code == 2
    assert scene("data", "labels", "gone").code == 1


@pytest.mark.filterwarnings("default::scene.notices.Notice")
def test_what_is_assumed_is_one_line_whatever_the_number_of_masks(scene, voc_folder):
    for path in (voc_folder / "SegmentationClass").glob("*.png"):
        with Image.open(path) as picture:
            anew = picture.convert("RGB").quantize(8)
        anew.save(path)
    said = scene("data", "info", voc_folder, "--size", "16x16", "--json")
    assert said.code == 0
    assert json.loads(said.out)["pixels"]["background"] > 0.5
    (line,) = said.err.splitlines()
    assert line.startswith("note: Masks in ")
    assert line.endswith(
        "SegmentationClass have palettes whose colours are all labels', but not "
        "at the labels' ids: they are read by their colours."
    )
