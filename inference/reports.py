"""What training says of its steps: to whoever watches, as lines of JSON, and for TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from scene.files import parse_json, read_text, replace_file

from .runs import Run


@dataclass(frozen=True)
class Report:
    """What training says of a step.

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


Watch = Callable[[Report], None]

MOST_METRICS = 2**28
"""The largest ``metrics.jsonl`` that is read, in bytes: millions of lines."""


class Log:
    """The run's metrics, as lines of JSON and for TensorBoard.

    Args:
        run: Where they go.
        step: Lines of later steps, left by an interrupted run, are dropped.
    """

    EVERY = 10

    def __init__(self, run: Run, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = run.path("metrics.jsonl")
        kept = []
        if self.path.exists():
            try:
                kept = read_text(self.path, MOST_METRICS).splitlines()
            except ValueError as error:
                raise ValueError(
                    f"{error} Or move it away: its run goes on without those lines."
                ) from error
        lines = [line for line in kept if _step(line) <= step]
        replace_file(self.path, lambda part: part.write_text("".join(f"{x}\n" for x in lines)))
        self.board = SummaryWriter(str(run.folder), purge_step=step or None)

    def write(self, report: Report) -> None:
        """Keep every tenth report, and each with a validation."""
        if report.step % self.EVERY and report.val is None:
            return
        line = {"step": report.step, "loss": report.loss, "rate": report.rate, **report.terms}
        if report.val is not None:
            line["val"] = report.val
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in line.items():
            if name != "step":
                self.board.add_scalar(name, value, report.step)

    def close(self) -> None:
        """Flush what is left."""
        self.board.close()


def _step(line: str) -> float:
    """Read the step of a line; one cut short by an interruption belongs to no step."""
    try:
        return float(parse_json(line, "a line")["step"])
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return math.inf
