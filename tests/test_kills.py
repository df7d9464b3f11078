"""Kills: a training that was killed is gone on with to the same bytes, and nothing is left over.

`tests/benchmarks/test_kills.py` kills every command, at random, many times.
"""

import hashlib
import signal

import pytest

TRAIN = (
    "train", "telbo", "--size", "16x16", "--steps", "10", "--batch-size", "4",
    "--width", "4", "--guide-width", "4", "--latent", "4", "--validate-every", "2", "--out", "run",
    "--prior", "standard",
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
