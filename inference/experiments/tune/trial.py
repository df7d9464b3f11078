"""Trials: checked before any of them begins; each a run trained in its folder and scored."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from scene.datasets.augment import augmenter
from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data, splits_of
from scene.notices import against_weak
from scene.seeds import seeded
from scene.storage.files import read_json

from ...build import Assembly, assemble
from ...devices import Device, device_of
from ...objectives.bounds import ELBO
from ...prediction.evaluate import DRAWS
from ...prediction.predict import able
from ...runs.checkpoints import restore
from ...runs.plugins import is_foreign
from ...runs.run import SUMMARY, Run
from ...segmentation.classifier import find_classifier
from ...training.log import METRICS, Report, lines_of
from ...training.session import HEADLINES, Headline, obtain, train
from ..crf.unaries import rows
from .journal import Journal, Trial
from .plan import Plan
from .space import Point

Direction = tuple[tuple[str, ...], str]


def checked(plan: Plan, device: Device, download: bool) -> tuple[Direction, str]:
    """Refuse what could not be trained or scored.

    Args:
        plan: The plan of the search. Each value that an option may take is tried with the first of
            all others.
        device: The device to compute on.
        download: Let data be fetched.

    Returns:
        What sums up each run, and the name of the data.

    Raises:
        LookupError: If the data, a split or a name is not there.
        ValueError: If something does not fit.
    """
    settings = plan.settings(next(plan.corners()))
    device_of(device)
    known = splits_of(settings.data.source, download=download)
    for split in ("train", plan.split):
        dataset = open_data(settings.data.source, split, settings.data.size)
        if not len(dataset):
            raise ValueError(f"The split {split!r} of {dataset.name} is empty.")
    if "val" not in known and (plan.prune or plan.metric == "loss"):
        what = "--metric loss" if plan.metric == "loss" else "--prune"
        raise ValueError(f"{dataset.name} has no split val, which {what} needs.")
    ways: list[Direction] | None = None
    for point in plan.corners():
        assembly = _assembled(plan, point)
        ways = _directions(plan, assembly) if ways is None else ways
        ways = _require(assembly, ways, plan, point)
    assert ways
    if plan.metric == "miou":
        rows(dataset, None, None)  # one that has no mask cannot be scored
    return ways[0], dataset.name


def _assembled(plan: Plan, point: Point) -> Assembly:
    settings = plan.settings(point)
    dataset = open_data(
        settings.data.source,
        "train",
        settings.data.size,
        count=settings.data.count,
    )
    augmenter(settings.data.augment or dataset.augmentation, dataset.schema.labels)
    assembly = assemble(settings, dataset.schema)
    find_classifier(settings, dataset, torch.device("cpu"))
    return assembly


def _directions(plan: Plan, assembly: Assembly) -> list[Direction]:
    """List the directions that could score all runs: the plan's, else those of the first model."""
    target = {"miou": "mask", "f1": "classes", "map": "classes"}.get(plan.metric)
    if plan.views is not None and target is not None:
        return [(plan.views, target)]
    ways: tuple[Direction, ...] = (
        *HEADLINES, (("mask",), "classes"), (("image", "classes"), "classes")
    )  # fmt: skip
    able_to = [way for way in ways if able(assembly, *way)]
    matching = [way for way in able_to if target in (None, way[1])] or [ways[0]]
    if target is not None and target not in assembly.model.views:
        others = " or ".join(sorted(set(assembly.model.views) & {"mask", "classes"}))
        metrics = {"mask": "miou", "classes": "f1"}
        raise ValueError(
            f"{plan.recipe} predicts no {target}, which --metric {plan.metric} scores; choose "
            f"--metric {metrics.get(others, 'loss')}."
        )
    return matching


def _require(
    assembly: Assembly, ways: list[Direction], plan: Plan, point: Point
) -> list[Direction]:
    """Keep the ways that this model can go, too; refuse it if there is none."""
    possible = [way for way in ways if able(assembly, *way)]
    if not possible:
        views, target = ways[0]
        reads = "--guide poe, which reads any of the views of --encode, "
        raise ValueError(
            f"`{plan.command(point)}` does not train a model that predicts {target} given "
            f"{','.join(views)}, the direction in which all trials are compared; choose "
            f"{reads if 'encode' in point else ''}other views with --given, or other values."
        )
    return possible


TrialCallback = Callable[[Trial, Report], None]
"""A callback with a trial, and the report of one of its training steps."""

_AT_ONCE = 50


@dataclass(frozen=True)
class Task:
    """A trial to be done: plain data, so that a process of its own can do it.

    Attributes:
        plan: The plan of the search.
        trial: Which.
        folder: The search's.
        direction: Views given and target, which sum up its run.
        device: The device to compute on.
    """

    plan: Plan
    trial: Trial
    folder: Path
    direction: tuple[tuple[str, ...], str]
    device: Device = "auto"

    @property
    def headline(self) -> Headline:
        """The score that sums up its run."""
        return Headline(self.plan.split, self.direction)


