"""A run that is wanted: read back if it is there, gone on with if interrupted, or trained."""

from __future__ import annotations

from pathlib import Path

from ..devices import Device
from ..runs import run as runs
from ..runs.claims import begun
from ..runs.run import CONFIG, Run
from ..settings.settings import Settings, flag
from .log import Watch
from .session import USUAL, Headline, resume, train


def obtain(
    settings: Settings,
    folder: Path,
    *,
    device: Device = "auto",
    headline: Headline = USUAL,
    watch: Watch = lambda report: None,
) -> Run:
    """Give the complete run of these settings in a folder, doing what is not done yet.

    Where its data lie, and its classifier, may have changed since.

    Args:
        settings: What it is made from.
        folder: Where it is, or goes. A run that came to no checkpoint is begun anew.
        device: Where to compute.
        headline: Which score sums it up, where it was not scored.
        watch: Called after every step that is taken.

    Raises:
        ValueError: If the folder holds a run of other settings.
    """
    if (folder / CONFIG).is_file():
        run = runs.read(folder)
        _require_same(run, settings)
        if run.concluded:
            return run
        if begun(folder):
            return resume(run, device=device, headline=headline, watch=watch).run
    return train(
        settings, folder=folder, force=True, device=device, headline=headline, watch=watch
    ).run


def _require_same(run: Run, wanted: Settings) -> None:
    """Refuse a run of other settings; where its data and its classifier lie may differ."""
    there = run.settings.changed(data=wanted.data.source, classifier=wanted.cues.classifier)
    if there == wanted:
        return
    ours, theirs = wanted.values(), there.values()
    name = next((key for key in ours if ours[key] != theirs[key]), None)
    if name is None:
        raise ValueError(
            f"{run.folder} was trained by the recipe {there.recipe}, not {wanted.recipe}; choose "
            "another --out, or --force to begin anew."
        )
    raise ValueError(
        f"{run.folder} was trained with {flag(name)} {theirs[name]}, not {ours[name]}; choose "
        "another --out, or --force to begin anew."
    )
