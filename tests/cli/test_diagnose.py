"""`scene diagnose`: tables, JSON and pictures of what a run believes."""

import json

import pytest

FEW = ("--particles", 3, "--limit", 6, "--device", "cpu")


@pytest.mark.parametrize("recipe", ["telbo", "cvae"])
def test_a_run_is_examined(scene, trained, recipe):
    folder = trained(recipe)
    yardstick = ("--segmenter", trained("segmenter")) if recipe == "cvae" else ()
    result = scene("diagnose", folder, *FEW, "--gradients", 2, *yardstick)
    assert result.code == 0, result.err
    assert max(len(line) for line in result.out.splitlines() if line[0] in "┃│") <= 80
    actual = json.loads((folder / "diagnose" / "diagnose.json").read_text())
    assert actual["recipe"] == recipe
    assert actual["particles"] == 3
    for picture in ("coverage.png", "traversals.png", "reliability.png", "gradients.png"):
        assert (folder / "diagnose" / picture).read_bytes().startswith(b"\x89PNG")
    left_out = "There is no run of segmenter on synthetic:default at 16x16" in result.err
    assert left_out != bool(yardstick)
    assert (actual["coherence"][0]["own"] is None) == left_out
    again = scene("diagnose", folder, *FEW)
    assert again.code != 0
    assert "--force" in again.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--particles", "0"], "--particles must be 1 or more, not 0."),
        (["--gradients", "1"], "--gradients must be 0, or 2 or more, not 1."),
        (["gone"], "There is no run gone"),
        (["--split", "tuen"], "tuen"),
    ],
)
def test_what_cannot_be_examined(refused, trained, words, sentence):
    trained()
    assert sentence in refused("diagnose", *words)


def test_a_run_without_a_latent_is_refused(refused, trained):
    folder = trained("segmenter")
    assert "has no z to examine" in refused("diagnose", str(folder))


def test_a_segmenter_is_the_yardstick_of_drawn_images(scene, trained):
    folder, yardstick = trained("telbo"), trained("segmenter")
    words = (*FEW, "--gradients", 0, "--json")
    result = scene("diagnose", folder, *words)
    assert result.code == 0, result.err
    actual = json.loads(result.out)
    assert actual["segmenter"] == str(yardstick)
    assert [row["source"] for row in actual["coherence"]][::8] == ["prior", "true scenes"]
    assert all(row["own"] is not None for row in actual["coherence"])
    assert actual["noise"] is None
    assert len(actual["calibration"]) == 7


def test_a_yardstick_of_another_kind_is_refused(refused, trained):
    assert "is a run of telbo" in refused("diagnose", "--segmenter", trained())
