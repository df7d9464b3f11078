"""Reproducing the whole of weak supervision: every stage of every seed, compared and drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scene.datasets.catalogue import evaluation_split, open_data, splits_of
from scene.discriminative import CoarseScene
from scene.figures.bars import Bars, draw_bars
from scene.figures.heatmap import draw_heatmap
from scene.notices import against_weak
from scene.storage.locks import contents, locked

from ...build import assemble
from ...crf.meanfield import refine
from ...devices import Device
from ...interruption import resumable
from ...process_pool import pool
from ...runs.run import home, write_json
from ...segmentation.maps import require_background
from ...segmentation.score import common_classes
from ..crf.unaries import rows
from .bench import Bench, Watch
from .chain import Seed, run_seed
from .plan import CHOOSING, Request
from .results import REPORT, STAGES, Chain, Summary

FILE, PICTURE = "reproduce.json", "stages.png"


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        folder: Where everything is.
        data: Name of the dataset.
        split: Reported.
        scenes: How many of its scenes have masks and were looked at.
        weak: How many masks are pseudo-labels, of the split reported and of `CHOOSING`.
        seeds: Which.
        rows: By the names of `PLANS`.
        files: ``reproduce.json`` and pictures.
        reference: Whether the report's figures are of the same scenes.
    """

    folder: Path
    data: str
    split: str
    scenes: int
    seeds: tuple[int, ...]
    rows: dict[str, Summary]
    files: tuple[Path, ...]
    reference: bool
    weak: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "data": self.data,
            "split": self.split,
            "scenes": self.scenes,
            "weak": {"reported": self.weak[0], "chosen": self.weak[1]},
            "seeds": self.seeds,
            "settings": {name: summary.to_json() for name, summary in self.rows.items()},
            "report": REPORT if self.reference else None,
        }


