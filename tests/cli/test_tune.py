"""`scene tune`, as typed: a table, the command to train with, and what is refused."""

import json
import shlex
from statistics import stdev

import pytest

TINY = (
    "--size 16x16 --steps 2 --width 4 --guide-width 4 --latent 4 --batch-size 4 --device cpu"
).split()


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Draw no pictures of scenes: they are slow."""
    monkeypatch.setattr("inference.training.session.draw_predictions", lambda *_, **__: None)


def test_the_table_says_what_the_file_says(scene, tmp_path, place):
    result = scene("tune", "jvae", *TINY, "--over", "lr=1e-3,1e-2", "--trials", 2)
    assert result.code == 0, result.err
    folder = tmp_path / "runs" / "tune-jvae-synthetic-default"
    best = json.loads((folder / "tune.json").read_text())["best"]
    first, *_, last = result.out.splitlines()
    assert first.startswith("jvae on synthetic-default: 2 of 2 trials by mean IoU of masks, %")
    assert f"best run: {folder / best['name']}" in result.out
    assert last == best["command"]
    assert "trial-000: learning-rate 0.0" in result.err
    again = scene(*shlex.split(last)[1:], "--device", "cpu", "--out", "again")
    assert again.code == 0, again.err
    theirs = json.loads((folder / best["name"] / "config.json").read_text())["settings"]
    ours = json.loads((place / "again" / "config.json").read_text())["settings"]
    assert ours == theirs == best["settings"]


def test_several_seeds_have_a_mean_and_a_deviation(scene, tmp_path):
    words = ("--over", "lr=1e-3,1e-2", "--trials", 1, "--seeds", 2)
    result = scene("tune", "jvae", *TINY, *words)
    assert result.code == 0, result.err
    best = json.loads(
        (tmp_path / "runs" / "tune-jvae-synthetic-default" / "tune.json").read_text()
    )["best"]
    digits = 1 if best["score"] >= 1 else 3
    cell = f"{best['score']:.{digits}f} ± {stdev(best['scores']):.{digits}f}"
    assert cell in result.out
    assert cell in result.err
    assert "2 seeds)" in result.out.replace("\n", " ")
    assert all(f"best run: {run}" in result.out for run in best["runs"])


def test_json_replaces_the_table(scene):
    result = scene("tune", "jvae", *TINY, "--over", "lr=1e-3,1e-2", "--trials", 1, "--json")
    assert [trial["state"] for trial in json.loads(result.out)["trials"]] == ["done"]


def test_what_cannot_be_done_is_refused_and_nothing_is_written(refused):
    for words, sentence in (
        ((), "No option to search"),
        (("--over", "latnt=4,8"), "Did you mean 'latent'?"),
        (("--over", "lr=1,2", "--trials", 0), "--trials must be 1 or more"),
        (("--over", "lr=1,2", "--jobs", 0), "--jobs must be 1 or more"),
        (("--over", "lr=1,2", "--split", "test"), "never on 'test'"),
        (("--over", "lr=1,2", "--data", "nowhere"), "There is no data at 'nowhere'."),
        (("--over", "lr=1,2", "--given", "image"), "does not train a model that predicts mask"),
        (("--over", "subsets=all|singles"), "does not use --subsets"),
    ):
        assert sentence in refused("tune", "jvae", *TINY, *words)
    tiny = TINY[:4] + TINY[-2:]
    words = ("sec", *tiny, "--over", "lr=0.1,1")
    assert "There is no complete classifier" in refused("tune", *words)


def test_help_lists_the_options_of_train(scene):
    result = scene("tune", "sec", "--help")
    assert result.code == 0
    for option in ("--over", "--sampler", "--jobs", "--learning-rate", "--crf-xy"):
        assert option in result.out
    assert "--resume" not in result.out
