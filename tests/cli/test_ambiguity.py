"""`scene evaluate --ambiguity`: its table, its JSON and its refusals."""

import json

import pytest

DATA = ("--data", "synthetic:ambiguous")


@pytest.fixture
def cvae(trained, scene):
    """Train a cVAE on scenes with several masks."""
    words = "cvae --size 16x16 --steps 2 --batch-size 4 --width 4 --latent 4 --guide-width 4"
    result = scene("train", *words.split(), *DATA, "--device", "cpu", "--out", "several")
    assert result.code == 0, result.err
    return "several"


def test_drawn_masks_are_compared_with_readings(scene, cvae):
    words = ("evaluate", cvae, "--ambiguity", "--device", "cpu")
    result = scene(*words)
    assert result.code == 0, result.err
    table = [line for line in result.out.splitlines() if line.startswith(("┃", "│"))]
    assert max(map(len, table)) <= 80
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in table]
    rows = {row[0]: row[1:] for row in cells}
    report = json.loads(scene(*words, "--json").out)
    score = report["ambiguity"]
    assert (report["data"], score["scenes"], score["draws"]) == ("synthetic-ambiguous", 6, 16)
    for title, values in {
        "16 draws": (score["energy"], score["ratio"], score["nearest"], score["nearest_ratio"]),
        "16 exact": (score["exact"], 1, score["exact"], 1),
        "best single": (score["best_single"],),
    }.items():
        for cell, value in zip(rows[title], values, strict=False):
            assert float(cell) == pytest.approx(value, rel=0.05, abs=0.0051)
    few = json.loads(scene(*words, "--json", "--limit", 4).out)
    assert few["ambiguity"]["scenes"] == 4


@pytest.mark.parametrize(
    ("recipe", "words", "sentence"),
    [
        ("cvae", "", "synthetic-default has no readings"),
        ("jvae", "--data synthetic:ambiguous", "other labels than those of synthetic-ambiguous"),
        ("cvae", "--draws 4", "--draws and --at-mean do not go with --ambiguity"),
        ("cvae", "--stage mask", "--ambiguity does not go with --stage"),
        ("cvae", "--generation", "--generation does not go with --ambiguity"),
        ("cvae", "--segmenter runs", "--segmenter goes with --generation"),
        ("classifier", "", "draws masks"),
    ],
)
def test_what_has_no_readings_or_no_masks_is_refused(scene, trained, recipe, words, sentence):
    result = scene("evaluate", trained(recipe), "--ambiguity", *words.split(), "--device", "cpu")
    assert result.code in (1, 2)
    assert sentence in " ".join(result.err.split())
    assert result.out == ""
