"""A whole training session in one call: data, model, guide, fit, pictures and scores."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scene.datasets.augment import augmenter
from scene.datasets.base import ImageLevel, SceneDataset, WeightedWeakMasks
from scene.datasets.catalogue import open_data, splits_of, summary_split
from scene.discriminative import ClassifiedScene
from scene.networks.memory import remembering
from scene.storage.locks import locked

from ..build import AFTERWARDS, Assembly, assemble
from ..devices import Device, device_of
from ..flows import FlowGuide
from ..interruption import CUT_SHORT, unmasked
from ..objectives.flow_matching import encoded_once
from ..prediction.evaluate import DRAWS, Cell, evaluate
from ..prediction.figures import draw_drawn, draw_predictions
from ..prediction.predict import able
from ..runs import run as runs
from ..runs.checkpoints import PARTS, has_part, load_weights, rebuilt, restore, with_parts
from ..runs.claims import claimed, is_started, restore_aside
from ..runs.plugins import adopt, is_foreign, located
from ..runs.run import CHECKPOINT, CONFIG, SUMMARY, Run, fresh, write_config, write_json
from ..segmentation.classifier import find_classifier, with_cues
from ..segmentation.figures import draw_class_maps
from ..settings.recipes import recipe
from ..settings.settings import Settings, flag
from .afterwards import copy_run, part_settings, taken_from_run, wanted_parts
from .fit import fit
from .initial import InitialWeights, take_weights
from .log import StepCallback
from .threshold import calibrate
from .trackers import require_trackers

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
    """The result of a session.

    Attributes:
        run: The complete run.
        cell: The score that sums it up; of a flow there is none.
        split: The split that it was scored on.
        picture: Path of the picture.
    """

    run: Run
    cell: Cell | None
    split: str
    picture: Path

    @property
    def parts(self) -> list[Run]:
        """The runs of what learned after it."""
        return [
            runs.read(self.run.path(folder))
            for name, folder in PARTS.items()
            if has_part(self.run, name)
        ]


def train(
    settings: Settings,
    *,
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    download: bool = False,
    headline: Headline = USUAL,
    start: Run | None = None,
    watch: StepCallback = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
    initialised: Callable[[InitialWeights], None] = lambda weights: None,
) -> Outcome:
    """Train a new run and score it.

    Everything that can be refused is refused before the run's folder is made, and a training
    that fails or is interrupted before its first checkpoint leaves none, but the run it would
    have replaced.

    Args:
        settings: What to train; its data are opened.
        folder: Where to put the run; by default a new folder under `inference.runs.run.home`.
        force: Replace a run that is there.
        device: The device to compute on.
        download: Let data be fetched.
        headline: The score that sums it up.
        start: A run whose weights are the first ones where names and shapes fit.
        watch: Called after every step.
        started: Called with the run before its first step.
        initialised: Called with the weights that came from ``start``.
    """
    device_of(device)
    require_trackers(settings.training.log)
    wanted_parts(settings)  # refused before anything is trained
    settings, of = taken_from_run(settings)
    data = _open(settings, download, headline.split)
    settings = settings.changed(data=data[0].source)
    augmenter(settings.data.augment or data[0].augmentation, data[0].schema.labels)
    classifier = find_classifier(settings, data[0], device_of(device))
    if classifier is not None:
        settings = settings.changed(classifier=os.path.realpath(classifier.run.folder))
    assembly = assemble(settings, data[0].schema)
    if classifier is not None and settings.model.backbone_weights == "classifier":
        classifier.begin(assembly.model)
    if of is not None:
        copy_run(assembly, of)
    first = None if start is None else take_weights(assembly, start)
    folder = folder or (
        of.path(PARTS[settings.recipe]) if of is not None else fresh(settings, data[0].name)
    )
    with claimed(folder, force), _answered(folder):
        run = Run(folder, settings, data[0].schema)
        write_config(run)
        if is_foreign(settings):
            run = _adopted(run)
        if first is not None:
            write_config(run, start=first.to_json())
            initialised(first)
        started(run)
        settle = _settled(settings, assembly)
        cued = recipe(settings.recipe).form == "sec"  # whose network reads the same images again
        with remembering() if cued else nullcontext():
            scenes = _encoded(run, with_cues(run, data[0], assembly, classifier), assembly)
            fit(assembly, scenes, data[1], run, device=device, watch=watch, settle=settle)
        assembly = _with_parts(run, assembly, device, watch, started)
        return conclude(run, assembly, data[2], headline)


def resume(
    run: Run,
    *,
    data: str | None = None,
    device: Device = "auto",
    trust: bool = False,
    headline: Headline = USUAL,
    watch: StepCallback = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
) -> Outcome:
    """Continue an interrupted run; the result equals that of an uninterrupted one.

    Whatever is missing is done: steps, or only the score and the picture.

    Args:
        run: The run.
        data: Where its data are now; None = where they were.
        device: The device to compute on.
        trust: Run code that the run carries even if it was not trained here.
        headline: The score that sums it up.
        watch: Called after every step.
        started: Called with the run before anything is done.

    Raises:
        BlockingIOError: If another process is at it.
        LookupError: If it wrote no checkpoint, or is complete already.
        PermissionError: If it carries code that is not trusted.
        ValueError: If its checkpoint is damaged, or its data have other labels by now.
    """
    if data is not None:
        run = replace(run, settings=run.settings.changed(data=data))
    device_of(device)
    require_trackers(run.settings.training.log)
    with locked(run.folder), _answered(run.folder):
        _require_unfinished(run)
        run = replace(run, settings=located(run.settings, run.folder, trust))
        scenes = _open(run.settings, False, headline.split)
        run.schema.labels.require(scenes[0].schema.labels, scenes[0].name)
        if data is not None:
            run = replace(run, settings=run.settings.changed(data=scenes[0].source))
            write_config(run)
        if run.complete:
            started(run)
            assembly = restore(run, device=device_of(device), trust=trust)
            assembly = _with_parts(run, assembly, device, watch, started)
            return conclude(run, assembly, scenes[2], headline)
        assembly = rebuilt(run, trust)
        started(run)
        settle, seen = _settled(run.settings, assembly), with_cues(run, scenes[0], assembly)
        if isinstance(assembly.guide, FlowGuide):  # whose encoders are to read the scenes first
            load_weights(run.path(CHECKPOINT), assembly, run.settings.title)
        seen = _encoded(run, seen, assembly)
        fit(assembly, seen, scenes[1], run, device=device, watch=watch, resume=True, settle=settle)
        assembly = _with_parts(run, assembly, device, watch, started)
        return conclude(run, assembly, scenes[2], headline)


def _encoded(run: Run, scenes: SceneDataset, assembly: Assembly) -> SceneDataset:
    """Encode scenes once, where a flow learns from what encoders say of them."""
    if not isinstance(assembly.guide, FlowGuide):
        return scenes
    augmentation = run.settings.data.augment or scenes.augmentation
    return encoded_once(scenes, assembly.guide, augmentation)


def _with_parts(
    run: Run,
    assembly: Assembly,
    device: Device,
    watch: StepCallback,
    started: Callable[[Run], None],
) -> Assembly:
    """Train what is to learn after a run: the flow of its prior, that of its images' details."""
    for name in wanted_parts(run.settings):
        settings, _ = taken_from_run(part_settings(run, name))
        obtain(settings, run.path(PARTS[name]), device=device, watch=watch, started=started)
    return with_parts(assembly, run, device_of(device))


