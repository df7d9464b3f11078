"""Training in one call: a recipe by name, its settings as keywords."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..devices import Device
from ..runs.run import Run
from ..settings.recipes import recipe as find_recipe
from .fitted import Fitted
from .load import find_run, load

if TYPE_CHECKING:
    from ..training.log import Report


def train(
    recipe: str,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
    device: Device = "auto",
    download: bool = False,
    start: Fitted | Run | Path | str | None = None,
    watch: Callable[[Report], None] | None = None,
    started: Callable[[Run], None] | None = None,
    **settings: Any,
) -> Fitted:
    """Train a recipe, as ``scene train`` does, and return what was fitted.

    Same seed, same device, same numbers as the command line; see ``seed=`` among the settings.

    Args:
        recipe: ``telbo``, ``jvae``, ``jmvae``, ``cvae``, ``prior``, ``segmenter``,
            ``classifier``, ``sec`` or ``supervised``.
        data: ``synthetic``, ``synthetic:confounded``, ``voc2012``, a folder in VOC layout or
            with a folder per class, a file of image-level labels, or a dataset of your own as
            ``path/file.py:Name``; the recipe's own if left out.
        out: The folder of the run; a new one under ``runs/`` (or ``SCENE_RUNS``) if left out.
        force: Replace a run that is there.
        device: Where to compute: ``auto`` takes a GPU if there is one.
        download: Let ``voc2012`` be fetched.
        start: A fitted model, a run or its folder, whose weights are the first ones where names
            and shapes fit.
        watch: Called with a report after every step.
        started: Called with the run before its first step.
        settings: By the names of `inference.settings`: ``steps=500``, ``particles=5``, ….

    Raises:
        FileExistsError: If ``out`` already holds a run, and ``force`` does not replace it.
        LookupError: If the recipe, a setting, or the name of a choice is unknown.
        ValueError: If a setting is out of range, or is not used by the recipe.
    """
    from ..training.session import train as learn

    named = None if data is None else str(data)
    chosen = find_recipe(recipe).settings(data=named, **settings)
    first = start.run if isinstance(start, Fitted) else start
    outcome = learn(
        chosen,
        folder=None if out is None else Path(out),
        force=force,
        device=device,
        download=download,
        start=None if first is None else find_run(first),
        watch=watch or (lambda report: None),
        started=started or (lambda run: None),
    )
    return load(outcome.run, device=device)
