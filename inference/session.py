"""A whole training session: data, model, guide, fit, pictures and figures, in one call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from inference.assemble import Assembly, assemble
from inference.evaluate import DRAWS, Cell, evaluate
from inference.foreign import adopt, is_foreign
from inference.pictures import draw_predictions
from inference.predict import able
from inference.reports import Watch
from inference.restore import rebuilt
from inference.runs import CHECKPOINT, CONFIG, Run, create, write_json
from inference.settings import Settings
from inference.train import Device, fit, launch
from scene.datasets.augment import augmenter
from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import evaluation_split, open_data, splits_of

HEADLINES = (("image",), ("image", "classes"), ("mask",))
"""The direction whose score sums up a run: the first that its model can go."""


@dataclass(frozen=True)
class Outcome:
    """What came of a session.

    Attributes:
        run: The complete run.
        cell: The score that sums it up.
        split: What it was scored on.
        picture: Path of the picture.
    """

    run: Run
    cell: Cell
    split: str
    picture: Path


def train(
    settings: Settings,
    *,
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    download: bool = False,
    watch: Watch = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
) -> Outcome:
    """Train a new run and score it.

    Everything that can be refused is refused before the run's folder is made, and a training
    that fails or is interrupted before its first checkpoint leaves none.

    Args:
        settings: What to train; its data are opened.
        folder: Where to put the run; by default a new folder under `inference.runs.home`.
        force: Replace a run that is there.
        device: Where to compute.
        download: Let data be fetched.
        watch: Called after every step.
        started: Told the run before its first step.
    """
    launch(device, settings.precision)
    data = _open(settings, download)
    settings = replace(settings, data=data[0].source)
    augmenter(settings.augment or data[0].augmentation, data[0].schema.labels)
    assembly = assemble(settings, data[0].schema)
    run = create(settings, data[0].schema, data[0].name, folder, force)
    try:
        if is_foreign(settings):
            run = _adopted(run)
        started(run)
        fit(assembly, data[0], data[1], run, device=device, watch=watch)
    except BaseException:  # an interruption, too
        if not run.path(CHECKPOINT).is_file():
            shutil.rmtree(run.folder)
        raise
    return conclude(run, assembly, data[2])


def resume(
    run: Run,
    *,
    device: Device = "auto",
    trust: bool = False,
    watch: Watch = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
) -> Outcome:
    """Go on with an interrupted run, exactly as if it had not been.

    Raises:
        LookupError: If it wrote no checkpoint, or is complete already.
        PermissionError: If it carries code that is not trusted.
        ValueError: If its checkpoint is damaged, or its data have other labels by now.
    """
    if run.complete:
        raise LookupError(f"{run.folder} is complete; there is nothing to resume.")
    if not run.path(CHECKPOINT).is_file():
        raise LookupError(f"{run.folder} has no checkpoint to resume from; train it anew.")
    launch(device, run.settings.precision)
    data = _open(run.settings, False)
    run.schema.labels.require(data[0].schema.labels, data[0].name)
    assembly = rebuilt(run, trust)
    started(run)
    fit(assembly, data[0], data[1], run, device=device, watch=watch, resume=True)
    return conclude(run, assembly, data[2])


def conclude(run: Run, assembly: Assembly, scored: SceneDataset) -> Outcome:
    """Score a finished run, draw its picture, and write both into its folder."""
    given = next((g for g in HEADLINES if able(assembly, g, "mask")), HEADLINES[-1])
    (cell,) = evaluate(assembly, scored, draws=DRAWS, directions=((given, "mask"),))
    picture = run.path("samples.png")
    draw_predictions(picture, assembly, scored, seed=run.settings.seed)
    write_json(
        run.path("summary.json"),
        {"data": scored.name, "split": scored.split, "draws": DRAWS, "headline": cell.to_json()},
    )
    return Outcome(run, cell, scored.split, picture)


def _open(
    settings: Settings, download: bool
) -> tuple[SceneDataset, SceneDataset | None, SceneDataset]:
    """Open the scenes to train on, to validate on, and to score on."""
    size = settings.size
    train = open_data(settings.data, "train", size, download=download, count=settings.count)
    val = open_data(settings.data, "val", size) if "val" in splits_of(settings.data) else None
    return train, val, open_data(settings.data, evaluation_split(settings.data), size)


def _adopted(run: Run) -> Run:
    settings = adopt(run.settings, run.folder)
    config = json.loads(run.path(CONFIG).read_text())
    write_json(run.path(CONFIG), {**config, "settings": settings.to_json()})
    return Run(run.folder, settings, run.schema)
