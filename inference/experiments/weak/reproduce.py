"""Reproduction of weak supervision: every stage of every seed, scored where there are masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scene.datasets.catalogue import evaluation_split, open_data, splits_of
from scene.datasets.folders.scenes import FolderScenes
from scene.discriminative import CoarseScene
from scene.figures.charts import Bars, draw_bars, draw_heatmap
from scene.networks.memory import remembering
from scene.notices import Progress, against_weak
from scene.storage.locks import locked
from scene.storage.outputs import clear, require_free, unlike

from ...build import assemble
from ...crf.meanfield import refine
from ...crf.parameters import USUAL
from ...devices import Device
from ...interruption import resumable
from ...process_pool import pool
from ...runs.run import CONFIG, home, write_json
from ...segmentation.figures import draw_stages
from ...segmentation.maps import require_background
from ...segmentation.score import common_classes
from ...segmentation.segmenter import load
from ..crf.unaries import rows
from .pipeline import DRAWN, SeedTask, run_seed, train_or_read
from .request import TUNE_SPLIT, Request
from .results import REPORT, STAGES, SeedResult, Summary
from .selection import StageEvaluator

FILE, PICTURE = "reproduce.json", "stages.png"


@dataclass(frozen=True)
class Reproduction:
    """The results of a reproduction.

    Attributes:
        folder: Where runs, results and pictures are.
        data: Name of the dataset.
        split: The split that is reported.
        scenes: Scenes of it that were used; all have masks.
        seeds: Seeds of the trainings.
        variants: The results of each variant, by the names of `VARIANTS`.
        files: ``reproduce.json`` and pictures.
        reference: Whether the report's figures are of the same scenes.
        weak: How many masks are pseudo-labels, of the reported split and of `TUNE_SPLIT`.
    """

    folder: Path
    data: str
    split: str
    scenes: int
    seeds: tuple[int, ...]
    variants: dict[str, Summary]
    files: tuple[Path, ...]
    reference: bool
    weak: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "data": self.data,
            "split": self.split,
            "scenes": self.scenes,
            "weak": {"reported": self.weak[0], "chosen": self.weak[1]},
            "seeds": self.seeds,
            "settings": {name: summary.to_json() for name, summary in self.variants.items()},
            "report": REPORT if self.reference else None,
        }


def reproduce(
    request: Request,
    *,
    seeds: Sequence[int] = (0,),
    variants: Sequence[str] = ("report",),
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    jobs: int = 1,
    watch: Progress = lambda title, done, total: None,
) -> Reproduction:
    """Train and measure everything that is not there yet, and compare it.

    For each seed: a classifier, SEC's network on ground-truth masks (recipe supervised), and SEC
    once for each variant; then scores of Grad-CAM, SEC and supervised with and without a CRF, an
    ablation of SEC's CRF, and a grid of widths. Settings are selected on `TUNE_SPLIT` only. A
    second call continues an interrupted one. Invalid requests are refused before anything is
    written.

    Args:
        request: What to reproduce.
        seeds: Seeds of all trainings, each once.
        variants: Names of `VARIANTS`.
        folder: Where runs, results and pictures go; None = a folder named after the data under
            `inference.runs.run.home`.
        force: Remove an earlier reproduction and start again.
        device: Where networks compute.
        jobs: Processes: for seeds if there are several, else for the scenes of the CRF.
        watch: Called with the progress. With several seeds and jobs it is sent to other
            processes, so it must be a function at the top of a module.

    Raises:
        LookupError: If the data, a split, an engine or weights are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}.")
    request, cells = check_request(request)
    dataset = open_data(request.data, request.reported, request.classifier(0).data.size)
    scenes = len(rows(dataset, request.limit, None))
    folder = folder or home() / f"reproduce-{dataset.name}"
    _require_ours(folder)
    common = common_classes(request.data, dataset.schema.size, count=request.count)
    processes = min(jobs, len(seeds))
    tasks = [
        SeedTask(
            request, seed, tuple(variants), folder / f"seed-{seed}", cells, common, device,
            jobs if processes == 1 else 1,
        )
        for seed in seeds
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), resumable(), remembering():
        prepare_folder(folder, force)
        with pool(processes) as workers:
            run = partial(_run_task if processes == 1 else _run_task_elsewhere, watch)
            results = [result for some in workers.map(run, tasks) for result in some]
        summaries = {
            name: Summary(tuple(r for r in results if r.variant == name)) for name in variants
        }
        labels = len(dataset.schema.labels.names)
        reference = (request.reported, scenes, labels) == ("val", 1449, 21)
        title = f"{dataset.name}{against_weak(dataset.weak, scenes)}"
        pictures = (
            _draw_stages(folder, summaries, title, reference),
            *_draw_grids(folder, summaries),
        )
        tune = open_data(request.data, TUNE_SPLIT, dataset.schema.size)
        reproduction = Reproduction(
            folder, dataset.name, request.reported, scenes, tuple(seeds), summaries,
            (folder / FILE, *pictures), reference, (dataset.weak, tune.weak),
        )  # fmt: skip
        write_json(folder / FILE, {"request": request.to_json(), **reproduction.to_json()})
        return reproduction


