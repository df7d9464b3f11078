"""Kills: a training that was killed is gone on with to the same bytes, and nothing is left over.

`tests/benchmarks/test_kills.py` kills every command, at random, many times.
"""

import hashlib
import signal

import pytest

TRAIN = (
    "train", "telbo", "--size", "16x16", "--steps", "25", "--batch-size", "4",
    "--width", "4", "--guide-width", "4", "--latent", "4", "--validate-every", "5", "--out", "run",
)  # fmt: skip


def _digests(folder):
    """Say what is in a folder, but for what tells of times."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """Train undisturbed, and say what came of it."""
    place = tmp_path_factory.mktemp("whole")
    result = command(TRAIN, place)
    assert result["status"] == 0, result["said"]
    return _digests(place / "run")


@pytest.mark.parametrize(("file", "times"), [("checkpoint", 1), ("checkpoint", 3), ("weights", 1)])
def test_a_training_that_is_killed_and_repeated_writes_the_same_files(
    command, whole, tmp_path, file, times
):
    name = f"run/{file}.safetensors"
    result = command(TRAIN, tmp_path, times, file=name)
    assert result["status"] == -9, result["said"]
    assert not result["survivors"]
    rest = command(("train", "--resume", "run"), tmp_path)
    assert rest["status"] == 0, rest["said"]
    assert _digests(tmp_path / "run") == whole


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_answered_with_how_to_go_on(command, tmp_path, number, status):
    result = command(TRAIN, tmp_path, 1, number, "run/checkpoint.safetensors")
    last = result["said"].splitlines()[-1]
    assert result["status"] == status, result["said"]
    assert last == (
        "scene: interrupted. What was learned is kept; go on with: scene train --resume run"
    )


MASKS = (
    "masks", "photos", "--out", "weak", "--count", "8", "--size", "32x32", "--engine", "exact",
    "--classifier", "width=4,batch-size=4,steps=4", "--no-overlays", "--confidence", "0.1",
    "--device", "cpu",
    "--sec", "width=4,batch-size=4,steps=25,validate-every=5",
)  # fmt: skip


def test_masks_that_are_killed_in_a_training_go_on_to_the_same_bytes(
    command, class_folder, tmp_path
):
    result = command(MASKS, tmp_path, 2, file="runs/masks-weak/sec/checkpoint.safetensors")
    assert result["status"] == -9, result["said"]
    assert not (tmp_path / "weak").exists()
    rest = command(MASKS, tmp_path)
    assert rest["status"] == 0, rest["said"]
    assert "classifier is complete already, and is kept" in rest["said"]
    assert "SEC goes on where an interrupted call stopped" in rest["said"]
    went_on = _digests(tmp_path / "weak")
    whole = command((*MASKS, "--force"), tmp_path)
    assert whole["status"] == 0, whole["said"]
    theirs = _digests(tmp_path / "weak")
    assert went_on.pop("about.json") != theirs.pop("about.json")  # says what was continued
    assert went_on == theirs
