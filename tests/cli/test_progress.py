"""Progress is drawn on a terminal only, --quiet silences it, and results stay what they are."""

import io
import json

import pytest
import torch

from cli import console, progress
from scene.images.io import write_image


@pytest.fixture
def terminal(monkeypatch):
    """Let notes go to a terminal, and give what was drawn on it."""
    stream = io.StringIO()
    for name, value in {"_file": stream, "_force_terminal": True, "is_interactive": True}.items():
        monkeypatch.setattr(console.notes, name, value)
    monkeypatch.setenv("TERM", "xterm")
    return stream


@pytest.fixture(autouse=True)
def _loud(monkeypatch):
    monkeypatch.setattr(console.notes, "quiet", False)


def test_a_bar_says_what_is_done_how_far_and_how_long_is_left(terminal):
    with progress.bar() as watch:
        watch("reading", 0, 4)
        watch("reading", 3, 4)
    drawn = terminal.getvalue()
    assert "reading" in drawn
    assert "3/4" in drawn
    assert "-:--:--" in drawn or "0:00:00" in drawn


def test_steps_without_a_number_show_the_time_that_has_passed(terminal):
    with progress.working("diagnosing") as step:
        step("posteriors")
    assert "diagnosing: posteriors" in terminal.getvalue()
    assert "0:00:00" in terminal.getvalue()
    with progress.working("scoring", 2) as step:
        step("image → mask")
        step("mask → mask")
    assert "1/2" in terminal.getvalue()


def test_items_come_through_whether_watched_or_not(terminal, monkeypatch):
    assert list(progress.tracked(iter("abc"), 3, "segmenting")) == list("abc")
    assert "segmenting" in terminal.getvalue()
    monkeypatch.setattr(console.notes, "quiet", True)
    before = terminal.getvalue()
    assert list(progress.tracked(iter("abc"), 3, "segmenting")) == list("abc")
    assert terminal.getvalue() == before


WORDS = [
    ("data", "info", "--size", "16x16"),
    ("data", "preview", "--size", "16x16", "--force"),
    ("evaluate", "--device", "cpu"),
    ("sample", "-n", 2, "--device", "cpu"),
    ("segment", "photos", "--device", "cpu", "--force"),
    ("cues", "--device", "cpu", "--force"),
]


@pytest.mark.parametrize("words", WORDS)
def test_nothing_is_drawn_where_nobody_watches(scene, trained, place, words):
    """Piped, there are lines about the run at most; with --quiet, nothing on standard error."""
    for name in ("telbo", "segmenter", "classifier"):
        trained(name)
    for i in range(2):
        write_image(place / "photos" / f"{i}.jpg", torch.rand(3, 20, 30))
    plain = scene(*words)
    assert plain.code == 0, plain.err
    assert all(line.startswith("run ") for line in plain.err.splitlines())
    for quiet in (scene(*words, "--quiet"), scene("--quiet", *words)):
        assert (quiet.code, quiet.err) == (0, "")
        assert quiet.out.splitlines()[0] == plain.out.splitlines()[0] or words[0] == "sample"


@pytest.mark.parametrize("words", [WORDS[0], WORDS[1], WORDS[3], WORDS[4], WORDS[5]])
def test_commands_draw_progress_on_a_terminal(scene, trained, place, terminal, words):
    for name in ("telbo", "segmenter", "classifier"):
        trained(name)
    for i in range(2):
        write_image(place / "photos" / f"{i}.jpg", torch.rand(3, 20, 30))
    titles = {"info": "reading scenes", "preview": "drawing", "sample": "drawing",
              "segment": "segmenting", "cues": "computing cues"}  # fmt: skip
    assert scene(*words).code == 0
    assert titles[words[1] if words[0] == "data" else words[0]] in terminal.getvalue()


def test_refusals_are_said_with_quiet(scene, place):
    result = scene("segment", "gone.jpg", "--run", "nowhere", "--quiet")
    assert result.code == 1
    assert result.err.startswith("scene: ")
    (place / "bad.jpg").write_bytes(b"no picture")


def test_a_photograph_that_fails_is_said_with_quiet(scene, trained, place):
    (place / "bad.jpg").write_bytes(b"no picture")
    result = scene("--quiet", "segment", "bad.jpg", "--run", trained("segmenter"))
    assert result.code == 1
    assert "bad.jpg cannot be read as a picture" in result.err


def test_quiet_alone_says_what_to_do_next(scene):
    assert scene("--quiet").out.startswith("What to do next:")


def test_training_with_json_prints_one_document(scene, few):
    words = (
        "train",
        "segmenter",
        "--size",
        "16x16",
        "--steps",
        2,
        "--width",
        4,
        "--device",
        "cpu",
    )
    result = scene(*words, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert (report["recipe"], report["split"]) == ("segmenter", "test")
    assert 0 <= report["score"]["score"]["miou"] <= 100
    assert "Write --json after the recipe" in scene("train", "--json", "segmenter").err


def test_results_stand_above_a_bar_on_a_terminal_and_else_on_standard_output(
    terminal, monkeypatch, capsys
):
    progress.print_result(console.entitled("a", "cat"))
    assert capsys.readouterr().out == "a: cat\n"
    monkeypatch.setattr(console.console, "_force_terminal", True)
    progress.print_result(console.entitled("b", "dog"))
    assert capsys.readouterr().out == ""
    assert "dog" in terminal.getvalue()


def test_samples_with_json_are_one_document(scene, trained, place):
    words = ("sample", "--run", trained("telbo"), "--from-mask", "-n", 2, "--device", "cpu")
    words += ("--refine", "svi", "--refine-steps", 2, "--out", "views")
    report = json.loads(scene(*words, "--json").out)
    assert all((place / file).is_file() for file in (report["picture"], *report["files"]))
    assert report["title"].startswith("drawn given the mask")
    assert set(report["refined"]) >= {"method", "steps", "elbo_before", "elbo_after"}
    assert report["refined"]["method"] == "svi"
