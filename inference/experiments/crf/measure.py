"""Scores of a dense CRF on a dataset: settings by scenes, in parallel, saved as computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.labels import VOID, Labels
from scene.metrics import MaskScore, MaskScorer
from scene.notices import SceneCount

from ...crf.meanfield import FLOOR, refine_logits
from ...crf.parameters import Parameters
from ...process_pool import pool
from ..cache import digest, read_result, write_result
from .unaries import Example, Scenes

FORMAT = 1
"""Version of the files of results; others are not reused."""

LEAST = 1e-20
"""The least marginal whose logarithm is taken: a sure mistake costs 46 nats, not infinity."""


@dataclass(frozen=True)
class Result:
    """The score of one setting on all scenes.

    Attributes:
        parameters: The setting.
        counts: Pixels by true label (row) and predicted label (column).
        nats: Sum over pixels of the log marginal of the true label.
        scenes: Number of scenes with a mask.
    """

    parameters: Parameters
    counts: tuple[tuple[int, ...], ...]
    nats: float
    scenes: int

    def score(self, labels: Labels) -> MaskScore:
        """Score the masks, as `scene.metrics` does everywhere."""
        scorer = MaskScorer(labels)
        scorer.add_counts(torch.tensor(self.counts))
        return scorer.score()

    @property
    def log_likelihood(self) -> float:
        """Mean log marginal of the true label, nats a pixel."""
        return self.nats / max(1, sum(map(sum, self.counts)))

    def to_json(self, labels: Labels) -> dict[str, Any]:
        """Return the setting and its scores as plain data."""
        score = self.score(labels)
        return {
            "parameters": self.parameters.to_json(),
            "miou": score.miou,
            "accuracy": score.accuracy,
            "log_likelihood": self.log_likelihood,
            "iou": score.iou,
        }


def measure(
    scenes: Scenes,
    settings: Sequence[Parameters],
    *,
    engine: str = "auto",
    jobs: int = 1,
    folder: Path | None = None,
    watch: SceneCount = lambda done, total: None,
) -> list[Result]:
    """Refine all scenes under each setting, and score the argmax at the stored pixels.

    A setting without kernels scores the unaries themselves, without any arithmetic between.

    Args:
        scenes: The scenes to refine.
        settings: In the order of the answer.
        engine: As in `inference.crf.meanfield.refine`.
        jobs: Processes among which scenes are shared out; each has its part of the cores.
        folder: Where each setting's result is written once it is complete, and found again if
            setting, unaries, pictures, masks, engine and version are what they were; None = none.
        watch: Called after every scene of every setting that is not found there.

    Raises:
        ValueError: If no scene has a mask, or unaries do not fit.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}.")
    dataset = scenes.open()
    for parameters in settings:
        parameters.require(len(dataset.schema.labels.names))
    places = _places(scenes, dataset, settings, engine, folder)
    known = {s: result for s, place in places.items() if (result := _read(s, place)) is not None}
    missing = [s for s in places if s not in known]
    rows = scenes.rows(dataset)
    work = [(scenes, s, engine, index) for s in missing for index in rows]
    jobs = max(1, min(jobs, len(work)))
    with pool(jobs) as workers:
        call = _in_process if jobs > 1 else partial(_tallied, dataset)
        tallies = _counted(workers.map(call, work), len(work), watch)
        for parameters in missing:
            result = _added(parameters, islice(tallies, len(rows)))
            if not result.scenes:
                raise ValueError(f"No scene of {dataset.name} {scenes.split} has a mask.")
            known[parameters] = result
            if (place := places[parameters]) is not None:
                _keep(result, place)
    return [known[s] for s in settings]


_Task = tuple[Scenes, Parameters, str, int]
_Tally = tuple[Tensor, float] | None


def tally(example: Example, parameters: Parameters, labels: Labels, engine: str) -> _Tally:
    """Refine one scene and count: a confusion matrix, and nats of the true labels."""
    logits = example.probs.clamp_min(FLOOR).log()
    height, width = example.mask.shape
    kernels = parameters.at((height, width)).kernels()
    if kernels:
        iterations = parameters.iterations
        q = refine_logits(
            logits, example.image, kernels=kernels, iterations=iterations, engine=engine
        )
    else:
        q = logits.softmax(0)
    scorer = MaskScorer(labels)
    scorer.add((q if kernels else example.probs).argmax(0), example.mask)
    true = example.mask.long()
    right = q.gather(0, true.masked_fill(true == VOID, 0)[None])[0][true != VOID]
    return scorer.counts, float(right.clamp_min(LEAST).log().double().sum())


def _tallied(dataset: SceneDataset, task: _Task) -> _Tally:
    scenes, parameters, engine, index = task
    example = scenes.example(dataset, index)
    return None if example is None else tally(example, parameters, dataset.schema.labels, engine)


@cache
def _opened(scenes: Scenes) -> SceneDataset:
    return scenes.open()


def _in_process(task: _Task) -> tuple[list[list[int]], float] | None:
    """Do a task in a process of its own; what goes back is plain, not shared memory."""
    tally = _tallied(_opened(task[0]), task)
    return tally and (tally[0].tolist(), tally[1])


def _counted(tallies: Iterable[Any], total: int, watch: SceneCount) -> Iterator[_Tally]:
    for done, tally in enumerate(tallies, start=1):
        watch(done, total)
        yield tally and (torch.as_tensor(tally[0]), tally[1])


def _added(parameters: Parameters, tallies: Iterable[_Tally]) -> Result:
    counted = [t for t in tallies if t is not None]
    if not counted:
        return Result(parameters, (), 0.0, 0)
    counts = torch.stack([c for c, _ in counted]).sum(0).tolist()
    return Result(parameters, tuple(map(tuple, counts)), sum(n for _, n in counted), len(counted))


def _places(
    scenes: Scenes,
    dataset: SceneDataset,
    settings: Sequence[Parameters],
    engine: str,
    folder: Path | None,
) -> dict[Parameters, Path | None]:
    """Return the file of each setting's result."""
    if folder is None:
        return dict.fromkeys(settings)
    about = scenes.fingerprint(dataset)
    names = {s: digest(FORMAT, version("scene-suite"), about, engine, s) for s in settings}
    return {s: folder / f"{name}.json" for s, name in names.items()}


def _keep(result: Result, place: Path) -> None:
    entry = {"counts": result.counts, "nats": result.nats, "scenes": result.scenes}
    write_result(place, place.stem, entry)


def _read(parameters: Parameters, place: Path | None) -> Result | None:
    """Read a result back; a damaged file counts as none."""
    entry = None if place is None else read_result(place, place.stem)
    if entry is None:
        return None
    try:
        counts = tuple(tuple(map(int, row)) for row in entry["counts"])
        return Result(parameters, counts, float(entry["nats"]), int(entry["scenes"]))
    except (ValueError, LookupError, TypeError, OverflowError):
        return None