def _require_unfinished(run: Run) -> None:
    """Refuse a run of which nothing is missing, or with nothing to go on from."""
    if restore_aside(run.folder):
        raise LookupError(
            f"{run.folder} was interrupted before its first checkpoint, so the previous run was "
            "restored; train again with --force."
        )
    if run.concluded:
        raise LookupError(f"{run.folder} is complete; there is nothing to resume.")
    if not is_started(run.folder):
        raise LookupError(f"{run.folder} has no checkpoint to resume from; train it again.")


@contextmanager
def _answered(folder: Path) -> Iterator[None]:
    """Add advice to an interruption or a full disk; refuse code of the user's that exits."""
    try:
        with unmasked():
            yield
    except SystemExit as error:
        raise ValueError(
            f"Code of {folder} called sys.exit; remove the call, because a guide or an objective "
            "must not end the program."
        ) from error
    except CUT_SHORT as error:
        if is_started(folder):
            place = shlex.quote(str(folder))
            error.add_note(f"What was learned is kept; go on with: scene train --resume {place}")
        else:
            error.add_note("It came to no checkpoint, so nothing is kept; run the command again.")
        raise


def conclude(
    run: Run, assembly: Assembly, scored: SceneDataset, headline: Headline = USUAL
) -> Outcome:
    """Score a finished run, draw its picture, and write both into its folder."""
    picture = run.path("samples.png")
    if recipe(run.settings.recipe).form in AFTERWARDS:
        of = Path(run.settings.flow.run or "")
        if (of / CONFIG).is_file():
            assembly = with_parts(assembly, runs.read(of), assembly.device)
        draw_drawn(picture, assembly, scored, seed=run.settings.training.seed)
        write_json(run.path(SUMMARY), {"data": scored.name, "split": scored.split})
        return Outcome(run, None, scored.split, picture)
    usual = next((d for d in HEADLINES if able(assembly, *d)), HEADLINES[2])
    direction = headline.direction or usual
    (cell,) = evaluate(assembly, scored, draws=DRAWS, directions=(direction,))
    summary = {"data": scored.name, "split": scored.split, "draws": DRAWS}
    if isinstance(assembly.model, ClassifiedScene):
        draw_class_maps(picture, assembly, scored)
        summary["threshold"] = assembly.model.threshold
    else:
        draw_predictions(picture, assembly, scored, seed=run.settings.training.seed)
    write_json(run.path(SUMMARY), {**summary, "headline": cell.to_json()})
    return Outcome(run, cell, scored.split, picture)


