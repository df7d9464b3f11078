"""Reports of training steps: to a callback, as lines of JSON, and to trackers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scene.storage.files import parse_json, replace_file, require_regular

from ..runs.run import Run
from .trackers import Trackers

METRICS = "metrics.jsonl"
"""The name of the file of a run's metrics."""


@dataclass(frozen=True)
class Report:
    """The report of a training step.

    Attributes:
        step: Steps taken so far.
        steps: Steps there will be.
        loss: Minus the objective on this step's batch, nats per scene.
        terms: Each term's parts, ``joint/mask`` and the like: mean nats per scene, unweighted.
        rate: The learning rate.
        val: The loss on validation scenes, where this step was followed by a validation.
    """

    step: int
    steps: int
    loss: float
    terms: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    val: float | None = None


StepCallback = Callable[[Report], None]
"""A callback with the report of a training step."""

MOST_METRICS = 2**28
"""The largest ``metrics.jsonl`` that is read, in bytes: millions of lines."""


class Log:
    """The run's metrics, as lines of JSON and in the trackers of its settings.

    Args:
        run: Where they go.
        step: Lines of later steps, left by an interrupted run, are dropped.
    """

    EVERY = 10

    def __init__(self, run: Run, step: int) -> None:
        self.path = run.path(METRICS)
        lines = [line for line in lines_of(self.path) if line["step"] <= step] if step else []
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        replace_file(self.path, lambda part: part.write_text(text))
        self.file = self.path.open("a")
        self.trackers = Trackers(run.settings.training.log, run, step, lines)

    def write(self, report: Report) -> None:
        """Keep every tenth report, and each with a validation."""
        if report.step % self.EVERY and report.val is None:
            return
        line = {"step": report.step, "loss": report.loss, "rate": report.rate, **report.terms}
        if report.val is not None:
            line["val"] = report.val
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        self.trackers.write({k: v for k, v in line.items() if k != "step"}, report.step)

    def flush(self) -> None:
        """Have everything on the disk, before a checkpoint says that these steps are done."""
        self.trackers.flush()
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Flush what is left."""
        self.file.close()
        self.trackers.close()


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read a run's metrics; the last line may have been cut short, and is then left out.

    Raises:
        ValueError: If another line is not of a step; the message says which.
    """
    if not path.exists():
        return []
    if require_regular(path) > MOST_METRICS:
        raise ValueError(f"{path} is too large for the metrics of a run; move it elsewhere.")
    *lines, rest = path.read_bytes().split(b"\n")
    if rest and not rest.startswith(b"{"):
        lines.append(rest)
    return [_line(path, n, line) for n, line in enumerate(lines, start=1)]


def _line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = parse_json(line.decode(), "a line")
    except ValueError:
        entry = None
    step = entry.get("step") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(step, int) or isinstance(step, bool):
        raise ValueError(
            f"Line {number} of {path} is damaged: it has no step; remove the line or the file, "
            "and try again."
        )
    return entry
