"""`scene generate`: a dataset drawn from the newest joint model, which training takes."""

import json

import pytest

from scene.datasets.folders.voc import VOCScenes

CPU = ("--device", "cpu")
ANY = ("--drop", 0, "--min-area", 0.0, *CPU)


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    """Let all classes pass, and no picture be drawn: models of two steps know nothing."""
    monkeypatch.setattr(
        "inference.experiments.generate.draw_scenes", lambda path, *_: path.touch()
    )
    monkeypatch.setattr(
        "inference.experiments.generate._rejection_reasons", lambda views, *_: [None] * len(views)
    )


def test_it_says_what_was_written_and_training_takes_it(scene, trained, place):
    run = trained()
    result = scene("generate", "-n", 6, "--from", "posterior", "--keep-train", 2, *ANY)
    assert result.code == 0, result.err
    assert result.err == f"run {run}\n"
    assert result.out.splitlines() == [
        "generated: 6 generated scenes and 2 real ones; tune 4, val 4, test 6 with ground-truth "
        "masks",
        "of 6 drawn; dropped: none",
        "generated/preview.png",
    ]
    assert len(VOCScenes(place / "generated", "train", (16, 16))) == 8
    words = ("--steps", 1, "--batch-size", 4, "--size", "16x16", "--width", 4, *CPU)
    assert scene("train", "segmenter", "--data", "generated", *words).code == 0


def test_json_says_the_same(scene, trained, place):
    trained("jvae")
    result = scene("generate", "-n", 3, "--out", "new", "--json", *ANY)
    report = json.loads(result.out)
    assert report["scenes"] == {"train": 3, "tune": 4, "val": 4, "test": 6}
    assert (report["sampled"], report["accepted"], report["folder"]) == (3, 3, "new")
    assert set(report["rejected"]) == {"improbable", "empty", "incoherent", "misjudged"}


def test_only_joint_models_are_looked_for(refused, trained):
    trained("segmenter")
    assert "There is no complete run of a joint model" in refused("generate", *CPU)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-n", 0), "Ask for 1 scene or more"),
        (("--drop", 1.5), "--drop is a share from 0 to below 1, not 1.5."),
        (("--judge", "gone"), "There is no run gone"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(refused, trained, words, sentence):
    trained()
    assert sentence in " ".join(refused("generate", *words, *CPU).split())


def test_a_judge_that_sees_no_masks_or_other_labels_is_refused(refused, trained):
    trained()
    judge = trained("classifier")
    assert "does not predict masks from images; use a run of segmenter." in " ".join(
        refused("generate", "--judge", judge, *CPU).split()
    )
