"""`scene cues`, and a classifier from the command line."""

import json
import re
import shutil

import numpy as np
import pytest

from inference.runs.run import read

PLAIN = ["--size", "16x16", "--batch-size", 4, "--width", 2, "--steps", 2, "--device", "cpu"]
LAST = re.compile(
    r"image → classes macro-F1 \d{1,3}\.\d, mAP \d{1,3}\.\d \(val, 4 scenes\)  \S+\.png\n"
)


@pytest.fixture
def classifier(trained, place):
    """Give the folder of one, in the working folder."""
    return trained("classifier").rename(place / "run")


def test_a_classifier_is_trained_evaluated_and_asked_for_cues(scene, place):
    classifier = place / "run"
    result = scene("train", "classifier", *PLAIN, "--out", "run")
    assert result.code == 0
    assert LAST.fullmatch(result.out)
    result = scene("evaluate", classifier, "--device", "cpu")
    assert result.code == 0
    assert "classifier on synthetic-default (val, 4 scenes, 16x16)" in result.out
    assert re.search(r"┃ class +┃ +F1, % ┃ +AP, % ┃", result.out)
    assert re.search(r"│ circle +│ +[\d.–]+ │ +[\d.–]+ │", result.out)
    assert "mask from" not in result.out
    result = scene("evaluate", classifier, "--json", "--device", "cpu")
    score = json.loads(result.out)["results"]["8 draws"][4]["score"]
    assert set(score) == {"f1", "macro_f1", "ap", "map"}

    result = scene("cues", classifier, "--device", "cpu", "--limit", 3)
    assert result.code == 0
    assert result.out.splitlines()[-1] == f"{classifier}/cues-train: cues of 3 scenes, cues.png"
    assert re.search(r"│ background +│ +[\d.]+ │ +[\d.]+ │", result.out)
    assert len(list((classifier / "cues-train").glob("*.npz"))) == 3


def test_options_reach_the_cues(scene, classifier):
    result = scene(
        "cues", classifier, "--device", "cpu", "--split", "val", "--layer", "stride2", "--scales",
        "1,2", "--flip", "--foreground", 0.7, "--background", "none", "--saliency", "sum",
        "--background-map", "max", "--exponent", 3, "--crf", "10,20,5", "--affinity", 2,
        "--imagenet-maps", "--scenery", 0.5, "--background-exponent", 4, "--out", "sure",
        "--json",
    )  # fmt: skip
    assert result.code == 0
    report = json.loads(result.out)
    assert report["settings"] == {
        "layer": "stride2", "scales": [1.0, 2.0], "flip": True, "foreground": 0.7,
        "background": None, "background_map": "max", "exponent": 3.0, "certainty": 0.0,
        "saliency": "sum", "crf": [10.0, 20.0, 5.0], "affinity": 2.0, "imagenet": True,
        "scenery": 0.5, "background_exponent": 4.0,
    }  # fmt: skip
    assert (report["split"], report["scenes"]) == ("val", 4)
    assert report["coverage"]["background"] == 0
    (first, *_) = sorted((classifier.parent / "sure").glob("*.npz"))
    with np.load(first) as held:
        assert held["maps"].shape == (6, 16, 16)


def test_cues_are_not_overwritten_unless_that_was_asked_for(scene, refused, classifier):
    words = ("cues", classifier, "--limit", 1, "--device", "cpu")
    assert scene(*words).code == 0
    assert "cues-train exists; choose another --out, or --force" in refused(*words)
    assert scene(*words, "--force").code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--layer", "stride16"), "No layer of this classifier is called 'stride16'."),
        (("--scales", "1,x"), "--scales is a number, not 'x'."),
        (
            ("--scales", "0"),
            "--scales takes 1 to 16 numbers, each above 0 and at most 8, not 0.0.",
        ),
        (("--background", "much"), "--background is a number, not 'much'."),
        (("--background", 2), "--background is a share of the image, above 0 and at most 1"),
        (("--foreground", 1), "--foreground is 0 or more and below 1, not 1.0."),
        (("--limit", 0), "--limit must be 1 or more, not 0."),
        (("--split", "vall"), "No split is called 'vall'. Did you mean 'val'?"),
    ],
)
def test_what_cannot_be_is_refused(refused, classifier, words, sentence):
    assert refused("cues", classifier, "--device", "cpu", *words).startswith(sentence)


def test_background_cues_of_data_without_background_are_refused(scene, refused, voc_folder, place):
    path = voc_folder / "labelmap.txt"
    path.write_text(path.read_text().replace("background", "ground"))
    shutil.rmtree(voc_folder / "ImageSets" / "Main")
    result = scene("train", "classifier", *PLAIN, "--data", voc_folder, "--out", "run")
    assert result.code == 0
    sentence = refused("cues", "run", "--device", "cpu")
    assert (
        "is named background, so no background cues can be computed; use --background none."
        in sentence
    )
    assert scene("cues", "run", "--background", "none", "--device", "cpu").code == 0


def test_a_run_that_is_no_classifier_is_refused(refused, trained):
    assert "train one: scene train classifier" in refused("cues", trained("segmenter"))


def test_where_there_is_no_classifier_the_sentence_says_how_to_get_one(refused):
    sentence = refused("cues")
    assert sentence.startswith("There is no complete run of a classifier in ")
    assert sentence.endswith("make one with `scene train classifier`, or name one.")


@pytest.mark.parametrize("text", ["0", "1", "-0.5", "nan", "much"])
def test_a_threshold_is_a_probability_or_auto(refused, text):
    assert "--threshold" in refused("train", "classifier", *PLAIN, f"--threshold={text}")


def test_a_threshold_reaches_the_run(scene, place):
    result = scene("train", "classifier", *PLAIN, "--threshold", "auto", "--out", "run")
    assert result.code == 0
    assert read(place / "run").settings.model.threshold == "auto"


def test_weights_that_cannot_be_had_are_refused_with_what_would_do(refused, monkeypatch):
    def offline(weights=None):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models.resnet50", offline)
    sentence = refused("train", "classifier", "--backbone", "resnet50", "--device", "cpu")
    assert sentence == (
        "ImageNet weights of resnet50 could not be downloaded (no route to host); give --weights "
        "none, or the path of a state dict."
    )
