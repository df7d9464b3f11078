"""What a report of runs holds: settings, curves, scores, pictures, times and surroundings."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from scene.datasets.base import SceneDataset
from scene.storage.files import read_json

from ..build import Assembly
from ..prediction.evaluate import Cell, Evaluation, evaluate
from ..runs.run import CONFIG, VERSIONS, Run
from ..settings.fields import Option
from ..settings.recipes import recipe
from ..settings.settings import OPTIONS, Settings, flag, typed
from .pictures import (
    Picture,
    confusion_picture,
    curves_picture,
    diagnosis_pictures,
    sample_pictures,
    scenes_by_score,
    scores_picture,
    worst_and_best,
)

Watch = Callable[[str], None]
"""Called with what is worked out."""


@dataclass(frozen=True)
class RunReport:
    """What a report says of one run.

    Attributes:
        run: The run.
        anchor: The name of its section in the page's addresses.
        command: The command that trains such a run.
        summary: What its recipe is.
        facts: Its data, size, training time and the like, by title.
        settings: Each setting that its recipe uses: its option, its value, whether it differs
            from the recipe's.
        evaluation: Its scores; None if the split has nothing that could be scored.
        pictures: Titles of groups of pictures, and these.
    """

    run: Run
    anchor: str
    command: str
    summary: str
    facts: dict[str, str]
    settings: list[tuple[str, str, bool]]
    evaluation: Evaluation | None
    pictures: dict[str, list[Picture]]


@dataclass(frozen=True)
class Report:
    """What a page says of one run or of several.

    Attributes:
        runs: Each run.
        scores: A chart of the runs' scores side by side; None for one run.
        differences: Options that differ between runs, and the value of each run.
        surroundings: Versions and devices where the report was made.
    """

    runs: list[RunReport]
    scores: Picture | None
    differences: list[tuple[str, list[str]]]
    surroundings: dict[str, str]

    @property
    def directions(self) -> list[str]:
        """Titles of all directions of inference that any run was scored in."""
        titles = [cell.title for one in self.runs for cell in scored_cells(one.evaluation)]
        return list(dict.fromkeys(titles))


@dataclass(frozen=True)
class Subject:
    """What is reported.

    Attributes:
        run: A run.
        assembly: Its model and guide, in evaluation mode.
        scenes: What it is scored on.
    """

    run: Run
    assembly: Assembly
    scenes: SceneDataset


def contents(
    subjects: Sequence[Subject],
    *,
    samples: int = 8,
    seed: int = 0,
    watch: Watch = lambda title: None,
) -> Report:
    """Work out what a report says.

    Args:
        subjects: The runs.
        samples: Scenes drawn for each picture; 0 = none are drawn.
        seed: Seed of all draws.
        watch: Called with what is worked out.
    """
    runs = []
    for number, subject in enumerate(subjects, start=1):
        tell = partial(_watch_run, watch, subject.run.folder.name)
        runs.append(_report_of(subject, f"run-{number}", samples, seed, tell))
    scores = None
    if len(runs) > 1:
        names = [one.run.folder.name for one in runs]
        scores = scores_picture(names, [one.evaluation for one in runs])
    return Report(runs, scores, _differences([s.run.settings for s in subjects]), surroundings())


def scored_cells(evaluation: Evaluation | None) -> list[Cell]:
    """Return the directions of inference that have a score."""
    return [] if evaluation is None else [c for c in evaluation.cells if c.score is not None]


def command_of(settings: Settings) -> str:
    """Return the command that trains a run of such settings.

    >>> command_of(recipe("telbo").settings(particles=5, size=(32, 32)))
    'scene train telbo --size 32x32 --particles 5'
    """
    return f"scene train {settings.recipe} {typed(_changes(settings))}".rstrip()


def surroundings() -> dict[str, str]:
    """Return versions and devices of this machine, by title."""
    versions = {name: version(name) for name in VERSIONS}
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        **versions,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor cores": str(os.cpu_count() or "?"),
        "GPUs": ", ".join(devices) or "none",
    }


def _watch_run(watch: Watch, name: str, title: str) -> None:
    watch(f"{name}: {title}")


def _report_of(subject: Subject, anchor: str, samples: int, seed: int, watch: Watch) -> RunReport:
    run, assembly, scenes = subject.run, subject.assembly, subject.scenes
    settings, labels = run.settings, run.schema.labels
    pictures: dict[str, list[Picture]] = {}
    watch("curves")
    pictures["Training"] = [
        curves_picture(place, title, unit)
        for place, title, unit in _trainings(run)
        if place.is_dir()
    ]
    evaluation = _evaluated(subject, seed, watch)
    ranking = scenes_by_score(assembly, scenes, seed, watch)
    if ranking is not None:
        pictures["Confusion"] = [confusion_picture(ranking, labels)]
        pictures["Worst and best scenes"] = worst_and_best(ranking, scenes, labels)
    if samples:
        pictures["Samples"] = sample_pictures(assembly, scenes, samples, seed, watch)
    pictures["Diagnosis"] = diagnosis_pictures(run.path("diagnose"))
    changes = _changes(settings)
    rows = [
        (flag(name), value_text(option, settings.value(name)), name in changes)
        for name, option in recipe(settings.recipe).options().items()
    ]
    return RunReport(
        run,
        anchor,
        command_of(settings),
        recipe(settings.recipe).about,
        _facts(run, scenes, evaluation),
        rows,
        evaluation,
        {title: group for title, group in pictures.items() if group},
    )


def _trainings(run: Run) -> list[tuple[Path, str, str]]:
    """Return the folder of each training that a run consists of, what it is, its loss's unit."""
    return [
        (run.folder, f"the model ({run.settings.title})", "nats a scene"),
        (run.path("prior"), "its flow over z", "squared error of velocities"),
        (run.path("details"), "its flow of details", "squared error of velocities"),
    ]


