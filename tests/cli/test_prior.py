"""`scene train prior`, and `--prior flow`: a flow in one command or two, and what draws then."""

import json

import pytest

FEW = ("--particles", 3, "--limit", 6, "--device", "cpu", "--gradients", 0)
SMALL = ("--steps", 4, "--flow-width", 8, "--device", "cpu")
RUN = ("--size", "16x16", "--latent", 4, "--width", 4, "--guide-width", 4, "--steps", 4)


def views(scene, place, *words):
    result = scene("sample", *words, "-n", 2, "--out", "views", "--force", "--device", "cpu")
    assert result.code == 0, result.err
    return b"".join(sorted(path.read_bytes() for path in (place / "views").iterdir()))


def test_a_flow_is_trained_for_the_newest_run_and_draws_its_scenes(scene, trained, place):
    folder = trained("telbo")
    before = views(scene, place)
    result = scene("train", "prior", *SMALL)
    assert result.code == 0, result.err
    assert result.out == f"scenes drawn with the flow  {folder}/prior/samples.png\n"
    assert (folder / "prior" / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert views(scene, place) != before
    assert views(scene, place, "--from-mask")
    again = scene("train", "prior", *SMALL)
    assert again.code != 0
    assert "--force" in again.err
    assert scene("train", "prior", *SMALL, "--run", folder, "--force").code == 0


def test_both_are_trained_by_one_command(scene, place):
    words = ("--prior", "flow", "--flow-steps", 4, "--flow-width", 8, "--out", "both")
    result = scene("train", "telbo", *RUN, *words, "--device", "cpu")
    assert result.code == 0, result.err
    assert "image → mask mIoU" in result.out
    assert [line for line in result.err.splitlines() if line.startswith("run ")] == [
        "run both", "run both/prior", "run both",
    ]  # fmt: skip
    summary = json.loads((place / "both" / "prior" / "summary.json").read_text())
    assert summary["split"] == "test"


def test_details_are_trained_for_the_newest_run_and_drawn(scene, trained, place):
    folder = trained("telbo")
    before = views(scene, place)
    result = scene("train", "details", "--steps", 4, "--details", 8, "--device", "cpu")
    assert result.code == 0, result.err
    assert result.out == f"scenes drawn with details  {folder}/details/samples.png\n"
    assert views(scene, place) != before
    assert views(scene, place, "--from-mask") == views(scene, place, "--from-mask")
    scenes = ("-n", 2, "--drop", 0, "--min-area", 0.0, "--out", "made", "--device", "cpu")
    dataset = scene("generate", *scenes)
    assert dataset.code == 0, dataset.err


def test_a_flow_is_examined_beside_the_guide(scene, trained):
    folder = trained("telbo")
    assert scene("train", "prior", *SMALL).code == 0
    result = scene("diagnose", folder, *FEW)
    assert result.code == 0, result.err
    assert "flow given" in result.out
    rows = json.loads((folder / "diagnose" / "diagnose.json").read_text())["flow"]
    assert [len(row["given"]) for row in rows] == [0, 1, 1, 1, 2, 2, 2, 3]


def test_what_learned_after_a_run_is_examined_with_it(refused, scene, trained):
    folder = trained("telbo")
    assert scene("train", "prior", *SMALL).code == 0
    sentence = refused("diagnose", str(folder / "prior"))
    assert f"learned after another run, with which it is examined: scene diagnose {folder}." in (
        sentence
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--run", "gone"], "There is no run gone"),
        ([], "There is no complete run of a joint model in"),
        (["--flow-width", "12"], "--flow-width is a multiple of 8, not 12."),
        (["--latent", "8"], "--latent"),
        (["--details", "8"], "--details"),
    ],
)
def test_what_a_flow_cannot_be_trained_with(refused, words, sentence):
    assert sentence in refused("train", "prior", *words)


def test_a_run_of_another_kind_is_refused(refused, trained):
    folder = trained("segmenter")
    sentence = refused("train", "prior", "--run", str(folder))
    assert "is a run of segmenter; a flow learns after telbo, jvae or jmvae" in sentence
    assert not (folder / "prior").exists()


def test_details_of_no_width_are_refused(refused, trained):
    trained("telbo")
    assert "--details is 8 or more" in refused("train", "details", "--details", "0")
