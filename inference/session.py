"""A whole training session: data, model, guide, fit, pictures and figures, in one call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from scene.datasets.augment import augmenter
from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data, splits_of, summary_split
from scene.datasets.weak import ImageLevel, Trusted
from scene.models import ClassifiedScene

from .assemble import Assembly, assemble
from .evaluate import DRAWS, Cell, evaluate
from .foreign import adopt, is_foreign
from .pictures import draw_predictions
from .predict import able
from .recipes import recipe
from .reports import Watch
from .restore import rebuilt
from .runs import CHECKPOINT, CONFIG, Run, create, replacing, write_json
from .settings import Settings
from .train import Device, fit, launch
from .weak.cuepictures import draw_looks
from .weak.teacher import find_teacher, taught
from .weak.threshold import calibrate

HEADLINES = (
    (("image",), "mask"),
    (("image", "classes"), "mask"),
    (("mask",), "mask"),
    (("image",), "classes"),
)
"""The direction whose score sums up a run: the first that its model can go."""


@dataclass(frozen=True)
class Headline:
    """Which score sums up a run.

    Attributes:
        split: What is scored; None = `summary_split`'s choice.
        direction: Views given, and target; None = the first of `HEADLINES` that its model can go.
    """

    split: str | None = None
    direction: tuple[tuple[str, ...], str] | None = None


USUAL = Headline()
"""What sums up a run unless somebody says otherwise."""


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
    headline: Headline = USUAL,
    watch: Watch = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
) -> Outcome:
    """Train a new run and score it.

    Everything that can be refused is refused before the run's folder is made, and a training
    that fails or is interrupted before its first checkpoint leaves none, but the run it would
    have replaced.

    Args:
        settings: What to train; its data are opened.
        folder: Where to put the run; by default a new folder under `inference.runs.home`.
        force: Replace a run that is there.
        device: Where to compute.
        download: Let data be fetched.
        headline: Which score sums it up.
        watch: Called after every step.
        started: Told the run before its first step.
    """
    launch(device, settings.precision)
    data = _open(settings, download, headline.split)
    settings = replace(settings, data=data[0].source)
    augmenter(settings.augment or data[0].augmentation, data[0].schema.labels)
    teacher = find_teacher(settings, data[0], launch(device).device)
    if teacher is not None:
        settings = replace(settings, classifier=str(teacher.run.folder.absolute()))
    assembly = assemble(settings, data[0].schema)
    if teacher is not None and settings.backbone_weights == "classifier":
        teacher.begin(assembly.model)
    with replacing(folder if force else None):
        run = create(settings, data[0].schema, data[0].name, folder)
        try:
            if is_foreign(settings):
                run = _adopted(run)
            started(run)
            settle = _settled(settings, assembly)
            scenes = taught(run, data[0], assembly, teacher)
            fit(assembly, scenes, data[1], run, device=device, watch=watch, settle=settle)
        except BaseException:  # an interruption, too
            if not run.path(CHECKPOINT).is_file():
                shutil.rmtree(run.folder)
            raise
    return conclude(run, assembly, data[2], headline)


def resume(
    run: Run,
    *,
    device: Device = "auto",
    trust: bool = False,
    headline: Headline = USUAL,
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
    data = _open(run.settings, False, headline.split)
    run.schema.labels.require(data[0].schema.labels, data[0].name)
    assembly = rebuilt(run, trust)
    started(run)
    settle, scenes = _settled(run.settings, assembly), taught(run, data[0], assembly)
    fit(assembly, scenes, data[1], run, device=device, watch=watch, resume=True, settle=settle)
    return conclude(run, assembly, data[2], headline)


def conclude(
    run: Run, assembly: Assembly, scored: SceneDataset, headline: Headline = USUAL
) -> Outcome:
    """Score a finished run, draw its picture, and write both into its folder."""
    usual = next((d for d in HEADLINES if able(assembly, *d)), HEADLINES[2])
    direction = headline.direction or usual
    (cell,) = evaluate(assembly, scored, draws=DRAWS, directions=(direction,))
    picture = run.path("samples.png")
    summary = {"data": scored.name, "split": scored.split, "draws": DRAWS}
    if isinstance(assembly.model, ClassifiedScene):
        draw_looks(picture, assembly, scored)
        summary["threshold"] = assembly.model.threshold
    else:
        draw_predictions(picture, assembly, scored, seed=run.settings.seed)
    write_json(run.path("summary.json"), {**summary, "headline": cell.to_json()})
    return Outcome(run, cell, scored.split, picture)


def _open(
    settings: Settings, download: bool, split: str | None
) -> tuple[SceneDataset, SceneDataset | None, SceneDataset]:
    """Open the scenes to train on, to validate on, and to score on."""
    size = settings.size
    train: SceneDataset
    train = open_data(settings.data, "train", size, download=download, count=settings.count)
    if settings.weak_weight != 1:
        train = Trusted(train, settings.weak_weight)
    val = open_data(settings.data, "val", size) if "val" in splits_of(settings.data) else None
    target = "mask"
    if recipe(settings.recipe).explains == ("classes",):  # and then no mask may be seen
        train, target = ImageLevel(train), "classes"
    needed = recipe(settings.recipe).form != "sec"
    split = split or summary_split(settings.data, target=target, masks=needed)
    return train, val, open_data(settings.data, split, size)


def _settled(settings: Settings, assembly: Assembly) -> Callable[[], object]:
    """Say what is chosen once training is over: a classifier's threshold, if that was asked."""
    if not isinstance(assembly.model, ClassifiedScene) or settings.threshold != "auto":
        return lambda: None
    known = splits_of(settings.data)
    split = next((split for split in ("tune", "val") if split in known), "train")
    return lambda: calibrate(assembly, open_data(settings.data, split, settings.size))


def _adopted(run: Run) -> Run:
    settings = adopt(run.settings, run.folder)
    config = json.loads(run.path(CONFIG).read_text())
    write_json(run.path(CONFIG), {**config, "settings": settings.to_json()})
    return Run(run.folder, settings, run.schema)
