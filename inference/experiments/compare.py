"""Comparisons: settings trained alike, once per seed, scored alike, and kept to go on from."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from scene.datasets.catalogue import open_data
from scene.notices import against_weak
from scene.storage.files import read_json
from scene.views import Schema, Views

from ..build import assemble
from ..devices import Device, device_of
from ..interruption import resumable
from ..prediction.evaluate import Cell, evaluate
from ..process_pool import pool
from ..runs.restore import restore
from ..runs.run import WEIGHTS, Run, read, write_json
from ..settings.recipes import recipe
from ..settings.settings import Settings, typed
from ..training.fit import Diverged
from ..training.session import train

SCORES = "scores.json"
"""What a run's scores are called."""


@dataclass(frozen=True)
class Row:
    """A line of a table: a recipe, and what differs from its own settings.

    >>> Row("telbo", {"encode": ("image", "mask"), "batch_size": 2}).words
    'telbo --encode image,mask --batch-size 2'
    """

    recipe: str
    given: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **more: Any) -> Settings:
        """Make settings; what is given here goes before what the row says."""
        return recipe(self.recipe).settings(**{**self.given, **more})

    @property
    def words(self) -> str:
        """The row as one would type it."""
        return f"{self.recipe} {typed(self.given)}".rstrip()


@dataclass(frozen=True)
class Result:
    """What came of one training.

    Attributes:
        row: The name of its row.
        settings: What was trained.
        folder: Where its run lies.
        scored: What it was scored on, in words.
        cells: The scores, as `Cell.to_json` gives them; none if it diverged.
    """

    row: str
    settings: Settings
    folder: Path
    scored: str
    cells: tuple[dict[str, Any], ...]

    def miou(self, title: str) -> float | None:
        """Give the mIoU in % of the direction of that title; None where there is none."""
        found = [cell["score"] for cell in self.cells if cell["title"] == title]
        return float(found[0]["miou"]) if found and found[0] else None


Job = tuple[str, Settings]
"""The name of a row, and what to train."""


def results(
    jobs: Sequence[Job],
    out: Path,
    *,
    split: str,
    directions: tuple[tuple[tuple[str, ...], str], ...],
    at_once: int = 1,
    device: Device = "auto",
    told: Callable[[Result], object] = lambda result: None,
) -> list[Result]:
    """Train and score what has not been, in the order given.

    A run is known by its settings, so that a comparison can be stopped and gone on with, and two
    of them can share runs; it knows nothing of the code, so after changing that choose another
    folder.

    Args:
        jobs: What to train.
        out: Folder of the runs.
        split: What they are scored on.
        directions: Pairs of views given and target.
        at_once: Processes, with an equal share of the cores.
        device: Where to compute.
        told: Called with each result when it is there.
    """
    work = partial(_result, out=out, split=split, directions=directions, device=device)
    found: dict[Job, Result] = {}
    with resumable():
        for job, result in _done(jobs, at_once, work):
            told(result)
            found[_key(job)] = result
    return [found[_key(job)] for job in jobs]


def flops(settings: Settings, schema: Schema, views: Views) -> int:
    """Count the multiplications and additions of one training step: convolutions and products.

    Args:
        settings: What is trained.
        schema: Labels and image size.
        views: A batch of ``settings.training.batch_size`` scenes.
    """
    made = assemble(settings, schema)
    with FlopCounterMode(display=False) as counter:
        loss = -made.objective.total(made.objective.terms(made.model, made.guide, views), views)
        loss.backward()
    return int(counter.get_total_flops())


def spread(scores: Iterable[float | None], digits: int = 1) -> str:
    """Write mean ± standard deviation; a dash where a score is lacking.

    >>> spread([1.0, 3.0]), spread([2.0]), spread([1.0, None])
    ('2.0 ± 1.4', '2.0', '–')
    """
    given = list(scores)
    known = [score for score in given if score is not None]
    if not known or len(known) < len(given):
        return "–"
    around = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.{digits}f}{around}"


def _key(job: Job) -> Any:
    return job[0], _digest(job[1])


def _digest(settings: Settings) -> str:
    """Name settings by what differs from the stock, so that new ones change no old name."""
    stock = Settings(settings.recipe).values()
    chosen = {k: v for k, v in settings.values().items() if v != stock[k]}
    text = json.dumps({**chosen, "recipe": settings.recipe}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _done(
    jobs: Sequence[Job], at_once: int, work: Callable[[Job], Result]
) -> Iterable[tuple[Job, Result]]:
    if at_once == 1:
        yield from ((job, work(job)) for job in jobs)
        return
    with pool(at_once) as workers:
        asked = {workers.submit(work, job): job for job in jobs}
        yield from ((asked[done], done.result()) for done in as_completed(asked))


def _result(
    job: Job,
    out: Path,
    split: str,
    directions: tuple[tuple[tuple[str, ...], str], ...],
    device: Device,
) -> Result:
    """Read the scores of a job, or train what is not trained, score it, and write that down."""
    row, settings = job
    folder = out / f"{settings.recipe}-seed{settings.training.seed}-{_digest(settings)}"
    path = folder / SCORES
    known: dict[str, Any] = read_json(path) if path.is_file() else {}
    asked = [Cell(given, target, False, 0, None).title for given, target in directions]
    held = known.get(split)
    if held is None or (held["cells"] and [cell["title"] for cell in held["cells"]] != asked):
        known[split] = held = _scored(settings, folder, split, directions, device)
        write_json(path, known)
        held = read_json(path)[split]  # as it will be read next time
    return Result(row, settings, folder, held["scored"], tuple(held["cells"]))


def _scored(
    settings: Settings,
    folder: Path,
    split: str,
    directions: tuple[tuple[tuple[str, ...], str], ...],
    device: Device,
) -> dict[str, Any]:
    data = open_data(settings.data.source, split, settings.data.size)
    words = f"{data.name} {data.split}, {len(data)} scenes{against_weak(data.weak, len(data))}"
    try:
        run = _run(settings, folder, device)
    except Diverged:
        folder.mkdir(parents=True, exist_ok=True)
        return {"scored": words, "cells": []}
    assembly = restore(run, device=device_of(device))
    return {
        "scored": words,
        "cells": [cell.to_json() for cell in evaluate(assembly, data, directions=directions)],
    }


def _run(settings: Settings, folder: Path, device: Device) -> Run:
    """Read a complete run, or train it over what an interrupted job left."""
    if (folder / WEIGHTS).is_file():
        return read(folder)
    return train(settings, folder=folder, force=True, device=device).run
