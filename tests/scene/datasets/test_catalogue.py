"""The catalogue: every text of --data is understood or answered with one sentence."""

import pytest
import torch
import torchvision

from scene.datasets.catalogue import (
    STOCK_SIZE,
    describe,
    evaluation_split,
    open_data,
    splits_of,
)
from scene.sizes import parse_size


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("source", ["synthetic", "synthetic:default", "synthetic:confounded"])
def test_generated_scenes_have_as_many_as_asked_for(source):
    scenes = open_data(source, "val", count=3)
    assert len(scenes) == 3
    assert scenes.schema.size == STOCK_SIZE
    assert scenes.source == f"synthetic:{source.partition(':')[2] or 'default'}"
    assert splits_of(source) == ("train", "tune", "val", "test")


def test_a_folder_is_opened_by_its_path_and_again_by_its_source(voc_folder):
    scenes = open_data(str(voc_folder), "val", (32, 48), count=2)
    again = open_data(scenes.source, "val", (32, 48))
    assert len(scenes) == 2
    assert torch.equal(scenes[1].image, again[1].image)
    assert splits_of(str(voc_folder)) == ("train", "tune", "val")


def test_scores_are_taken_on_test_else_val_else_tune(voc_folder):
    assert evaluation_split("synthetic") == "test"
    lists = voc_folder / "ImageSets" / "Segmentation"
    assert evaluation_split(str(voc_folder)) == "val"
    (lists / "test.txt").write_text("photo_01\n")
    assert evaluation_split(str(voc_folder)) == "test"
    for name in ("test", "val"):
        (lists / f"{name}.txt").unlink()
    assert evaluation_split(str(voc_folder)) == "tune"
    (lists / "train.txt").unlink()
    with pytest.raises(LookupError, match="has no masks to score against"):
        evaluation_split(str(voc_folder))


def test_voc_is_kept_where_the_environment_says(voc_folder, home):
    (home / "VOCdevkit").mkdir(parents=True)
    (voc_folder / "labelmap.txt").unlink()
    voc_folder.rename(home / "VOCdevkit" / "VOC2012")
    scenes = open_data("voc2012", "val")
    assert (scenes.name, scenes.source) == ("voc2012", "voc2012")


def test_voc_is_fetched_only_when_allowed_and_then_kept(voc_folder, home, monkeypatch):
    with pytest.raises(LookupError, match=r"VOC 2012 is not at .*; add --download"):
        open_data("voc2012", "val")
    assert not home.exists()

    def fetch(root, year, image_set, download):
        (home / "VOCdevkit" / root / "VOCdevkit").mkdir()
        voc_folder.rename(home / "VOCdevkit" / root / "VOCdevkit" / "VOC2012")

    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", fetch)
    assert len(open_data("voc2012", "val", download=True)) == 4
    assert len(open_data("voc2012", "val")) == 4
    assert [path.name for path in (home / "VOCdevkit").iterdir()] == ["VOC2012"]


@pytest.mark.parametrize("problem", [OSError("no route"), RuntimeError("File not found")])
def test_a_failed_download_leaves_nothing(home, monkeypatch, problem):
    def fetch(root, **choices):
        raise problem

    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", fetch)
    with pytest.raises(OSError, match=rf"could not be fetched \({problem}\); try again later"):
        open_data("voc2012", "val", download=True)
    assert not list((home / "VOCdevkit").iterdir())


@pytest.mark.parametrize(
    ("source", "near"),
    [("synthetc", "synthetic"), ("synthetic-confounded", "synthetic:confounded"),
     ("VOC2021", "voc2012")],
)  # fmt: skip
def test_a_near_miss_is_answered_with_what_was_meant(source, near):
    with pytest.raises(FileNotFoundError, match=f"no data at '{source}'.* mean '{near}'"):
        open_data(source, "train")


def test_what_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data at '.*gone'\. Give synthetic"):
        open_data(str(tmp_path / "gone"), "train")


@pytest.mark.parametrize(("text", "size"), [("96x64", (96, 64)), (" 16 × 300", (16, 300))])
def test_a_size_is_height_then_width(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "64,64", "64x", "ax64", "64x64x3", "-64x64", "6.4x64"])
def test_what_is_not_a_size_is_one_sentence(text):
    with pytest.raises(ValueError, match="is not a size; write height x width in pixels"):
        parse_size(text)


def test_a_size_has_a_least():
    with pytest.raises(ValueError, match=r"15x64 is too small; .* at least 16 pixels"):
        parse_size("15x64")


def test_a_description_adds_up(voc_folder):
    facts = describe(open_data(str(voc_folder), "train"))
    assert facts["views"]["image"] == facts["views"]["classes"] == facts["scenes"]
    assert 0 < facts["views"]["mask"] < facts["scenes"]
    assert facts["background"]
    assert sum(facts["pixels"].values()) == pytest.approx(1)
    assert tuple(facts["frequency"]) == ("cat", "dog", "bird")
    assert all(0 < share <= 1 for share in facts["frequency"].values())
    assert 0 <= facts["void"] < 0.1


def test_a_description_of_masks_counts_their_pixels(voc_folder):
    scenes = open_data(str(voc_folder), "val", (32, 32))
    masks = scenes.views(range(4))["mask"]
    facts = describe(scenes)
    assert facts["pixels"]["cat"] == pytest.approx(float((masks == 1).float().mean()))
    assert facts["frequency"]["cat"] == float((masks == 1).flatten(1).any(1).float().mean())
