"""`scene segment --format` and `scene data convert`: masks that labelling tools open."""

import json
import shutil

import pytest
import torch

from scene.datasets.catalogue import open_data, splits_of
from scene.images.io import read_image, read_mask, write_image

FORMATS = ("voc", "coco", "labelme")


@pytest.fixture
def photos(place):
    """Make three photographs of different sizes."""
    folder = place / "photos"
    for i in range(3):
        image = torch.randint(0, 255, (3, 20 + i, 24), dtype=torch.uint8)
        write_image(folder / f"p{i}.png", image)
    return folder


def _scenes(folder):
    """Give the image and the names of the labels of all pixels, by the scene's name."""
    found = {}
    for split in splits_of(str(folder)):
        dataset = open_data(str(folder), split)
        names = dict(enumerate(dataset.schema.labels.names)) | {255: "void"}
        for i in range(len(dataset)):
            scene = dataset.original(i)
            labels = [[names[k] for k in row] for row in scene.mask.tolist()]
            found[scene.name.rpartition("/")[2]] = scene.image, labels
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_masks_of_every_format_are_those_of_the_palette_png(scene, trained, photos, place, kind):
    run = trained("segmenter")
    common = ("segment", "photos", "--run", run, "--device", "cpu")
    assert scene(*common, "--out", "plain").code == 0
    result = scene(*common, "--out", "labels", "--format", kind)
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1].startswith("labels: 3 photographs with masks")
    labels = open_data("synthetic", "val", count=1).schema.labels
    scenes = _scenes(place / "labels")
    assert set(scenes) == {"p0", "p1", "p2"}
    for name, (image, actual) in scenes.items():
        mask = read_mask(place / "plain" / f"{name}_mask.png", labels)
        assert actual == [[labels.names[i] for i in row] for row in mask.tolist()]
        assert image.equal(read_image(photos / f"{name}.png"))


def test_photographs_that_fail_are_left_out_and_the_others_written(scene, trained, photos, place):
    run = trained("segmenter")
    (photos / "p1.png").write_bytes(b"no picture")
    common = ("segment", "photos", "--run", run, "--device", "cpu", "--format", "coco")
    result = scene(*common, "--json")
    assert result.code == 1
    report = json.loads(result.out)
    assert report["out"] == "segmented"
    assert [len(report[key]) for key in ("images", "failed")] == [2, 1]
    assert set(_scenes(place / "segmented")) == {"p0", "p2"}
    again = scene(*common)
    assert again.code == 1
    assert "segmented exists; choose another --out, or --force" in again.err
    assert scene(*common, "--force").code == 1
    for path in photos.iterdir():
        path.write_bytes(b"no picture")
    shutil.rmtree(place / "segmented")
    nothing = scene(*common)
    assert "No photograph was segmented, so segmented is not written." in nothing.err
    assert not (place / "segmented").exists()


def test_photographs_of_one_name_are_refused(scene, trained, photos, place):
    run = trained("segmenter")
    shutil.copytree(photos, place / "more")
    result = scene("segment", "photos", "more", "--run", run, "--format", "labelme")
    assert result.code == 1
    assert "have the same name, but segmented holds one photograph of each" in result.err
    assert not (place / "segmented").exists()


@pytest.mark.parametrize("option", ["--probs", "--uncertainty", "--mask-only"])
def test_options_of_single_files_go_without_a_format(scene, photos, option):
    result = scene("segment", "photos", "--format", "voc", option)
    assert result.code == 2
    assert "--format writes photographs with masks only" in " ".join(result.err.split())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_dataset_is_converted_and_read_again(scene, voc_folder, place, kind):
    result = scene("data", "convert", voc_folder, "--out", "new", "--format", kind, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["scenes"] == {"train": 7, "tune": 1, "val": 4}
    assert len(_scenes(place / "new")) == 12
    back = scene("data", "convert", "new", "--out", "back", "--limit", 3)
    assert back.code == 0
    assert back.out == "back: 7 scenes with masks (train 3, tune 1, val 3)\n"
    before, after = _scenes(place / "new"), _scenes(place / "back")
    assert {name: before[name][1] for name in after} == {
        n: labels for n, (_, labels) in after.items()
    }
    info = json.loads(scene("data", "info", "new", "--json").out)
    assert (info["scenes"], info["views"]["mask"]) == (7, 7)


def test_training_and_scores_take_an_export(scene, voc_folder, place):
    assert scene("data", "convert", voc_folder, "--out", "coco", "--format", "coco").code == 0
    common = ("--size", "16x16", "--steps", 1, "--device", "cpu", "--width", 4)
    trained = scene("train", "segmenter", "--data", "coco", *common)
    assert trained.code == 0, trained.err
    scores = json.loads(scene("evaluate", "--json", "--device", "cpu").out)
    assert (scores["split"], scores["scenes"]) == ("val", 4)


def test_data_without_masks_are_not_converted(refused, class_folder):
    assert "has no masks, so there is nothing" in refused("data", "convert", class_folder)
    assert "--limit must be 1" in refused("data", "convert", class_folder, "--limit", 0)
