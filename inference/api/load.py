"""Loading: find a run, by name or the newest that can do a task, and rebuild its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from scene.notices import notice
from scene.views import VIEWS

from ..devices import Device, device_of
from ..runs.checkpoints import FLOW, PARTS, has_part, restore
from ..runs.places import DEMO, DEMO_NAME
from ..runs.plugins import located
from ..runs.run import Run as Run
from ..runs.run import newest as newest
from ..runs.run import read
from ..settings.abilities import able, generates, refinable
from ..settings.recipes import recipe
from .fitted import Fitted
from .run_folders import run_folders

Task = Literal["any", "sample", "refine", "predict", "segment", "generate", "cues", "diagnose"]
"""What a run may be wanted for."""


def find_run(
    run: Run | Path | str | None = None,
    task: Task = "any",
    *,
    observed: Sequence[str] = (),
    stage: str | None = None,
    demo: bool = False,
) -> Run:
    """Read the run that is named, or find the newest complete one that can do a task.

    Args:
        run: A run or its folder; ``demo``: the one that ships with scene; None = the newest.
        task: ``any``; ``sample``, or ``refine`` and sample, given ``observed``; ``predict`` masks
            from images; ``segment`` photographs by ``stage``; ``generate`` whole scenes; find
            ``cues``; ``diagnose`` a latent.
        observed: Names of the views that will be conditioned on.
        stage: A stage that the run must have, see `inference.segmentation.stages`.
        demo: Where there is no complete run at all, take the one that ships with scene, and give
            notice of it, if the task is ``any``, ``sample`` or ``refine``.

    Raises:
        LookupError: If the folder is no run, or no run can do it; the message says how to make
            one.
        ValueError: If the run's config is damaged.
    """
    if isinstance(run, Run):
        return run
    if run is not None:
        ships = str(run) == DEMO_NAME and not Path(run).exists()
        return read(DEMO if ships else Path(run))
    if demo and task in _BY_DEMO and not any(one.complete for one in run_folders()):
        return _shipped()
    if task == "segment":
        from ..segmentation.segmenter import newest_run

        return newest_run(stage)
    return newest(*_requirements(task, tuple(name for name in VIEWS if name in observed)))


_BY_DEMO = ("any", "sample", "refine")
"""Tasks for which the run that ships with scene stands in for one of one's own."""


def _shipped() -> Run:
    run = read(DEMO)
    height, width = run.schema.size
    notice(
        f"No run here: using the demo model that ships with scene ({run.settings.title} of "
        f"{run.settings.data.source}, {height}x{width}); `scene train telbo` trains your own."
    )
    return run


def learned_after(run: Run) -> bool:
    """Return whether a run is of a flow that learned after another run."""
    return run.settings.recipe in PARTS


def has_latent(run: Run) -> bool:
    """Return whether a run's model has a latent z, by its settings alone."""
    return recipe(run.settings.recipe).takes("latent")


def _requirements(task: Task, observed: tuple[str, ...]) -> tuple[Callable[[Run], bool], str, str]:
    """Return which runs are suitable, their description, and the recipe that trains one."""
    source = " + ".join(observed) or "its prior"
    samples = f"a model that samples from {source}"
    tasks: dict[Task, tuple[Callable[[Run], bool], str, str]] = {
        "any": (lambda run: True, "any recipe", "telbo"),
        "sample": (
            lambda run: able(run.settings, observed) or has_part(run, FLOW),
            samples,
            "telbo",
        ),
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
    return tasks[task]


def load(
    run: Run | Path | str | None = None,
    *,
    task: Task = "any",
    observed: Sequence[str] = (),
    device: Device = "auto",
    trust: bool = False,
) -> Fitted:
    """Load a run that is complete.

    Args:
        run: A run or its folder; ``demo``: the one that ships with scene; None = the newest under
            ``runs/`` (or ``SCENE_RUNS``), else, with a notice, the demo.
        task: What it is wanted for, where the newest is taken: ``sample`` or ``refine`` given
            ``observed`` views, ``segment``, ``generate``, ``cues``, ``diagnose``, or ``any``.
        observed: Names of the views that will be conditioned on.
        device: Where to compute: ``auto`` takes a GPU if there is one.
        trust: Run the code that the run carries even if it was not trained on this machine.

    Returns:
        Its model, guide and objective, in evaluation mode, with everything that one does to them.

    Raises:
        LookupError: If there is no such run, or it is not complete.
        PermissionError: If it carries code that is not trusted.
        ValueError: If it is damaged, or the device is not there.
    """
    where = device_of(device)
    trained_run = find_run(run, task, observed=observed, demo=True)
    trained_run = replace(
        trained_run, settings=located(trained_run.settings, trained_run.folder, trust)
    )
    return Fitted(trained_run, restore(trained_run, device=where, trust=trust))
