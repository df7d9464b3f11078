"""Kills: a training that was killed is gone on with to the same bytes, and nothing is left over.

`tests/benchmarks/test_kills.py` kills every command, at random, many times.
"""

import hashlib

TRAIN = (
    "train", "telbo", "--size", "16x16", "--steps", "60", "--batch-size", "4",
    "--width", "4", "--guide-width", "4", "--latent", "4", "--validate-every", "5", "--out", "run",
)  # fmt: skip


def _digests(folder):
    """Say what is in a folder, but for what tells of times."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name and path.name != ".lock"
    }


def test_a_training_that_is_killed_comes_to_the_same_end(command, tmp_path):
    whole = command(TRAIN, tmp_path / "whole")
    assert whole["status"] == 0, whole["said"]
    killed = 0
    for n in range(3):
        place = tmp_path / f"killed-{n}"
        seconds = whole["seconds"] * (0.3 + 0.25 * n)
        found = command(TRAIN, place, seconds)
        killed += found["status"] == -9
        while found["status"]:
            begun = (place / "run" / "checkpoint.safetensors").exists()
            words = ("train", "--resume", "run") if begun else (*TRAIN, "--force")
            found = command(words, place)
            assert found["status"] in (0, -9), found["said"]
        assert not found["survivors"]
        assert _digests(place / "run") == _digests(tmp_path / "whole" / "run")
    assert killed
