"""Weak supervision from end to end with one seed: networks are trained, stages are measured.

::

    seed-0/
        classifier/  supervised/   runs, as of `scene train`
        report/sec/          the run of SEC, one for each variant
        report/result.json   the scores of the variant, and the settings selected for it
        report/masks.png     masks of every stage for the first scenes
        results/             the confusion matrix of every CRF, cached
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scene.networks.memory import remembering
from scene.notices import Progress

from ...crf.parameters import NO_CRF, Parameters
from ...crf.parameters import save as save_crf
from ...devices import Device, device_of
from ...runs import run as runs
from ...runs.run import CONFIG, Run
from ...segmentation.cue_files import CueScore
from ...segmentation.cues import CueSettings, cue_settings
from ...segmentation.figures import draw_stages
from ...segmentation.fitted_crf import FILE
from ...segmentation.score import StageScore
from ...segmentation.segmenter import Segmenter, load
from ...settings.settings import Settings
from ...training.log import Report
from ...training.session import obtain
from ..cache import digest, weights_digest
from ..crf.ablate import ablate
from .request import TUNE_SPLIT, VARIANTS, Request
from .results import STAGES, SeedResult, classifier_scores
from .selection import (
    CRFSelection,
    Selection,
    StageEvaluator,
    cue_candidates,
    describe_background,
    describe_cues,
    sec_settings,
    select_crf,
    select_cues,
    select_maps,
)

RESULT, PICTURE = "result.json", "masks.png"

DRAWN = 8
"""Scenes in the picture of all stages."""


@dataclass(frozen=True)
class SeedTask:
    """The work of one seed: plain data, so that another process can do it.

    Attributes:
        request: What to reproduce.
        seed: Seed of all trainings.
        variants: Names of `VARIANTS`.
        folder: Where runs and results go.
        cells: Rows and columns of SEC's grid.
        common: Classes that the second mean IoU leaves out.
        device: Where networks compute.
        jobs: Processes for the CRF.
    """

    request: Request
    seed: int
    variants: tuple[str, ...]
    folder: Path
    cells: tuple[int, int]
    common: tuple[str, ...] = ()
    device: Device = "auto"
    jobs: int = 1


@remembering()
def run_seed(
    task: SeedTask, watch: Progress = lambda title, done, total: None
) -> list[SeedResult]:
    """Train and measure what is not there yet; return one result for each variant.

    Raises:
        ArithmeticError: If a training diverges.
        ValueError: If the folder holds a run of other settings.
    """
    request, folder = task.request, task.folder
    trained = partial(train_or_read, device=task.device, watch=watch)
    classifier = trained(folder / "classifier", request.classifier(task.seed))
    supervised = trained(folder / "supervised", request.supervised(task.seed, classifier.folder))
    size, device = classifier.settings.data.size, device_of(task.device)
    evaluator = StageEvaluator(request, size, folder, device, task.jobs, watch)
    results = [
        _Pipeline(task, name, evaluator, classifier, supervised).run() for name in task.variants
    ]
    shutil.rmtree(folder / "unaries", ignore_errors=True)
    return results


def train_or_read(folder: Path, settings: Settings, device: Device, watch: Progress) -> Run:
    """Return the complete run of some settings; see `inference.training.session.obtain`."""

    def report(state: Report) -> None:
        watch(f"training {settings.recipe}", state.step, state.steps)

    return obtain(settings, folder, device=device, watch=report)


class _Pipeline:
    """One variant of a seed: from class maps to cues, SEC, its CRF and their scores."""

    def __init__(
        self,
        task: SeedTask,
        name: str,
        evaluator: StageEvaluator,
        classifier: Run,
        supervised: Run,
    ) -> None:
        self.task, self.name, self.evaluator = task, name, evaluator
        self.classifier, self.supervised = classifier, supervised
        self.folder, self.variant = task.folder / name, VARIANTS[name]
        self.labels = evaluator.dataset(task.request.reported).schema.labels
        self.crfs: dict[str, CRFSelection] = {}
        self.networks: dict[str, tuple[Segmenter, Parameters]] = {}
        self.stages: dict[str, Any] = {}

    def run(self) -> SeedResult:
        """Return the result, computed or read back."""
        path, sec = self.folder / RESULT, self.folder / "sec"
        if path.is_file() and (sec / CONFIG).is_file():
            result = SeedResult.read(path, self._key(runs.read(sec)))
            if result is not None:
                return result
        return self._computed().save(path)

    def _computed(self) -> SeedResult:
        maps = select_maps(self.evaluator, self.classifier, self.variant)
        gradcam = self._load(self.classifier, "gradcam", class_maps=maps.value)
        self._select_crf("gradcam", gradcam, self.classifier)
        cues, cue_score = self._cues(gradcam, maps.value)
        settings = self.task.request.sec(
            self.task.seed, self.classifier.folder, **sec_settings(cues.value)
        )
        watch = self.evaluator.watch
        sec = train_or_read(self.folder / "sec", settings, self.task.device, watch)
        self._score("gradcam", gradcam, self.classifier)
        self._score("sec", self._load(sec, "sec"), sec)
        self._score("supervised", self._load(self.supervised, "mask"), self.supervised)
        self._store("sec", sec)
        self._store("supervised", self.supervised)
        self._draw()
        return SeedResult(
            seed=self.task.seed,
            variant=self.name,
            key=self._key(sec),
            classifier=classifier_scores(self.classifier),
            selected=self._selected(maps, cues),
            cues=asdict(cue_score),
            stages=self.stages,
            **self._ablation(sec),
        )

    def _load(self, run: Run, stage: str, **more: Any) -> Segmenter:
        engine = self.task.request.engine
        return load(run, stage, device=self.evaluator.device, engine=engine, **more)

    def _select_crf(self, stage: str, segmenter: Segmenter, run: Run) -> None:
        scenes = self.evaluator.scenes(segmenter, run, self._title(stage), TUNE_SPLIT)
        self.crfs[stage] = select_crf(self.evaluator, scenes, stage)

    def _cues(
        self, gradcam: Segmenter, maps: CueSettings
    ) -> tuple[Selection[CueSettings], CueScore]:
        recipe = cue_settings(self.task.request.sec(self.task.seed))
        scale = math.sqrt(math.prod(self.evaluator.size)) / self.evaluator.side
        crf = self.crfs["gradcam"].kernels
        candidates = cue_candidates(self.variant, recipe, maps, crf, scale)
        return select_cues(self.evaluator, gradcam.assembly, self.task.cells, candidates)

    def _score(self, stage: str, segmenter: Segmenter, run: Run) -> None:
        """Score a stage on the reported split, without a CRF and with the one selected for it."""
        if stage not in self.crfs:
            self._select_crf(stage, segmenter, run)
        crf = self.crfs[stage].value
        self.networks[STAGES[stage]] = segmenter, crf
        split = self.task.request.reported
        scenes = self.evaluator.scenes(segmenter, run, self._title(stage), split)
        results = self.evaluator.measure(scenes, [NO_CRF, crf], stage)
        for name, result in zip((stage, f"{stage}+crf"), results, strict=True):
            score = StageScore(result.score(self.labels), result.scenes, self.task.common)
            self.stages[name] = score.to_json()

    def _store(self, stage: str, run: Run) -> None:
        """Store the CRF selected for a stage with its run, for `scene segment`."""
        selected = self.crfs[stage]
        about = {"helps": selected.value != NO_CRF, "note": selected.note}
        save_crf(run.path(FILE), selected.kernels, about)

    def _draw(self) -> None:
        """Draw the first scenes of the reported split."""
        split = self.task.request.reported
        rows = self.evaluator.rows(split)[:DRAWN]
        draw_stages(self.folder / PICTURE, self.evaluator.dataset(split), rows, self.networks)

    def _ablation(self, sec: Run) -> dict[str, Any]:
        """Ablate SEC's CRF: scores without kernels, with each and with both, and a grid."""
        evaluator, request, segmenter = self.evaluator, self.task.request, self._load(sec, "sec")
        scenes, tune = (
            evaluator.scenes(segmenter, sec, self._title("sec"), split)
            for split in (request.reported, TUNE_SPLIT)
        )
        ablation = ablate(
            scenes,
            self.crfs["sec"].kernels,
            alphas=evaluator.alphas,
            betas=request.betas,
            tune=tune,
            engine=request.engine,
            jobs=evaluator.jobs,
            folder=evaluator.folder / "results",
            watch=evaluator.watch,
        ).to_json()
        return {"kernels": ablation["rows"], "grid": ablation["grid"]}

    def _title(self, stage: str) -> str:
        return stage if stage == "supervised" else f"{self.name}-{stage}"

    def _selected(
        self, maps: Selection[CueSettings], cues: Selection[CueSettings]
    ) -> dict[str, Any]:
        """Return the settings selected, and the scores of all candidates."""
        no_background = self.labels.background is None
        return {
            "split": TUNE_SPLIT,
            "scenes": len(self.evaluator.rows(TUNE_SPLIT)),
            "layer": maps.value.layer,
            "background": None if no_background else describe_background(maps.value),
            "map_scores": maps.scores,
            "cues": describe_cues(cues.value),
            "cue_settings": sec_settings(cues.value),
            "cue_scores": cues.scores,
            "crf": {stage: crf.value.to_json() for stage, crf in self.crfs.items()},
            "kernels": {stage: crf.kernels.to_json() for stage, crf in self.crfs.items()},
            "no_crf": [stage for stage, crf in self.crfs.items() if crf.value == NO_CRF],
            "crf_scores": {stage: crf.scores for stage, crf in self.crfs.items()},
        }

    def _key(self, sec: Run) -> str:
        """Return the digest of everything that the result depends on."""
        weights = [weights_digest(run) for run in (self.classifier, self.supervised, sec)]
        request = self.task.request.to_json(), self.variant, self.task.common
        return digest(version("scene-suite"), request, weights, NO_CRF)