def _open(
    settings: Settings, download: bool, split: str | None
) -> tuple[SceneDataset, SceneDataset | None, SceneDataset]:
    """Open the scenes to train on, to validate on, and to score on."""
    size = settings.data.size
    train: SceneDataset
    train = open_data(
        settings.data.source,
        "train",
        size,
        download=download,
        count=settings.data.count,
    )
    if settings.data.weak_weight != 1:
        train = WeightedWeakMasks(train, settings.data.weak_weight)
    val = (
        open_data(settings.data.source, "val", size)
        if "val" in splits_of(settings.data.source)
        else None
    )
    target = "mask"
    if recipe(settings.recipe).explains == ("classes",):  # and then no mask may be seen
        train, target = ImageLevel(train), "classes"
    needed = recipe(settings.recipe).form != "sec"
    split = split or summary_split(settings.data.source, target=target, masks=needed)
    return train, val, open_data(settings.data.source, split, size)


def _settled(settings: Settings, assembly: Assembly) -> Callable[[], object]:
    """Return what to select after training: a classifier's threshold, if it is ``auto``."""
    if not isinstance(assembly.model, ClassifiedScene) or settings.model.threshold != "auto":
        return lambda: None
    known = splits_of(settings.data.source)
    split = next((split for split in ("tune", "val") if split in known), "train")
    return lambda: calibrate(assembly, open_data(settings.data.source, split, settings.data.size))


def _adopted(run: Run) -> Run:
    run = replace(run, settings=adopt(run.settings, run.folder))
    write_config(run)
    return run


def obtain(
    settings: Settings,
    folder: Path,
    *,
    device: Device = "auto",
    headline: Headline = USUAL,
    watch: StepCallback = lambda report: None,
    started: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Return the complete run of these settings in a folder; train it, or continue it, if needed.

    Where its data lie, and its classifier, may have changed since.

    Args:
        settings: The settings of the run.
        folder: Where it is, or goes. A run that came to no checkpoint is started again.
        device: The device to compute on.
        headline: The score that sums it up, where it was not scored.
        watch: Called after every step that is taken.
        started: Called with the run before anything is done.

    Raises:
        ValueError: If the folder holds a run of other settings.
    """
    how: Any = {"device": device, "headline": headline, "watch": watch, "started": started}
    if (folder / CONFIG).is_file():
        run = runs.read(folder)
        _require_same(run, settings)
        if run.concluded:
            return run
        if is_started(folder):
            return resume(run, **how).run
    return train(settings, folder=folder, force=True, **how).run


def _require_same(run: Run, settings: Settings) -> None:
    """Refuse a run of other settings; where its data and its classifier lie may differ."""
    there = run.settings.changed(
        data=settings.data.source, classifier=settings.cues.classifier, run=settings.flow.run
    )
    if there == settings:
        return
    ours, theirs = settings.values(), there.values()
    name = next((key for key in ours if ours[key] != theirs[key]), None)
    if name is None:
        raise ValueError(
            f"{run.folder} was trained by the recipe {there.recipe}, not {settings.recipe}; "
            "choose another --out, or --force to start again."
        )
    raise ValueError(
        f"{run.folder} was trained with {flag(name)} {theirs[name]}, not {ours[name]}; choose "
        "another --out, or --force to start again."
    )
