"""What learns after a run takes from it: settings, model, guide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scene.detailed import DetailedScene

from ..build import AFTERWARDS, Assembly
from ..flows import FlowGuide
from ..runs.checkpoints import DETAILS, FLOW, restore
from ..runs.run import Run, newest, read
from ..settings.abilities import generates
from ..settings.recipes import RECIPES, recipe
from ..settings.settings import OPTIONS, Settings

_SHARED = ("data", "model", "guide", "objective")
"""Groups of settings that a flow has of the run."""

_OWN = ("augment", "workers")
"""Settings of these groups that are its own."""


def wanted_parts(settings: Settings) -> list[str]:
    """Return the recipes of what is to learn after a run of these settings.

    Raises:
        ValueError: If something is that can learn after our own recipes only.
    """
    if recipe(settings.recipe).form in AFTERWARDS:
        return []
    wanted = {FLOW: settings.model.prior == "flow", DETAILS: settings.flow.details > 0}
    names = [name for name, is_wanted in wanted.items() if is_wanted]
    if names and settings.recipe not in RECIPES:
        raise ValueError(
            f"A flow learns after jvae, jmvae and telbo only, not after {settings.recipe}; train "
            "it with --prior standard and --details 0, or give it these defaults."
        )
    return names


def part_settings(run: Run, name: str) -> Settings:
    """Return how the recipe ``prior`` or ``details`` is trained after a run that asked for it."""
    chosen, steps = run.settings.flow, run.settings.training.steps
    own: dict[str, dict[str, Any]] = {
        FLOW: {
            "steps": chosen.steps or -(-4 * steps // 3),
            "flow_width": chosen.width,
            "guidance": chosen.guidance,
        },
        DETAILS: {"steps": chosen.detail_steps or steps, "details": chosen.details},
    }
    seed = run.settings.training.seed
    return recipe(name).settings(run=str(run.folder), seed=seed, **own[name])


def taken_from_run(settings: Settings) -> tuple[Settings, Run | None]:
    """Complete the settings of what learns after a run with the run's own.

    Returns:
        The settings, and the run; settings of another recipe as they are, and None.

    Raises:
        LookupError: If there is no such run, or it is not complete.
        ValueError: If it is no run of a joint model.
    """
    if recipe(settings.recipe).form not in AFTERWARDS:
        return settings, None
    named = settings.flow.run
    run = read(Path(named)) if named else newest(_can_have_flow, "a joint model", "telbo")
    if not run.complete:
        raise LookupError(
            f"{run.folder} is not complete; finish it with `scene train --resume {run.folder}`."
        )
    if not _can_have_flow(run):
        raise ValueError(
            f"{run.folder} is a run of {run.settings.recipe}; a flow learns after telbo, jvae or "
            "jmvae. Name a run of these with --run."
        )
    shared = {
        name: run.settings.value(name)
        for name, option in OPTIONS.items()
        if option.group in _SHARED and name not in _OWN
    }
    place = os.path.realpath(run.folder)
    return settings.changed(**shared, run=place, flow_of=run.settings.recipe), run


def copy_run(assembly: Assembly, run: Run) -> None:
    """Give what learns after a run the model and the guide of the run."""
    of, model, guide = restore(run, parts=False), assembly.model, assembly.guide
    scene = model.scene if isinstance(model, DetailedScene) else model
    scene.load_state_dict(of.model.state_dict())
    source = guide.source if isinstance(guide, FlowGuide) else guide
    source.load_state_dict(of.guide.state_dict())


def _can_have_flow(run: Run) -> bool:
    return run.settings.recipe in RECIPES and generates(run.settings)