def check_request(request: Request) -> tuple[Request, tuple[int, int]]:
    """Check a request, by making every network and CRF once.

    Returns:
        The request with its split filled in, and rows and columns of SEC's grid.

    Raises:
        LookupError: If something is not there.
        ValueError: If something does not fit.
    """
    known = splits_of(request.data)
    if request.split is None and "val" not in known:
        request = replace(request, split=evaluation_split(request.data))
    settings = request.classifier(0)
    for split in ("train", TUNE_SPLIT, request.reported):
        dataset = open_data(request.data, split, settings.data.size)
        if split != "train":
            rows(dataset, None, None)
    sec = request.sec(0)
    require_background(dataset.schema.labels, sec.cues.background > 0, "--background none")
    assemble(settings, dataset.schema)
    assemble(request.supervised(0), dataset.schema)
    model = assemble(sec, dataset.schema).model
    assert isinstance(model, CoarseScene)
    probs, image = torch.full((2, 4, 4), 0.5), torch.zeros(4, 4, 3)
    evaluator = StageEvaluator(request, settings.data.size, Path(), torch.device("cpu"))
    for crf in evaluator.crf_candidates[:1]:
        refine(probs, image, kernels=crf.kernels(), engine=request.engine)
    return request, model.cells


def prepare_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that holds anything but a reproduction; with ``force``, empty it.

    Raises:
        ValueError: If it is a file, or holds something else.
    """
    _require_ours(folder)
    if force:
        clear(folder)


def _require_ours(folder: Path) -> None:
    require_free(folder, True, folder="a reproduction", foreign=unlike(_is_part))


def _is_part(path: Path) -> bool:
    if path.is_dir():
        return path.name.startswith("seed-")
    return path.suffix in (".json", ".png") and path.name != CONFIG


def with_seed(seed: int, watch: Progress, title: str, done: int, total: int) -> None:
    """Call ``watch`` with the seed in the title."""
    watch(f"seed {seed}: {title}", done, total)


def _run_task(watch: Progress, task: SeedTask) -> list[SeedResult]:
    return run_seed(task, partial(with_seed, task.seed, watch))


def _run_task_elsewhere(watch: Progress, task: SeedTask) -> list[SeedResult]:
    """Run a task in another process, from which only exceptions of one sentence can be sent."""
    try:
        return _run_task(watch, task)
    except ArithmeticError as error:
        raise ArithmeticError(str(error)) from None


def _draw_stages(folder: Path, summaries: dict[str, Summary], data: str, reference: bool) -> Path:
    series = {
        name: [summary.stage(key).each for key in STAGES] for name, summary in summaries.items()
    }
    marks = [REPORT["stages"].get(key) for key in STAGES] if reference else []
    bars = Bars(tuple(STAGES.values()), series, marks, "the report")
    draw_bars(folder / PICTURE, bars, scale="mIoU, %", title=data)
    return folder / PICTURE


def _draw_grids(folder: Path, summaries: dict[str, Summary]) -> Iterator[Path]:
    for name, summary in summaries.items():
        path, grid = folder / f"widths-{name}.png", summary.results[0].grid
        draw_heatmap(
            path,
            summary.grid,
            rows=grid["alphas"],
            columns=grid["betas"],
            down="θα, pixels",
            across="θβ, colour (0-255)",
            scale="mIoU, %",
            title=f"SEC + CRF on {grid['split']}, variant {name}",
        )
        yield path


@dataclass(frozen=True)
class RunsWithoutMasks:
    """The runs of weak supervision on data without masks.

    Attributes:
        data: Name of the dataset.
        lacking: The splits without masks.
        runs: Folders of a classifier and of SEC for each seed.
        files: ``reproduce.json`` and a picture of each seed.
    """

    data: str
    lacking: tuple[str, ...]
    runs: tuple[Path, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        runs = [str(run) for run in self.runs]
        return {"data": self.data, "scored": False, "lacking": list(self.lacking), "runs": runs}


def splits_without_masks(request: Request) -> tuple[str, ...]:
    """Return the splits without masks, of those for supervised, for selection and for scores.

    Raises:
        LookupError: If the data or a split is not there.
    """
    size, known = request.classifier(0).data.size, splits_of(request.data)
    reported = request.split or next((s for s in ("val", "test") if s in known), None)
    without = []
    for split in dict.fromkeys(("train", TUNE_SPLIT, reported)):
        if split is None or (split not in known and split == TUNE_SPLIT):
            continue
        dataset = open_data(request.data, split, size)
        if isinstance(dataset, FolderScenes) and not any(e.mask for e in dataset.entries):
            without.append(split)
    return tuple(without)


def train_without_masks(
    request: Request,
    *,
    seeds: Sequence[int] = (0,),
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    watch: Progress = lambda title, done, total: None,
) -> RunsWithoutMasks:
    """Train a classifier and SEC for each seed with the recipes' settings, and draw their masks.

    Runs that are there are used or continued. Without masks no settings are selected, and the
    supervised is not trained.

    Args:
        request: What to reproduce.
        seeds: Seeds of all trainings.
        folder: Where runs and pictures go; None = as in `reproduce`.
        force: Remove an earlier reproduction and start again.
        device: Where networks compute.
        watch: Called with the progress.

    Raises:
        LookupError: If the data or weights are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    splits = splits_of(request.data)
    example = next(
        split for split in (request.reported, "test", TUNE_SPLIT, "train") if split in splits
    )
    dataset = open_data(request.data, example, request.classifier(0).data.size)
    folder = folder or home() / f"reproduce-{dataset.name}"
    prepare_folder(folder, force)
    runs, pictures = list[Path](), list[Path]()
    for seed in seeds:
        place, progress = folder / f"seed-{seed}", partial(with_seed, seed, watch)
        classifier = train_or_read(
            place / "classifier", request.classifier(seed), device, progress
        )
        settings = request.sec(seed, classifier.folder)
        sec = train_or_read(place / "report" / "sec", settings, device, progress)
        networks = {
            "Grad-CAM": (load(classifier, "gradcam", engine=request.engine), USUAL),
            "SEC": (load(sec, "sec", engine=request.engine), USUAL),
        }
        picture = place / "report" / "masks.png"
        draw_stages(picture, dataset, range(min(DRAWN, len(dataset))), networks)
        runs += [classifier.folder, sec.folder]
        pictures.append(picture)
    result = RunsWithoutMasks(
        dataset.name, splits_without_masks(request), tuple(runs), (folder / FILE, *pictures)
    )
    write_json(folder / FILE, {"request": request.to_json(), **result.to_json()})
    return result
