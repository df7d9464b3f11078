"""What came of reproducing, as plain data: one chain's scores, and what several seeds say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scene.storage.files import read_json

from ...runs.run import Run, write_json

STAGES = {
    "gradcam": "Grad-CAM",
    "gradcam+crf": "Grad-CAM + CRF",
    "sec": "SEC",
    "sec+crf": "SEC + CRF",
    "twin": "twin on true masks",
    "twin+crf": "twin + CRF",
}
"""Rows of the table of stages, and what they are called."""

KERNELS = {
    "unary": "unaries alone",
    "smoothness": "smoothness only",
    "appearance": "appearance only",
    "both": "both",
}
"""Rows of the table of kernels."""

REPORT = {
    "stages": {"gradcam": 26.9, "gradcam+crf": 31.2, "sec": 44.8, "sec+crf": 50.6},
    "kernels": {"smoothness": 26.9, "appearance": 30.7, "both": 31.2},
}
"""Mean IoU on PASCAL VOC 2012 val in the report that this reproduces; its kernels were measured
on Grad-CAM."""

RATIO = 50.7 / 67.6
"""SEC + CRF over the same network on true masks + CRF, as published for PASCAL VOC 2012 val."""


@dataclass(frozen=True)
class Chain:
    """One seed under one row of settings; everything in it is plain data.

    Attributes:
        seed: Of all training.
        settings: Name of the row.
        asked: What it was made from, as a digest.
        classifier: Its F1, AP and threshold, and the split they are of.
        chosen: What was chosen, where, and from what.
        cues: Precision and coverage of SEC's cues by label, where settings are chosen.
        stages: By the names of `STAGES`, as `inference.segmentation.score.StageScore.to_json`.
        kernels: By the names of `KERNELS`, of SEC's unaries.
        grid: Mean IoU of SEC + CRF over both widths of its appearance kernel.
    """

    seed: int
    settings: str
    asked: str
    classifier: dict[str, Any]
    chosen: dict[str, Any]
    cues: dict[str, Any]
    stages: dict[str, Any]
    kernels: dict[str, Any]
    grid: dict[str, Any]

    def save(self, path: Path) -> Chain:
        """Write it, whole or not at all; give it as it will be read back."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))
        return Chain(**read_json(path))


def kept(path: Path, asked: str) -> Chain | None:
    """Read a chain back; None if it is damaged, or of something else."""
    try:
        found = Chain(**read_json(path))
    except (ValueError, TypeError):
        return None
    return found if found.asked == asked else None


def classified(run: Run) -> dict[str, Any]:
    """Read what a classifier's run says of its scores."""
    summary = read_json(run.path("summary.json"))
    score = summary["headline"]["score"] or {}
    told = {name: score.get(name) for name in ("macro_f1", "map")}
    return {**told, "threshold": summary.get("threshold"), "split": summary["split"]}


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: each one's, their mean, and their standard deviation if several."""

    each: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.each)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None of one seed."""
        return statistics.stdev(self.each) if len(self.each) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {"each": self.each, "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Order:
    """A claim about the rows of a table, and in how many seeds it held.

    Attributes:
        claim: As ``a < b < c``.
        held: Whether it did, by seed.
    """

    claim: str
    held: tuple[bool, ...]


@dataclass(frozen=True)
class Summary:
    """What the seeds of one row of settings say together."""

    chains: tuple[Chain, ...]

    def stage(self, name: str, part: str = "miou") -> Spread:
        """Give a stage's mean IoU; ``uncommon_miou`` without the common classes."""
        return Spread(tuple(chain.stages[name][part] for chain in self.chains))

    def kernel(self, name: str) -> Spread:
        """Give the mean IoU of a row of the table of kernels."""
        return Spread(tuple(chain.kernels[name]["miou"] for chain in self.chains))

    @property
    def ratio(self) -> Spread:
        """SEC + CRF over its twin + CRF."""
        pairs = zip(self.stage("sec+crf").each, self.stage("twin+crf").each, strict=True)
        return Spread(tuple(ours / theirs if theirs else 0.0 for ours, theirs in pairs))

    @property
    def orders(self) -> tuple[Order, Order]:
        """Whether each step helps, and each kernel does."""
        steps, kernels = tuple(STAGES)[:4], tuple(KERNELS)[1:]
        stages = [[chain.stages[name]["miou"] for name in steps] for chain in self.chains]
        parts = [[chain.kernels[name]["miou"] for name in kernels] for chain in self.chains]
        return (
            Order("Grad-CAM < + CRF < SEC < SEC + CRF", tuple(_rises(s, True) for s in stages)),
            Order(
                "smoothness only ≤ appearance only ≤ both",
                tuple(_rises(s, False) for s in parts),
            ),
        )

    @property
    def grid(self) -> list[list[float]]:
        """The grid of widths, averaged over seeds."""
        tables = [chain.grid["miou"] for chain in self.chains]
        return [
            [statistics.fmean(cell) for cell in zip(*rows, strict=True)]
            for rows in zip(*tables, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "stages": {name: self.stage(name).to_json() for name in STAGES},
            "kernels": {name: self.kernel(name).to_json() for name in KERNELS},
            "ratio": self.ratio.to_json(),
            "orders": {order.claim: order.held for order in self.orders},
            "grid": {**self.chains[0].grid, "miou": self.grid},
            "seeds": [asdict(chain) for chain in self.chains],
        }


def _rises(values: Sequence[float], strictly: bool) -> bool:
    return all(a < b if strictly else a <= b for a, b in pairwise(values))