def reproduce(
    request: Request,
    *,
    seeds: Sequence[int] = (0,),
    plans: Sequence[str] = ("report",),
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    jobs: int = 1,
    watch: Watch = lambda title, done, total: None,
) -> Reproduction:
    """Train and measure everything that is not there yet, and compare it.

    Of each seed: a classifier, its twin's network on true masks, and SEC once for each row of
    settings; the four stages, the twin, each kernel's part and a grid of widths. Whatever is
    chosen is chosen on `plan.CHOOSING`. A second call goes on where the first was
    stopped. Everything that can be refused is refused before anything is written.

    Args:
        request: What to do.
        seeds: Of all training, each once.
        plans: Rows of settings, by the names of `PLANS`.
        folder: Where everything goes; by default a folder of the data's under
            `inference.runs.run.home`.
        force: Begin anew, whatever is there.
        device: Where networks compute.
        jobs: Processes. Seeds are shared out among them if there are several, else the CRF's
            scenes are.
        watch: Told how far it has come; a function at the top of a module, if seeds are shared
            out, for it is sent to other processes.

    Raises:
        LookupError: If the data, a split, an engine or weights are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, not {jobs}.")
    request, cells = prepared(request)
    dataset = open_data(request.data, request.reported, request.classifier(0).data.size)
    scenes = len(rows(dataset, request.limit, None))
    folder = folder or home() / f"reproduce-{dataset.name}"
    _require_ours(folder)
    common = common_classes(request.data, dataset.schema.size, count=request.count)
    at_once = min(jobs, len(seeds))
    parts = [
        Seed(
            request, seed, tuple(plans), folder / f"seed-{seed}", cells, common, device,
            jobs if at_once == 1 else 1,
        )
        for seed in seeds
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), resumable():
        claim(folder, force)
        chains = [chain for found in _all(parts, at_once, watch) for chain in found]
        summaries = {
            name: Summary(tuple(c for c in chains if c.settings == name)) for name in plans
        }
        labels = len(dataset.schema.labels.names)
        whole = (request.reported, scenes, labels) == ("val", 1449, 21)
        title = f"{dataset.name}{against_weak(dataset.weak, scenes)}"
        pictures = (
            _draw_stages(folder, summaries, title, whole),
            *_draw_grids(folder, summaries),
        )
        chosen = open_data(request.data, CHOOSING, dataset.schema.size)
        made = Reproduction(
            folder, dataset.name, request.reported, scenes, tuple(seeds), summaries,
            (folder / FILE, *pictures), whole, (dataset.weak, chosen.weak),
        )  # fmt: skip
        write_json(folder / FILE, {"request": request.to_json(), **made.to_json()})
        return made


def prepared(request: Request) -> tuple[Request, tuple[int, int]]:
    """Refuse what cannot be done; settle the split, and say which grid SEC has.

    Raises:
        LookupError: If something is not there.
        ValueError: If something does not fit.
    """
    known = splits_of(request.data)
    if request.split is None and "val" not in known:
        request = replace(request, split=evaluation_split(request.data))
    settings = request.classifier(0)
    for split in ("train", CHOOSING, request.reported):
        dataset = open_data(request.data, split, settings.data.size)
        if split != "train":
            rows(dataset, None, None)
    sec = request.sec(0)
    require_background(dataset.schema.labels, sec.cues.background > 0, "--background none")
    assemble(settings, dataset.schema)
    assemble(request.twin(0), dataset.schema)
    model = assemble(sec, dataset.schema).model
    assert isinstance(model, CoarseScene)
    probs, picture = torch.full((2, 4, 4), 0.5), torch.zeros(4, 4, 3)
    for crf in Bench(request, settings.data.size, Path(), torch.device("cpu")).candidates[:1]:
        refine(probs, picture, kernels=crf.kernels(), engine=request.engine)
    return request, model.cells


def claim(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something else than a reproduction; empty it if that is asked.

    Raises:
        ValueError: If it is a file, or holds something that is not ours.
    """
    _require_ours(folder)
    for path in contents(folder) if force else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _require_ours(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another --out.")
    for path in contents(folder):
        ours = path.name.startswith("seed-") if path.is_dir() else path.suffix in (".json", ".png")
        if not ours or path.name == "config.json":
            raise ValueError(
                f"{folder} holds {path.name}, which is none of ours; choose another --out."
            )


def _all(parts: Sequence[Seed], at_once: int, watch: Watch) -> Iterator[list[Chain]]:
    """Do each seed's part, here or in processes that share the cores."""
    if at_once == 1:
        for part in parts:
            yield run_seed(part, partial(_named, part.seed, watch))
        return
    with pool(at_once) as workers:
        yield from workers.map(partial(_in_process, watch), parts)


def _in_process(watch: Watch, part: Seed) -> list[Chain]:
    try:
        return run_seed(part, partial(_named, part.seed, watch))
    except ArithmeticError as error:  # one that has more to say than a sentence cannot be sent
        raise ArithmeticError(str(error)) from None


def _named(seed: int, watch: Watch, title: str, done: int, total: int) -> None:
    watch(f"seed {seed}: {title}", done, total)


def _draw_stages(folder: Path, rows: dict[str, Summary], data: str, whole: bool) -> Path:
    series = {name: [summary.stage(key).each for key in STAGES] for name, summary in rows.items()}
    marks = [REPORT["stages"].get(key) for key in STAGES] if whole else []
    bars = Bars(tuple(STAGES.values()), series, marks, "the report")
    draw_bars(folder / PICTURE, bars, scale="mIoU, %", title=data)
    return folder / PICTURE


def _draw_grids(folder: Path, rows: dict[str, Summary]) -> Iterator[Path]:
    for name, summary in rows.items():
        path, grid = folder / f"widths-{name}.png", summary.chains[0].grid
        draw_heatmap(
            path,
            summary.grid,
            rows=grid["alphas"],
            columns=grid["betas"],
            down="θα, pixels",
            across="θβ, colour (0-255)",
            scale="mIoU, %",
            title=f"SEC + CRF on {grid['split']}, settings {name}",
        )
        yield path
