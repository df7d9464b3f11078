"""`scene diagnose`: tables, JSON and pictures of what a run believes."""

import json

import pytest

FEW = ("--particles", 3, "--limit", 6, "--device", "cpu")


@pytest.mark.parametrize("recipe", ["telbo", "cvae"])
def test_a_run_is_examined(scene, trained, recipe):
    folder = trained(recipe)
    yardstick = ("--segmenter", trained("segmenter")) if recipe == "cvae" else ()
    said = scene("diagnose", folder, *FEW, "--gradients", 2, *yardstick)
    assert said.code == 0, said.err
    assert max(len(line) for line in said.out.splitlines() if line[0] in "┃│") <= 80
    found = json.loads((folder / "diagnose" / "diagnose.json").read_text())
    assert found["recipe"] == recipe
    assert found["particles"] == 3
    for picture in ("coverage.png", "traversals.png", "reliability.png", "gradients.png"):
        assert (folder / "diagnose" / picture).read_bytes().startswith(b"\x89PNG")
    left_out = "No run of segmenter on synthetic:default at 16x16 is there" in said.err
    assert left_out != bool(yardstick)
    assert (found["coherence"][0]["own"] is None) == left_out
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
    said = scene("diagnose", folder, *words)
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["segmenter"] == str(yardstick)
    assert [row["source"] for row in found["coherence"]][::8] == ["prior", "true scenes"]
    assert all(row["own"] is not None for row in found["coherence"])
    assert found["noise"] is None
    assert len(found["calibration"]) == 7


def test_a_yardstick_of_another_kind_is_refused(refused, trained):
    assert "is a run of telbo" in refused("diagnose", "--segmenter", trained())
