"""What a flow takes from the run whose latents it learns: settings, model, guide."""

from __future__ import annotations

import os
from pathlib import Path

from ..build import Assembly
from ..flows import FlowGuide
from ..runs.checkpoints import restore
from ..runs.run import Run, newest, read
from ..settings.abilities import generates
from ..settings.recipes import RECIPES, recipe
from ..settings.settings import OPTIONS, Settings

_SHARED = ("data", "model", "guide", "objective")
"""Groups of settings that a flow has of the run."""

_OWN = ("augment", "workers")
"""Settings of these groups that are its own."""


def wants_flow(settings: Settings) -> bool:
    """Return whether a run of these settings is to have a flow for its prior."""
    return settings.model.prior == "flow" and recipe(settings.recipe).form != "flow"


def flow_settings(run: Run) -> Settings:
    """Return how the flow of a run is trained that asked for one."""
    chosen = run.settings
    return recipe("prior").settings(
        run=str(run.folder),
        steps=chosen.flow.steps,
        flow_width=chosen.flow.width,
        seed=chosen.training.seed,
    )


def taken_from_run(settings: Settings) -> tuple[Settings, Run | None]:
    """Complete a flow's settings with those of the run whose latents it learns.

    Returns:
        The settings, and the run; settings of another recipe as they are, and None.

    Raises:
        LookupError: If there is no such run, or it is not complete.
        ValueError: If it is no run of a joint model.
    """
    if recipe(settings.recipe).form != "flow":
        return settings, None
    named = settings.flow.run
    run = read(Path(named)) if named else newest(_can_have_flow, "a joint model", "telbo")
    if not run.complete:
        raise LookupError(
            f"{run.folder} is not complete; finish it with `scene train --resume {run.folder}`."
        )
    if not _can_have_flow(run):
        raise ValueError(
            f"{run.folder} is a run of {run.settings.recipe}; a flow learns the latents of telbo, "
            "jvae or jmvae. Name one with --run."
        )
    shared = {
        name: run.settings.value(name)
        for name, option in OPTIONS.items()
        if option.group in _SHARED and name not in _OWN
    }
    place = os.path.realpath(run.folder)
    return settings.changed(**shared, run=place, flow_of=run.settings.recipe), run


def copy_run(assembly: Assembly, run: Run) -> None:
    """Give a flow the model and the guide of the run whose latents it learns."""
    of, guide = restore(run, flow=False), assembly.guide
    assert isinstance(guide, FlowGuide)
    assembly.model.load_state_dict(of.model.state_dict())
    guide.source.load_state_dict(of.guide.state_dict())


def _can_have_flow(run: Run) -> bool:
    return run.settings.recipe in RECIPES and generates(run.settings)
