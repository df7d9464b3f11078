"""Where runs lie, and the names of their files: all that one needs to list runs."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS, CHECKPOINT, CONFIG = "weights.safetensors", "checkpoint.safetensors", "config.json"
SUMMARY = "summary.json"


def home() -> Path:
    """Return the folder of runs: ``SCENE_RUNS``, or ``runs`` in the working directory."""
    return Path(os.environ.get("SCENE_RUNS") or "runs")
