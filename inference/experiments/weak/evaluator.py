"""The evaluator of stages: predictions of one seed's networks, with CRFs, scored by split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import Progress

from ...crf.parameters import Parameters
from ...runs.run import Run
from ...segmentation.segmenter import Segmenter
from ..crf.measure import Result, measure
from ..crf.unaries import Scenes, rows
from ..predictions import predict_stage
from .request import ALPHAS, SMOOTHNESS, TUNE_SPLIT, WEIGHTS, Request

NO_CRF = Parameters(smoothness_weight=0.0, appearance_weight=0.0)
"""Parameters without a kernel: no CRF."""


@dataclass
class StageEvaluator:
    """Scores the stages of one seed, on the reported split or on that of selection.

    Results are cached in the folder.

    Attributes:
        request: Data, scenes and engine.
        size: Height and width of scenes for the networks.
        folder: For ``unaries``, which may be removed at the end, and ``results``.
        device: Where networks compute.
        jobs: Processes for the CRF.
        watch: Told how far the work is.
    """

    request: Request
    size: tuple[int, int]
    folder: Path
    device: torch.device
    jobs: int = 1
    watch: Progress = lambda title, done, total: None
    _opened: dict[str, SceneDataset] = field(default_factory=dict)

    def dataset(self, split: str) -> SceneDataset:
        """Return a split, which is opened once."""
        if split not in self._opened:
            self._opened[split] = open_data(self.request.data, split, self.size)
        return self._opened[split]

    def rows(self, split: str) -> list[int]:
        """Return the indices of the scenes of a split that are used; all have masks."""
        return rows(self.dataset(split), self._limit(split), None)

    def scenes(self, segmenter: Segmenter, run: Run, name: str, split: str) -> Scenes:
        """Return the scenes of a split with a stage's predictions as unaries.

        Args:
            segmenter: The stage.
            run: The run that it has its weights from.
            name: A name of its own among the stages of the seed.
            split: The split.
        """
        watch = partial(self.watch, f"{name} on {split}")
        folder = self.folder / "unaries" / f"{name}-{split}"
        unaries = predict_stage(
            segmenter, run, self.dataset(split), self.rows(split), folder, watch
        )
        return Scenes(self.request.data, split, unaries, self.size, self._limit(split))

    def measure(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[Result]:
        """Apply the CRF with each of the parameters to the scenes; return counts for scores."""
        return measure(
            scenes,
            settings,
            engine=self.request.engine,
            jobs=self.jobs,
            folder=self.folder / "results",
            watch=partial(self.watch, f"{title} on {scenes.split}"),
        )

    def score(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[float]:
        """Return the mean IoU with each of the parameters, in percent."""
        labels = self.dataset(scenes.split).schema.labels
        return [result.score(labels).miou for result in self.measure(scenes, settings, title)]

    @property
    def alphas(self) -> tuple[float, ...]:
        """Widths θα in pixels: those of the request, or shares `ALPHAS` of the side."""
        shares = tuple(round(share * self.side, 1) for share in ALPHAS)
        return self.request.alphas or shares

    @property
    def side(self) -> float:
        """The side of an image in pixels: the square root of the first one's area."""
        first = self.dataset(TUNE_SPLIT).original(self.rows(TUNE_SPLIT)[0]).image
        assert first is not None
        return math.sqrt(math.prod(first.shape[-2:]))

    @property
    def crf_candidates(self) -> list[Parameters]:
        """The appearance kernels to select from, with the weakest smoothness kernel."""
        sigma, mild = SMOOTHNESS[0]
        return [
            Parameters(
                smoothness_sigma=sigma,
                smoothness_weight=mild,
                appearance_sigma_xy=alpha,
                appearance_sigma_rgb=beta,
                appearance_weight=weight,
            )
            for weight in WEIGHTS
            for alpha in self.alphas
            for beta in self.request.betas
        ]

    def _limit(self, split: str) -> int | None:
        return self.request.tuned if split == TUNE_SPLIT else self.request.limit
