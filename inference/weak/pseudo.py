"""Pseudo-labels: a dataset whose training masks were made by a stage, for any recipe to learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from inference.weak.segmenter import Segmenter
from scene.datasets.base import SceneDataset
from scene.datasets.bringing import Watch, bring_others
from scene.datasets.catalogue import open_data
from scene.datasets.writing import VOCWriter, claim_folder, new_folder, stored
from scene.labels import VOID

Known = Literal["known", "predicted"]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        folder: Where.
        scenes: How many scenes each split has; those of ``train`` have weak masks, the others
            their true ones.
        void: Share of the pixels of the weak masks that are void.
        augmentation: How the source's scenes are varied in training; a folder cannot say so.
    """

    folder: Path
    scenes: dict[str, int]
    void: float
    augmentation: str


def pseudo_label(
    segmenter: Segmenter,
    source: str,
    folder: Path,
    *,
    split: str = "train",
    limit: int | None = None,
    confidence: float = 0.7,
    labels: Known = "known",
    copy: bool = False,
    force: bool = False,
    about: dict[str, Any] | None = None,
    watch: Watch = lambda title, done, total: None,
) -> Written:
    """Write a dataset in VOC layout whose ``train`` has weak masks of a split's scenes.

    Other splits that hold masks come along with those. Nothing is there until all of it is.

    Args:
        segmenter: A model and its stage.
        source: As ``--data``.
        folder: Where to; its parent may have to be made.
        split: Whose scenes are segmented.
        limit: Only the first so many of them.
        confidence: Pixels whose label is less probable are void.
        labels: ``known``: a scene whose image-level labels are known gets no others;
            ``predicted``: what is known is not looked at.
        copy: Copy pictures where they could be linked.
        force: Replace a dataset that was written so before.
        about: What else to note in the folder.
        watch: Told how far it has come.

    Raises:
        FileExistsError: If the folder is there.
        LookupError: If the source or the split is not known.
        ValueError: If the data have other labels, or a number is out of range.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"--confidence is a probability, 0 to 1, not {confidence}.")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    claim_folder(folder, force)
    size = segmenter.schema.size
    dataset = open_data(source, split, size)
    segmenter.schema.labels.require(dataset.schema.labels, dataset.name)
    with new_folder(folder) as part:
        writer = VOCWriter(part, segmenter.schema.labels, copy)
        counts, void = _labelled(writer, segmenter, dataset, limit, confidence, labels, watch)
        scenes = {"train": counts, **bring_others(writer, source, size, split, watch)}
        noted = {
            "stage": segmenter.stage,
            "crf": segmenter.crf.to_json(),
            "data": source,
            "split": split,
            "confidence": confidence,
            "labels": labels,
            "scenes": scenes,
            "void": void,
        }
        writer.finish({**(about or {}), **noted})
    return Written(folder, scenes, void, dataset.augmentation)


def weak_mask(
    segmenter: Segmenter, image: Tensor, known: Tensor | None, confidence: float
) -> Tensor:
    """Segment ``(3, H, W)`` uint8, and call void what is unsure: ``(H, W)`` uint8."""
    found = segmenter.segment(image, known)
    return torch.where(found.confidence < confidence, VOID, found.mask)


def _labelled(
    writer: VOCWriter,
    segmenter: Segmenter,
    dataset: SceneDataset,
    limit: int | None,
    confidence: float,
    labels: Known,
    watch: Watch,
) -> tuple[int, float]:
    """Write scenes with weak masks: how many, and what share of their pixels is void."""
    total = min(len(dataset), limit or len(dataset))
    count, void, pixels = 0, 0, 0
    for index in range(total):
        scene = dataset.original(index)
        assert scene.image is not None
        known = scene.classes if labels == "known" else None
        mask = weak_mask(segmenter, scene.image, known, confidence)
        name, picture = stored(dataset, index, scene.image)
        count += writer.add("train", name, picture, mask, scene.classes)
        void, pixels = void + int((mask == VOID).sum()), pixels + mask.numel()
        watch(f"labelling {dataset.split}", index + 1, total)
    return count, void / pixels
