"""Which run: one that is named, or the newest complete one that can do a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from scene.views import VIEWS

from ..runs.run import Run as Run
from ..runs.run import newest as newest
from ..runs.run import read
from ..settings.recipes import able, generates, recipe, refinable

Task = Literal["any", "sample", "refine", "predict", "segment", "generate", "cues", "diagnose"]
"""What a run may be wanted for."""


def find_run(
    run: Run | Path | str | None = None,
    task: Task = "any",
    *,
    observed: Sequence[str] = (),
    stage: str | None = None,
) -> Run:
    """Read the run that is named, or find the newest complete one that can do a task.

    Args:
        run: A run or its folder; None = the newest.
        task: ``any``; ``sample``, or ``refine`` and sample, given ``observed``; ``predict`` masks
            from images; ``segment`` photographs by ``stage``; ``generate`` whole scenes; find
            ``cues``; ``diagnose`` a latent.
        observed: Names of the views that will be conditioned on.
        stage: A stage that the run must have, see `inference.segmentation.stages`.

    Raises:
        LookupError: If the folder is no run, or no run can do it; the message says how to make
            one.
        ValueError: If the run's config is damaged.
    """
    if isinstance(run, Run):
        return run
    if run is not None:
        return read(Path(run))
    if task == "segment":
        from ..segmentation.segmenter import newest_run

        return newest_run(stage)
    return newest(*_wanted(task, tuple(name for name in VIEWS if name in observed)))


def has_latent(run: Run) -> bool:
    """Say whether a run's model has a latent z, by its settings alone."""
    return recipe(run.settings.recipe).takes("latent")


def _wanted(task: Task, observed: tuple[str, ...]) -> tuple[Callable[[Run], bool], str, str]:
    """Say which runs will do, what to call them, and the recipe that makes one."""
    source = " + ".join(observed) or "its prior"
    samples = f"a model that samples from {source}"
    wanted: dict[Task, tuple[Callable[[Run], bool], str, str]] = {
        "any": (lambda run: True, "any recipe", "telbo"),
        "sample": (lambda run: able(run.settings, observed), samples, "telbo"),
        "refine": (lambda run: refinable(run.settings, observed), samples, "telbo"),
        "predict": (
            lambda run: able(run.settings, ("image",)),
            "a recipe that predicts masks",
            "telbo",
        ),
        "generate": (lambda run: generates(run.settings), "a joint model", "telbo"),
        "cues": (
            lambda run: run.settings.recipe == "classifier",
            "a classifier",
            "classifier",
        ),
        "diagnose": (has_latent, "a model with a latent z", "telbo"),
    }
    return wanted[task]
