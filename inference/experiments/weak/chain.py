"""One seed of weak supervision from end to end: its networks trained, its stages measured.

::

    seed-0/
        classifier/  twin/   runs, as `scene train` makes them
        report/sec/          likewise, one of SEC for each row of settings
        report/result.json   the scores of that row, and what was chosen for it
        report/masks.png     what every stage made of the first scenes
        results/             every CRF's confusion matrix, so that an interruption costs little
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...crf.parameters import Parameters
from ...devices import Device, device_of
from ...runs import run as runs
from ...runs.run import CONFIG, Run
from ...segmentation.classifier import cue_settings
from ...segmentation.cue_files import CueScore
from ...segmentation.cues import CueSettings
from ...segmentation.score import StageScore
from ...segmentation.segmenter import Segmenter, load
from ...segmentation.stage_figures import draw_stages
from ...settings.settings import Settings
from ...training.log import Report
from ...training.obtain import obtain
from ..crf.ablate import ablate
from ..fingerprints import digest
from .bench import ALONE, Bench, Watch
from .choices import (
    Choice,
    as_settings,
    choose_crf,
    choose_cues,
    choose_look,
    cue_candidates,
    cues_named,
)
from .plan import CHOOSING, PLANS, Request
from .predictions import weights_of
from .results import STAGES, Chain, classified, kept

RESULT, PICTURE = "result.json", "masks.png"

_DRAWN = 8


@dataclass(frozen=True)
class Seed:
    """One seed's part of the work: plain data, so that a process of its own can do it.

    Attributes:
        request: What to do.
        seed: Of all training.
        plans: Which rows of `PLANS`.
        folder: Where everything goes.
        cells: SEC's grid.
        common: Classes that the second mean leaves out.
        device: Where networks compute.
        jobs: Processes for the CRF.
    """

    request: Request
    seed: int
    plans: tuple[str, ...]
    folder: Path
    cells: tuple[int, int]
    common: tuple[str, ...] = ()
    device: Device = "auto"
    jobs: int = 1


def run_seed(part: Seed, watch: Watch = lambda title, done, total: None) -> list[Chain]:
    """Train what is not trained yet, measure what is not measured yet; one result a row.

    Raises:
        ArithmeticError: If a training diverges.
        ValueError: If the folder holds a run of other settings.
    """
    request, folder = part.request, part.folder
    learn = partial(_learned, device=part.device, watch=watch)
    classifier = learn(folder / "classifier", request.classifier(part.seed))
    twin = learn(folder / "twin", request.twin(part.seed, classifier.folder))
    place = device_of(part.device)
    bench = Bench(request, classifier.settings.data.size, folder, place, part.jobs, watch)
    found = [_Row(part, name, bench, classifier, twin).chain() for name in part.plans]
    shutil.rmtree(folder / "unaries", ignore_errors=True)
    return found


class _Row:
    """One row of settings of a seed."""

    def __init__(self, part: Seed, name: str, bench: Bench, classifier: Run, twin: Run) -> None:
        self.part, self.name, self.bench = part, name, bench
        self.classifier, self.twin = classifier, twin
        self.folder, self.plan = part.folder / name, PLANS[name]
        self.labels = bench.dataset(part.request.reported).schema.labels
        self.crfs: dict[str, Choice[Parameters]] = {}
        self.networks: dict[str, tuple[Segmenter, Parameters]] = {}
        self.stages: dict[str, Any] = {}

    def chain(self) -> Chain:
        """Do it, or read it back."""
        place = self.folder / RESULT
        sec = self.folder / "sec"
        if place.is_file() and (sec / CONFIG).is_file():
            found = kept(place, self._asked(runs.read(sec)))
            if found is not None:
                return found
        return self._made().save(place)

    def _made(self) -> Chain:
        look = choose_look(self.bench, self.classifier, self.plan)
        maps = self._load(self.classifier, "gradcam", look=look.value)
        self._choose_crf("gradcam", maps, self.classifier)
        cues, right = self._cues(maps, look.value)
        settings = self.part.request.sec(
            self.part.seed, self.classifier.folder, **as_settings(cues.value)
        )
        sec = _learned(self.folder / "sec", settings, self.part.device, self.bench.watch)
        self._score("gradcam", maps, self.classifier)
        self._score("sec", self._load(sec, "sec"), sec)
        self._score("twin", self._load(self.twin, "mask"), self.twin)
        self._draw()
        return Chain(
            seed=self.part.seed,
            settings=self.name,
            asked=self._asked(sec),
            classifier=classified(self.classifier),
            chosen=self._chosen(look, cues),
            cues=asdict(right),
            stages=self.stages,
            **self._ablated(sec),
        )

    def _load(self, run: Run, stage: str, **more: Any) -> Segmenter:
        return load(run, stage, device=self.bench.device, engine=self.part.request.engine, **more)

    def _choose_crf(self, key: str, segmenter: Segmenter, run: Run) -> None:
        scenes = self.bench.scenes(segmenter, run, self._called(key), CHOOSING)
        self.crfs[key] = choose_crf(self.bench, scenes, key)

    def _cues(self, maps: Segmenter, look: CueSettings) -> tuple[Choice[CueSettings], CueScore]:
        recipe = cue_settings(self.part.request.sec(self.part.seed))
        scale = math.sqrt(math.prod(self.bench.size)) / self.bench.side
        found = cue_candidates(self.plan, recipe, look, self.crfs["gradcam"].value, scale)
        return choose_cues(self.bench, maps.assembly, self.part.cells, found)

    def _score(self, key: str, segmenter: Segmenter, run: Run) -> None:
        """Score a network on the reported split, alone and with the CRF chosen for it."""
        if key not in self.crfs:
            self._choose_crf(key, segmenter, run)
        crf = self.crfs[key].value
        self.networks[STAGES[key]] = segmenter, crf
        split = self.part.request.reported
        scenes = self.bench.scenes(segmenter, run, self._called(key), split)
        found = self.bench.measure(scenes, [ALONE, crf], key)
        for name, result in zip((key, f"{key}+crf"), found, strict=True):
            score = StageScore(result.score(self.labels), result.scenes, self.part.common)
            self.stages[name] = score.to_json()

    def _draw(self) -> None:
        """Draw the first scenes of the reported split."""
        split = self.part.request.reported
        rows = self.bench.rows(split)[:_DRAWN]
        draw_stages(self.folder / PICTURE, self.bench.dataset(split), rows, self.networks)

    def _ablated(self, sec: Run) -> dict[str, Any]:
        """Take SEC's CRF apart: each kernel's part, and the grid of its widths."""
        bench, request, segmenter = self.bench, self.part.request, self._load(sec, "sec")
        scenes, tune = (
            bench.scenes(segmenter, sec, self._called("sec"), split)
            for split in (request.reported, CHOOSING)
        )
        found = ablate(
            scenes,
            self.crfs["sec"].value,
            alphas=bench.alphas,
            betas=request.betas,
            tune=tune,
            engine=request.engine,
            jobs=bench.jobs,
            folder=bench.folder / "results",
            watch=bench.watch,
        ).to_json()
        return {"kernels": found["rows"], "grid": found["grid"]}

    def _called(self, key: str) -> str:
        return key if key == "twin" else f"{self.name}-{key}"

    def _chosen(self, look: Choice[CueSettings], cues: Choice[CueSettings]) -> dict[str, Any]:
        """Say what was chosen, and what else was tried."""
        seen, none = look.value, self.labels.background is None
        return {
            "split": CHOOSING,
            "scenes": len(self.bench.rows(CHOOSING)),
            "layer": seen.layer,
            "exponent": None if none else seen.exponent,
            "looks": look.tried,
            "cues": cues_named(cues.value),
            "cue_settings": as_settings(cues.value),
            "cues_tried": cues.tried,
            "crf": {key: crf.value.to_json() for key, crf in self.crfs.items()},
            "crfs_tried": {key: crf.tried for key, crf in self.crfs.items()},
        }

    def _asked(self, sec: Run) -> str:
        """Say what the result depends on, as a digest."""
        weights = [weights_of(run) for run in (self.classifier, self.twin, sec)]
        asked = self.part.request.to_json(), self.plan, self.part.common
        return digest(version("scene-suite"), asked, weights)


def _learned(folder: Path, settings: Settings, device: Device, watch: Watch) -> Run:
    def seen(report: Report) -> None:
        watch(f"training {settings.recipe}", report.step, report.steps)

    return obtain(settings, folder, device=device, watch=seen)
