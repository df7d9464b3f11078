"""Comparisons: recipes with changed settings, trained with each seed and scored alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.flop_counter import FlopCounterMode

from scene.datasets.catalogue import open_data
from scene.notices import against_weak
from scene.views import Schema, Views

from ..build import assemble
from ..devices import Device, device_of
from ..interruption import resumable
from ..prediction.evaluate import evaluate
from ..process_pool import pool
from ..runs.checkpoints import restore
from ..runs.run import WEIGHTS, Run, read
from ..settings.recipes import recipe
from ..settings.settings import Settings, typed
from ..training.fit import Diverged
from ..training.session import train
from .cache import digest, read_result, write_result

SCORES = "scores-{split}.json"
"""Name of the file in a run's folder that caches its scores on a split."""

Direction = tuple[tuple[str, ...], str]
"""The views that are given, and the view that is predicted."""


@dataclass(frozen=True)
class Row:
    """A row of a table: a recipe and the settings that differ from its defaults.

    >>> Row("telbo", {"encode": ("image", "mask"), "batch_size": 2}).command
    'telbo --encode image,mask --batch-size 2'
    """

    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **more: Any) -> Settings:
        """Return settings of the recipe with the row's changes, and with ``more`` above them.

        Rows are compared by their predictions, so a flow that only draws scenes is left out.
        """
        return recipe(self.recipe).predicting(**{**self.changes, **more})

    @property
    def command(self) -> str:
        """The arguments of `scene train` for this row."""
        return f"{self.recipe} {typed(self.changes)}".rstrip()


class Training(NamedTuple):
    """A training of a comparison.

    Attributes:
        row: The name of its row.
        settings: The settings of the training.
    """

    row: str
    settings: Settings


@dataclass(frozen=True)
class TrainingScores:
    """The scores of one training.

    Attributes:
        row: The name of its row.
        settings: The settings of the training.
        folder: Folder of the run.
        dataset: Name, split and number of the scenes of the scores, as text.
        cells: The scores, as of `Cell.to_json`; empty if the training diverged.
    """

    row: str
    settings: Settings
    folder: Path
    dataset: str
    cells: tuple[dict[str, Any], ...]

    def miou(self, title: str) -> float | None:
        """Return the mIoU in % of the direction of that title; None if it has none."""
        scores = [cell["score"] for cell in self.cells if cell["title"] == title]
        return float(scores[0]["miou"]) if scores and scores[0] else None


def train_and_score(
    trainings: Sequence[Training],
    out: Path,
    *,
    split: str,
    directions: tuple[Direction, ...],
    jobs: int = 1,
    device: Device = "auto",
    watch: Callable[[TrainingScores], object] = lambda result: None,
) -> list[TrainingScores]:
    """Train and score what is not there yet; return the scores in the order of ``trainings``.

    A run is identified by its settings, so an interrupted comparison can be continued, and two
    comparisons can share runs. It does not depend on the version of the code: after a change of
    the code use another folder.

    Args:
        trainings: What to train.
        out: Folder of the runs.
        split: The split to score on.
        directions: What to predict from what.
        jobs: Processes, with an equal share of the cores.
        device: The device to compute on.
        watch: Called with each result as it is there.
    """
    call = partial(_score_cached, out=out, split=split, directions=directions, device=device)
    results: dict[Any, TrainingScores] = {}
    with resumable(), pool(jobs) as workers:
        for training, result in workers.completed(call, trainings):
            watch(result)
            results[_key(training)] = result
    return [results[_key(training)] for training in trainings]


def flops(settings: Settings, schema: Schema, views: Views) -> int:
    """Count the floating-point operations of convolutions and products in one training step.

    Args:
        settings: The settings of the training.
        schema: Labels and image size.
        views: A batch of ``settings.training.batch_size`` scenes.
    """
    assembly = assemble(settings, schema)
    with FlopCounterMode(display=False) as counter:
        objective = assembly.objective
        loss = -objective.total(objective.terms(assembly.model, assembly.guide, views), views)
        loss.backward()
    return int(counter.get_total_flops())


def format_mean(scores: Iterable[float | None], digits: int = 1) -> str:
    """Return mean ± sample standard deviation as text; a dash if a score is missing.

    >>> format_mean([1.0, 3.0]), format_mean([2.0]), format_mean([1.0, None])
    ('2.0 ± 1.4', '2.0', '–')
    """
    values = list(scores)
    known = [score for score in values if score is not None]
    if not known or len(known) < len(values):
        return "–"
    deviation = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.{digits}f}{deviation}"


def _key(training: Training) -> Any:
    return training.row, _settings_digest(training.settings)


def _settings_digest(settings: Settings) -> str:
    """Return the digest of what differs from the defaults, which new settings do not change."""
    defaults = Settings(settings.recipe).values()
    changes = {k: v for k, v in settings.values().items() if v != defaults[k]}
    return digest(settings.recipe, sorted(changes.items()))[:8]


def _score_cached(
    training: Training, out: Path, split: str, directions: tuple[Direction, ...], device: Device
) -> TrainingScores:
    """Return the scores of a training; what is not there is trained, scored and cached."""
    row, settings = training
    name = f"{settings.recipe}-seed{settings.training.seed}-{_settings_digest(settings)}"
    folder, key = out / name, digest(split, directions)
    path = folder / SCORES.format(split=split)
    scores = read_result(path, key)
    if scores is None:
        scores = write_result(path, key, _score(settings, folder, split, directions, device))
    return TrainingScores(row, settings, folder, scores["dataset"], tuple(scores["cells"]))


def _score(
    settings: Settings,
    folder: Path,
    split: str,
    directions: tuple[Direction, ...],
    device: Device,
) -> dict[str, Any]:
    data = open_data(settings.data.source, split, settings.data.size)
    text = f"{data.name} {data.split}, {len(data)} scenes{against_weak(data.weak, len(data))}"
    try:
        run = _run(settings, folder, device)
    except Diverged:
        return {"dataset": text, "cells": []}
    assembly = restore(run, device=device_of(device))
    cells = evaluate(assembly, data, directions=directions)
    return {"dataset": text, "cells": [cell.to_json() for cell in cells]}


def _run(settings: Settings, folder: Path, device: Device) -> Run:
    """Return a complete run: read, or trained in place of an interrupted one."""
    if (folder / WEIGHTS).is_file():
        return read(folder)
    return train(settings, folder=folder, force=True, device=device).run