def _evaluated(subject: Subject, seed: int, watch: Watch) -> Evaluation | None:
    def tell(title: str) -> None:
        watch(f"scoring {title}")

    try:
        return evaluate(subject.assembly, subject.scenes, seed=seed, watch=tell)
    except ValueError:
        return None


def _facts(run: Run, scenes: SceneDataset, evaluation: Evaluation | None) -> dict[str, str]:
    from ..training.log import METRICS, lines_of

    height, width = run.schema.size
    facts = {
        "folder": str(run.folder),
        "data": run.settings.data.source,
        "images": f"{height}×{width} pixels",
        "labels": ", ".join(run.schema.labels.names),
        "scored on": f"{scenes.name}, {scenes.split}: {len(scenes)} scenes",
    }
    if best := scored_cells(evaluation):
        facts["score"] = f"{headline(best[0]):.1f} % {measure(best[0])} ({best[0].title})"
    lines = lines_of(run.path(METRICS))
    if lines:
        facts["steps"] = f"{lines[-1]['step']:,}"
    if (seconds := _seconds(run.folder)) is not None:
        facts["training time"] = _duration(seconds)
    versions = read_json(run.path(CONFIG)).get("versions", {})
    facts["trained with"] = ", ".join(f"{name} {value}" for name, value in versions.items())
    return facts


def headline(cell: Cell) -> float:
    """Return the mean IoU of a direction's masks, or the macro F1 of its classes, in percent."""
    score: Any = cell.score
    return float(score.miou if cell.target == "mask" else score.macro_f1)


def measure(cell: Cell) -> str:
    """Name what `headline` returns."""
    return "mIoU" if cell.target == "mask" else "macro F1"


def _seconds(folder: Path) -> float | None:
    """Return how long training took, by the times of its logged steps; None without a log."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    total = 0.0
    for file in folder.glob("events.out.tfevents.*"):
        log = EventAccumulator(str(file)).Reload()
        if "loss" in log.Tags()["scalars"]:
            total += log.Scalars("loss")[-1].wall_time - log.FirstEventTimestamp()
    return total or None


def _duration(seconds: float) -> str:
    """Write a duration in words.

    >>> _duration(3.2), _duration(75), _duration(7322)
    ('3 s', '1 min 15 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _changes(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from the recipe's own with such networks, by name."""
    own = recipe(settings.recipe)
    options = own.options()
    networks = {
        name: settings.value(name)
        for name in ("net", "backbone")
        if name in options and settings.value(name) != own.base.value(name)
    }
    usual = own.settings(**networks)
    return networks | {
        name: settings.value(name)
        for name in options
        if settings.value(name) not in (None, usual.value(name))
    }


def value_text(option: Option, value: Any) -> str:
    """Write a setting's value as one would type it; a default that others decide in words.

    >>> value_text(OPTIONS["flip"], True), value_text(OPTIONS["learning_rate"], 0.01)
    ('yes', '0.01')
    """
    if value is None:
        return option.choice.default_help or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return option.show(value)


def _differences(each: Sequence[Settings]) -> list[tuple[str, list[str]]]:
    """Return the options that differ between runs that use them, and their values."""
    rows = []
    if len({one.recipe for one in each}) > 1:
        rows.append(("recipe", [one.title for one in each]))
    for name, option in OPTIONS.items():
        values = [
            value_text(option, one.value(name)) if recipe(one.recipe).takes(name) else None
            for one in each
        ]
        if len(set(values) - {None}) > 1:
            rows.append((flag(name), ["–" if value is None else value for value in values]))
    return rows
