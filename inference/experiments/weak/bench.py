"""Where stages are measured: the beliefs of one seed's networks, refined and scored by split."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data

from ...crf.parameters import Parameters
from ...runs.run import Run
from ...segmentation.segmenter import Segmenter
from ..crf.measure import Result, measure
from ..crf.unaries import Scenes, rows
from .plan import ALPHAS, CHOOSING, SMOOTHNESS, WEIGHTS, Request
from .predictions import believed

ALONE = Parameters(smoothness_weight=0.0, appearance_weight=0.0)
"""No CRF."""

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and of how many."""


@dataclass
class Bench:
    """Scores stages of one seed, on the split that is reported or where settings are chosen.

    Results are kept in the folder as they come, and found again.

    Attributes:
        request: Which data and scenes, and which engine.
        size: Of scenes as networks see them.
        folder: For ``unaries``, which may be removed when all is done, and ``results``.
        device: Where networks compute.
        jobs: Processes among which the CRF's scenes are shared out.
        watch: Told how far it has come.
    """

    request: Request
    size: tuple[int, int]
    folder: Path
    device: torch.device
    jobs: int = 1
    watch: Watch = lambda title, done, total: None
    _opened: dict[str, SceneDataset] = field(default_factory=dict)

    def dataset(self, split: str) -> SceneDataset:
        """Open a split, once."""
        if split not in self._opened:
            self._opened[split] = open_data(self.request.data, split, self.size)
        return self._opened[split]

    def rows(self, split: str) -> list[int]:
        """Give the scenes of a split that are looked at: all have masks."""
        return rows(self.dataset(split), self._limit(split), None)

    def scenes(self, segmenter: Segmenter, run: Run, name: str, split: str) -> Scenes:
        """Let a stage say what it believes of a split.

        Args:
            segmenter: The stage.
            run: Whose weights it has.
            name: What to call it, different from others of the seed.
            split: Which.
        """
        title = f"{name} on {split}"
        place = self.folder / "unaries" / f"{name}-{split}"
        dataset, chosen = self.dataset(split), self.rows(split)
        found = believed(segmenter, run, dataset, chosen, place, partial(self.watch, title))
        return Scenes(self.request.data, split, found, self.size, self._limit(split))

    def measure(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[Result]:
        """Refine scenes under each setting, and score them."""
        return measure(
            scenes,
            settings,
            engine=self.request.engine,
            jobs=self.jobs,
            folder=self.folder / "results",
            watch=partial(self.watch, f"{title} on {scenes.split}"),
        )

    def score(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[float]:
        """Give the mean IoU of scenes refined under each setting."""
        labels = self.dataset(scenes.split).schema.labels
        return [found.score(labels).miou for found in self.measure(scenes, settings, title)]

    @property
    def alphas(self) -> tuple[float, ...]:
        """Widths θα in pixels: those asked for, or `ALPHAS` of the first picture's side."""
        shares = tuple(round(share * self.side, 1) for share in ALPHAS)
        return self.request.alphas or shares

    @property
    def side(self) -> float:
        """The side of a picture in pixels: the root of the first one's area."""
        first = self.dataset(CHOOSING).original(self.rows(CHOOSING)[0]).image
        assert first is not None
        return math.sqrt(math.prod(first.shape[-2:]))

    @property
    def candidates(self) -> list[Parameters]:
        """The appearance kernels among which one is chosen, with the mildest smoothness."""
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
        return self.request.tuned if split == CHOOSING else self.request.limit
