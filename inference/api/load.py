"""Loading: from a run's folder to the model that was fitted in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..devices import Device, device_of
from ..runs.plugins import located
from ..runs.restore import restore
from ..runs.run import Run
from .fitted import Fitted
from .runs import Task, find_run


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
        run: A run or its folder; None = the newest under ``runs/`` (or ``SCENE_RUNS``).
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
    found = find_run(run, task, observed=observed)
    found = replace(found, settings=located(found.settings, found.folder, trust))
    return Fitted(found, restore(found, device=where, trust=trust))
