"""Where runs lie, and the names of their files: all that one needs to list runs."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS, CHECKPOINT, CONFIG = "weights.safetensors", "checkpoint.safetensors", "config.json"
SUMMARY = "summary.json"

DEMO = Path(__file__).resolve().parents[1] / "demo"
"""The run that ships with the package, so that scenes can be drawn before any training."""

DEMO_NAME = "demo"
"""What it is called where a run is named."""


def home() -> Path:
    """Return the folder of runs: ``SCENE_RUNS``, or ``runs`` in the working directory."""
    return Path(os.environ.get("SCENE_RUNS") or "runs")
