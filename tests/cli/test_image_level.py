"""Image-level labels alone, and weak masks: what is not scored, and scores that say so."""

import json

import pytest

from scene.datasets.folders.voc import VOCScenes

TINY = ("--size", "32x32", "--steps", 1, "--batch-size", 4, "--width", 4, "--device", "cpu")
WEAK = "against weak masks"


@pytest.fixture
def unmasked(voc_folder):
    """Make a folder without any mask; all of its scenes have image-level labels."""
    for path in (voc_folder / "ImageSets" / "Segmentation").iterdir():
        path.unlink()
    for path in (voc_folder / "SegmentationClass").iterdir():
        path.unlink()
    return voc_folder


def _learned(scene, data):
    result = scene("train", "classifier", "--data", data, *TINY, "--out", "cls")
    assert result.code == 0, result.err
    result = scene("train", "sec", "--data", data, *TINY, "--classifier", "cls", "--out", "sec")
    assert result.code == 0, result.err
    return result


def test_sec_learns_and_is_not_scored(scene, unmasked, place):
    result = _learned(scene, unmasked)
    assert result.out.startswith(
        "image → mask is not scored: no scene of val has a mask to score "
    )
    assert (place / "sec" / "samples.png").is_file()
    summary = json.loads((place / "sec" / "summary.json").read_text())
    assert (summary["headline"]["score"], summary["headline"]["scenes"]) == (None, 0)
    photo = unmasked / "JPEGImages" / "photo_12.jpg"
    assert scene("segment", photo, "--run", "sec", "--no-crf", "--out", "masks").code == 0
    assert scene("pseudo-label", "--run", "sec", "--no-crf", "--out", "weak").code == 0
    weak = [VOCScenes(place / "weak", split, (32, 32)) for split in ("train", "tune")]
    assert sum(scenes.weak for scenes in weak) == sum(map(len, weak)) == 11


def test_recipes_that_need_masks_are_refused_and_others_named(refused, unmasked):
    for recipe in ("telbo", "segmenter"):
        sentence = refused("train", recipe, "--data", unmasked, *TINY)
        assert sentence.endswith("Image-level labels alone train a classifier and sec.")


def test_the_search_is_refused_before_anything_is_trained(scene, unmasked, place):
    _learned(scene, unmasked)
    words = ("--over", "steps=1,2", "--size", "32x32", "--classifier", "cls", "--out", "search")
    result = scene("tune", "sec", "--data", unmasked, *words)
    assert result.code == 1
    assert result.last == "scene: No scene of pets tune has a mask."
    assert not (place / "search").exists()


def test_reproduce_trains_and_does_not_score(scene, unmasked, place):
    words = ("--size", "32x32", "--classifier-steps", 1, "--sec-steps", 1, "--engine", "exact")
    arguments = ("reproduce", "--data", unmasked, *words, "--device", "cpu", "--out", "all")
    result = scene(*arguments)
    assert result.code == 0, result.err
    assert result.out.splitlines()[0] == (
        "pets: classifier and SEC are trained, and not scored: there are no masks in train, tune, "
        "val. The recipe supervised learns from masks of train; settings are chosen on those of "
        "tune."
    )
    assert (place / "all" / "seed-0" / "report" / "masks.png").is_file()
    assert json.loads((place / "all" / "reproduce.json").read_text())["scored"] is False
    again = scene(*arguments, "--json")  # goes on with what is there: nothing is trained anew
    assert again.code == 0
    assert "training" not in again.err
    assert json.loads(again.out)["lacking"] == ["train", "tune", "val"]


@pytest.fixture
def weak(voc_folder):
    """Make a folder of which every mask is a pseudo-label, and only train has any."""
    lists = voc_folder / "ImageSets"
    (lists / "Segmentation" / "weak.txt").write_text(
        (lists / "Segmentation" / "train.txt").read_text()
    )
    for path in lists.rglob("*val.txt"):
        path.unlink()
    return voc_folder


def test_scores_against_weak_masks_say_so_wherever_they_stand(scene, weak, place):
    result = scene("train", "segmenter", "--data", weak, *TINY, "--out", "run")
    assert f"(tune, 1 scenes, {WEAK}, 8 draws)" in result.out
    assert json.loads((place / "run" / "summary.json").read_text())["headline"]["weak"] == 1
    assert WEAK in scene("evaluate", "run").out.splitlines()[0]
    report = json.loads(scene("evaluate", "run", "--json").out)
    assert report["weak"] == 1
    assert report["results"]["8 draws"][0]["weak"] == 1
    assert WEAK in scene("evaluate", "run", "--stage", "mask").out.splitlines()[0]
    report = json.loads(scene("evaluate", "run", "--stage", "mask", "--json").out)
    assert (report["weak"], report["stages"]["mask"]["weak"]) == (1, 1)
    words = ("--over", "steps=1,2", "--size", "32x32", "--width", 4, "--device", "cpu")
    assert WEAK in scene("tune", "segmenter", "--data", weak, *words, "--out", "search").out
    assert WEAK in (place / "search" / "tune.json").read_text()
    grid = (
        "--choose-on",
        "none",
        "--betas",
        "10",
        "--engine",
        "exact",
        "--limit",
        1,
        "--device",
        "cpu",
    )
    assert WEAK in scene("crf", "ablate", "--run", "run", *grid, "--out", "ablation").out
    assert json.loads((place / "ablation" / "ablation.json").read_text())["weak"] == 1


def test_cues_and_crfs_fitted_on_weak_masks_say_so(scene, weak, place):
    assert scene("train", "classifier", "--data", weak, *TINY, "--out", "cls").code == 0
    result = scene("cues", "cls", "--split", "tune", "--out", "cues", "--device", "cpu")
    assert f"1 scenes, {WEAK}, not the truth." in result.out
    assert json.loads((place / "cues" / "cues.json").read_text())["weak"] == 1
    scene("train", "segmenter", "--data", weak, *TINY, "--out", "run")
    words = (
        "--split",
        "train",
        "--limit",
        1,
        "--steps",
        1,
        "--engine",
        "exact",
        "--device",
        "cpu",
        "--out",
        "p.json",
    )
    result = scene("crf", "fit", "--run", "run", *words)
    assert (result.code, WEAK in result.out) == (0, True), result.err
    assert json.loads((place / "p.json").read_text())["fitted"]["weak"] == 1


def test_true_masks_need_no_word(scene, voc_folder):
    result = scene("train", "segmenter", "--data", voc_folder, *TINY, "--out", "run")
    assert WEAK not in result.out + scene("evaluate", "run").out
