"""Scoring stages: one confusion matrix over a split, at the pixels the images are stored with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.metrics import MaskScore, MaskScorer
from scene.notices import SceneCount
from scene.views import Scene

from ..crf.parameters import Parameters
from .segmenter import Segmenter
from .stages import STAGES

COMMON = 0.9
"""The share of training images from which on a class is common: it is hard to tell from labels
alone where something is that is in nearly every picture."""


@dataclass(frozen=True)
class StageScore:
    """The score of the masks of one stage.

    Attributes:
        score: By the protocol of `scene.metrics`: of all labels that occur in truth or in
            prediction.
        scenes: Number of scenes with a mask.
        common: The classes of `common_classes`.
        weak: Number of those masks that are pseudo-labels.
    """

    score: MaskScore
    scenes: int
    common: tuple[str, ...] = ()
    weak: int = 0

    @property
    def absent(self) -> tuple[str, ...]:
        """The labels left out of the mean, because they occur neither in truth nor prediction."""
        return tuple(name for name, iou in self.score.iou.items() if iou is None)

    @property
    def uncommon(self) -> float:
        """Mean IoU without the common classes; background stays."""
        iou = self.score.iou
        known = [v for k, v in iou.items() if v is not None and k not in self.common]
        return sum(known) / len(known) if known else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is not a number is None."""
        scores = {**asdict(self.score), "uncommon_miou": self.uncommon}
        known = {k: None if v != v else v for k, v in scores.items()}
        more = {
            "scenes": self.scenes,
            "weak": self.weak,
            "absent": self.absent,
            "common": self.common,
        }
        return {**known, **more, "common": self.common}


def score_stage(
    segmenter: Segmenter,
    dataset: SceneDataset,
    refinements: Mapping[str, Parameters | None] | None = None,
    *,
    common: tuple[str, ...] = (),
    batch_size: int = 16,
    limit: int | None = None,
    watch: SceneCount = lambda done, total: None,
) -> dict[str, StageScore]:
    """Score the masks of a network, without a CRF and refined by one CRF or several.

    The network reads each scene once. Whole images are segmented, as `Segmenter.segment`
    does: nothing is cropped away, and every stored pixel that is not void counts.

    Args:
        segmenter: A model and one of its stages.
        dataset: The scenes; those without a mask are left out. Nothing else is read of truth.
        refinements: By the name of the row: the CRF's parameters, or None for no CRF. By default
            one row, the segmenter's own stage.
        common: Classes to leave out of a second mean, see `common_classes`.
        batch_size: Images that the network sees at once.
        limit: Score the first so many scenes only.
        watch: Called with the progress.

    Returns:
        A score by name, in the order of ``refinements``.

    Raises:
        ValueError: If the dataset has other labels, no scene has a mask, or parameters are of
            another number of labels.
    """
    labels = segmenter.schema.labels
    labels.require(dataset.schema.labels, dataset.name)
    if refinements is None:
        own = segmenter.crf if STAGES[segmenter.stage].crf else None
        refinements = {segmenter.stage: own}
    for crf in refinements.values():
        if crf is not None:
            crf.require(len(labels.names))
    scorers = {name: MaskScorer(labels) for name in refinements}
    scenes, weak, total = 0, 0, min(len(dataset), len(dataset) if limit is None else limit)
    for done, batch, pseudo in _masked(dataset, batch_size, total):
        if not batch:
            continue
        weak += pseudo
        resized = torch.stack([segmenter.resized(image) for image, _ in batch])
        predicted = segmenter.probabilities(resized)
        for probs, (image, mask) in zip(predicted, batch, strict=True):
            for name, crf in refinements.items():
                scorers[name].add(segmenter.refine(probs, image, None, crf).mask, mask)
        scenes += len(batch)
        watch(done, total)
    if not scenes:
        raise ValueError(
            f"No scene of {dataset.name} {dataset.split} has a mask to score against."
        )
    return {name: StageScore(s.score(), scenes, common, weak) for name, s in scorers.items()}


def common_classes(
    source: str, size: tuple[int, int], *, count: int | None = None, share: float = COMMON
) -> tuple[str, ...]:
    """Name the classes that are in ``share`` or more of the training images.

    Args:
        source: The data, as for ``--data``.
        size: At which the images are framed.
        count: How many training scenes there are, if they are generated.
        share: See above.
    """
    train = open_data(source, "train", size, count=count)
    seen, present = 0, torch.zeros(len(train.schema.labels.classes))
    for first in range(0, len(train), 50):
        views = train.views(range(first, min(len(train), first + 50)))
        labelled = views["classes"][views.present["classes"]]
        seen, present = seen + len(labelled), present + labelled.sum(0)
    often = (present / max(1, seen)).tolist()
    names = train.schema.labels.classes
    return tuple(name for name, part in zip(names, often, strict=True) if part >= share)


def _masked(
    dataset: SceneDataset, batch_size: int, total: int
) -> Iterator[tuple[int, list[tuple[Tensor, Tensor]], int]]:
    """Yield how many scenes were read, images and masks of those with both, how many are weak."""
    for first in range(0, total, batch_size):
        stop = min(total, first + batch_size)
        scenes: list[Scene] = [dataset.original(i) for i in range(first, stop)]
        yield (
            stop,
            [(s.image, s.mask) for s in scenes if s.image is not None and s.mask is not None],
            sum("mask" in s.weak for s in scenes),
        )
