"""A shell completes commands, recipes, options, datasets and runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.completion import complete_data, complete_run, complete_words
from scene.datasets.synthetic.presets import PRESETS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def completed(monkeypatch, scene):
    """Give what bash completes of a line."""

    def complete(line):
        monkeypatch.setenv("_SCENE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return scene().out.split()

    return complete


def test_commands_and_recipes_are_completed(completed):
    assert {"segment", "train", "data", "crf"} <= set(completed("scene "))
    assert completed("scene ev") == ["evaluate"]
    assert {"telbo", "classifier", "sec"} <= set(completed("scene train "))
    assert completed("scene tune tel") == ["telbo"]
    assert completed("scene data con") == ["convert"]


def test_options_and_their_values_are_completed(completed):
    assert "--format" in completed("scene segment --f")
    assert completed("scene segment --format c") == ["coco"]
    assert completed("scene train sec --optimizer ad") == ["adam", "adamw"]
    assert completed("scene train telbo --log t") == ["tensorboard"]
    assert completed("scene --quiet train telbo --learning-r") == ["--learning-rate"]


def test_datasets_and_folders_are_completed(completed, place):
    (place / "synth").mkdir()
    (place / "sync.json").touch()
    (place / "syn.jpg").touch()
    (place / "synth" / "labels.csv").touch()
    expected = {"synthetic", "synthetic:confounded", "synth/", "sync.json"}
    assert expected <= set(completed("scene train telbo --data syn"))
    assert completed("scene data info synth/") == ["synth/labels.csv"]
    assert "syn.jpg" not in complete_data("syn")
    assert complete_data("nowhere/") == []


def test_runs_are_completed_by_their_path(completed, trained, tmp_path):
    trained("segmenter", "first"), trained("telbo", "second")
    known = dict(complete_run(""))
    assert {Path(path).name: recipe for path, recipe in known.items()} == {
        "first": "segmenter", "second": "telbo",
    }  # fmt: skip
    assert completed("scene evaluate ../runs/f") == [os.path.relpath(tmp_path / "runs" / "first")]
    assert completed("scene sample --run ../runs/s") == [
        os.path.relpath(tmp_path / "runs" / "second")
    ]
    assert complete_run("nothing") == []


def test_what_cannot_be_completed_says_nothing(completed):
    assert completed("scene train nonsense --da") == []
    assert complete_words(("a", "b"))("c") == []


def test_completion_does_not_load_torch():
    code = "import sys\nfrom cli.app import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "assert 'torch' not in sys.modules"
    for line in ("scene train tel", "scene evaluate --run r", "scene train telbo --data s"):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        env = {**os.environ, "_SCENE_COMPLETE": "complete_bash", **words}
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=env)


def test_every_preset_is_among_the_datasets():
    """The list is written down, so that completion loads no torch."""
    assert {name.partition(":")[2] for name in complete_data("synthetic:")} == set(PRESETS)
