"""Results of reproducing weak supervision, as plain data: of one seed, and over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scene.storage.files import read_json

from ...runs.run import SUMMARY, Run
from ..cache import read_result, write_result

STAGES = {
    "gradcam": "Grad-CAM",
    "gradcam+crf": "Grad-CAM + CRF",
    "sec": "SEC",
    "sec+crf": "SEC + CRF",
    "supervised": "supervised",
    "supervised+crf": "supervised + CRF",
}
"""Titles of the stages, the rows of their table."""

KERNELS = {
    "unary": "unaries alone",
    "smoothness": "smoothness only",
    "appearance": "appearance only",
    "both": "both",
}
"""Titles of the sets of kernels, the rows of their table."""

REPORT = {
    "stages": {"gradcam": 26.9, "gradcam+crf": 31.2, "sec": 44.8, "sec+crf": 50.6},
    "kernels": {"smoothness": 26.9, "appearance": 30.7, "both": 31.2},
}
"""Mean IoU on PASCAL VOC 2012 val in the report that this reproduces; its kernels were measured
on Grad-CAM."""

RATIO = 50.7 / 67.6
"""SEC + CRF divided by supervised + CRF, as published for PASCAL VOC 2012 val."""


@dataclass(frozen=True)
class SeedResult:
    """The result of one seed and one variant, as plain data.

    Attributes:
        seed: Seed of all trainings.
        variant: Its name in `inference.experiments.weak.request.VARIANTS`.
        key: The digest of everything that the result depends on.
        classifier: F1, AP and threshold of the classifier, and the split they were measured on.
        selected: The settings selected, the split they were selected on, scores of candidates.
        cues: Precision and coverage of SEC's cues by label, on the split of selection.
        stages: By the names of `STAGES`, as `inference.segmentation.score.StageScore.to_json`.
        kernels: Scores of SEC's unaries with the kernels of `KERNELS`.
        grid: Mean IoU of SEC + CRF over both widths of its appearance kernel.
    """

    seed: int
    variant: str
    key: str
    classifier: dict[str, Any]
    selected: dict[str, Any]
    cues: dict[str, Any]
    stages: dict[str, Any]
    kernels: dict[str, Any]
    grid: dict[str, Any]

    def save(self, path: Path) -> SeedResult:
        """Write the result, whole or not at all; return it as `read` does."""
        return SeedResult(**write_result(path, self.key, asdict(self)))

    @classmethod
    def read(cls, path: Path, key: str) -> SeedResult | None:
        """Read a result; None if the file is damaged, or the result depends on something else."""
        result = read_result(path, key)
        return None if result is None else cls(**result)


def classifier_scores(run: Run) -> dict[str, Any]:
    """Return macro-F1, mean AP and threshold of a classifier's run, and their split."""
    summary = read_json(run.path(SUMMARY))
    score = summary["headline"]["score"] or {}
    return {
        **{name: score.get(name) for name in ("macro_f1", "map")},
        "threshold": summary.get("threshold"),
        "split": summary["split"],
    }


@dataclass(frozen=True)
class AcrossSeeds:
    """A figure of each seed, with mean and standard deviation.

    Attributes:
        each: The figure of each seed.
    """

    each: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.each)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None with one seed."""
        return statistics.stdev(self.each) if len(self.each) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"each": self.each, "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Ordering:
    """An expected order of rows in a table, and whether it holds.

    Attributes:
        expected: Such as ``a < b < c``.
        holds: For each seed, whether it holds.
    """

    expected: str
    holds: tuple[bool, ...]


@dataclass(frozen=True)
class Summary:
    """The results of one variant over all seeds."""

    results: tuple[SeedResult, ...]

    def stage(self, name: str, part: str = "miou") -> AcrossSeeds:
        """Return the mean IoU of a stage; with ``uncommon_miou`` without the common classes."""
        return AcrossSeeds(tuple(result.stages[name][part] for result in self.results))

    def kernel(self, name: str) -> AcrossSeeds:
        """Return the mean IoU with a set of kernels of `KERNELS`."""
        return AcrossSeeds(tuple(result.kernels[name]["miou"] for result in self.results))

    @property
    def ratio(self) -> AcrossSeeds:
        """Mean IoU of SEC + CRF divided by that of supervised + CRF."""
        pairs = zip(self.stage("sec+crf").each, self.stage("supervised+crf").each, strict=True)
        return AcrossSeeds(tuple(ours / theirs if theirs else 0.0 for ours, theirs in pairs))

    @property
    def orders(self) -> tuple[Ordering, Ordering]:
        """Whether mean IoU rises with each stage, and with each kernel."""
        steps, kernels = tuple(STAGES)[:4], tuple(KERNELS)[1:]
        stages = [[result.stages[name]["miou"] for name in steps] for result in self.results]
        parts = [[result.kernels[name]["miou"] for name in kernels] for result in self.results]
        return (
            Ordering("Grad-CAM < + CRF < SEC < SEC + CRF", tuple(_rises(s, True) for s in stages)),
            Ordering(
                "smoothness only ≤ appearance only ≤ both",
                tuple(_rises(s, False) for s in parts),
            ),
        )

    @property
    def grid(self) -> list[list[float]]:
        """The grid of mean IoU over widths, averaged over seeds."""
        tables = [result.grid["miou"] for result in self.results]
        return [
            [statistics.fmean(cell) for cell in zip(*rows, strict=True)]
            for rows in zip(*tables, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "stages": {name: self.stage(name).to_json() for name in STAGES},
            "kernels": {name: self.kernel(name).to_json() for name in KERNELS},
            "ratio": self.ratio.to_json(),
            "orders": {order.expected: order.holds for order in self.orders},
            "grid": {**self.results[0].grid, "miou": self.grid},
            "seeds": [asdict(result) for result in self.results],
        }


def _rises(values: Sequence[float], strictly: bool) -> bool:
    return all(a < b if strictly else a <= b for a, b in pairwise(values))