class Stopped(Exception):
    """A trial that is not worth going on with."""


def run_trial(task: Task, watch: TrialCallback = lambda trial, report: None) -> Trial:
    """Train with each seed, and score; one that cannot be trained has failed, and says why.

    With several seeds the score is their mean, and a trial of which one seed fails has failed.
    A run that was interrupted goes on from its checkpoint.
    """
    began, trial, seeds = time.monotonic(), task.trial, task.plan.seeds
    journal = Journal(task.folder, task.plan) if task.plan.prune else None
    scores: list[float] = []

    def seen(report: Report) -> None:
        repeat, steps = len(scores), report.steps
        watch(trial, replace(report, step=repeat * steps + report.step, steps=seeds * steps))
        over = report.step == steps and repeat == seeds - 1
        if journal is not None and report.val is not None and not over:
            if journal.report(trial.number, report.step, report.val, repeat):
                raise Stopped

    try:
        for repeat in range(seeds):
            run = _trained(task, repeat, seen)
            score, about = _scored(task, run)
            if not math.isfinite(score):
                raise ArithmeticError(f"The {task.plan.metric} is {score}.")
            scores.append(score)
        about += f", {seeds} seeds" if seeds > 1 else ""
        mean = statistics.fmean(scores)
        outcome = replace(trial, state="done", score=mean, about=about, scores=tuple(scores))
    except Stopped:
        outcome = replace(trial, state="stopped")
    except (ArithmeticError, LookupError, ValueError) as error:
        which = f"Seed {task.plan.seed + len(scores)}: " if seeds > 1 else ""
        outcome = replace(trial, state="failed", why=which + _sentence(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError):
            raise
        outcome = replace(trial, state="failed", why="Memory ran out.")
    return replace(outcome, seconds=round(time.monotonic() - began, 1))


def strip(folder: Path) -> None:
    """Remove the weights of a trial's runs; what they say of themselves stays."""
    for path in folder.rglob("*.safetensors"):
        path.unlink()


def _trained(task: Task, repeat: int, watch: Callable[[Report], None]) -> Run:
    """Return the complete run of a seed; one with a user's own code is trained from the start."""
    settings = task.plan.settings(task.trial.point, repeat)
    folder = task.folder / task.plan.runs(task.trial.name)[repeat]
    more: Any = {"device": task.device, "headline": task.headline, "watch": watch}
    if is_foreign(settings):
        return train(settings, folder=folder, force=True, **more).run
    return obtain(settings, folder, **more)


def _scored(task: Task, run: Run) -> tuple[float, str]:
    """Return the score of a run, and a description of what it measures."""
    metric = task.plan.metric
    if metric == "loss":
        return _last_loss(run), "val"
    if metric == "elbo":
        scenes = _scenes(task, run)
        title = f"{scenes.split}, {len(scenes)} scenes{against_weak(scenes.weak, len(scenes))}"
        return _elbo(run, scenes, task), title
    cell = read_json(run.path(SUMMARY))["headline"]
    score = (cell["score"] or {}).get({"f1": "macro_f1"}.get(metric, metric))
    if score is None:
        raise ValueError(f"No scene of {task.plan.split} could be scored.")
    scenes, weak = cell["scenes"], cell.get("weak", 0)
    about = f"{cell['title']}, {task.plan.split}, {scenes} scenes{against_weak(weak, scenes)}"
    return float(score), about


def _last_loss(run: Run) -> float:
    """Read the validation loss of the weights that were kept."""
    losses = [line["val"] for line in lines_of(run.path(METRICS)) if "val" in line]
    if not losses:
        raise ValueError(
            "The trial has no validation loss, because its data have no split val; "
            "choose another --metric."
        )
    return float(min(losses) if run.settings.training.patience else losses[-1])


def _elbo(run: Run, scenes: SceneDataset, task: Task) -> float:
    """Average the ELBO of every view, at β = 1 and with no view weighed, over scenes.

    Whatever was trained, this is one bound on the same log p(views): it can be compared.
    """
    device = device_of(task.device)
    assembly, bound, total = restore(run, device=device), ELBO(DRAWS), 0.0
    with torch.no_grad(), seeded(run.settings.training.seed, device):
        for first in range(0, len(scenes), _AT_ONCE):
            rows = range(first, min(len(scenes), first + _AT_ONCE))
            views = scenes.views(rows).to(device)
            total -= bound.loss(assembly.model, assembly.guide, views) * len(rows)
    return total / len(scenes)


def _scenes(task: Task, run: Run) -> SceneDataset:
    return open_data(run.settings.data.source, task.plan.split, run.settings.data.size)


def _sentence(error: Exception) -> str:
    return str(error.args[0] if len(error.args) == 1 else error)
