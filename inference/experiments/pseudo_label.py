"""Pseudo-labels: a dataset whose training masks were made by a stage, for any recipe to learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import (
    VOCWriter,
    Watch,
    bring_others,
    claim_folder,
    new_folder,
    stored,
)
from scene.labels import VOID

from ..segmentation.segmenter import Segmenter

Known = Literal["known", "predicted"]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        folder: Where.
        scenes: How many scenes each split has; those of ``train`` have weak masks but for a few,
            the others their true ones.
        true: How many of ``train`` have their true masks.
        void: Share of the pixels of the weak masks that are void.
        augmentation: How the source's scenes are varied in training; a folder cannot say so.
    """

    folder: Path
    scenes: dict[str, int]
    true: int
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
    true: int = 0,
    seed: int = 0,
    copy: bool = False,
    force: bool = False,
    about: dict[str, Any] | None = None,
    watch: Watch = lambda title, done, total: None,
) -> Written:
    """Write a dataset in VOC layout whose ``train`` has weak masks of a split's scenes.

    They are listed in ``ImageSets/Segmentation/weak.txt``. Other splits that hold masks come
    along with those. Nothing is there until all of it is.

    Args:
        segmenter: A model and its stage.
        source: As ``--data``.
        folder: Where to; its parent may have to be made.
        split: Whose scenes are segmented.
        limit: Only the first so many of them.
        confidence: Pixels whose label is less probable are void.
        labels: ``known``: a scene whose image-level labels are known gets no others;
            ``predicted``: what is known is not looked at.
        true: How many scenes, chosen by ``seed``, keep their true masks.
        seed: Chooses these.
        copy: Copy pictures where they could be linked.
        force: Replace a dataset that was written so before.
        about: What else to note in the folder.
        watch: Told how far it has come.

    Raises:
        FileExistsError: If the folder is there.
        LookupError: If the source or the split is not known.
        ValueError: If the data have other labels, or a number is out of range.
    """
    _require(confidence, limit, true)
    claim_folder(folder, force)
    size = segmenter.schema.size
    dataset = open_data(source, split, size)
    segmenter.schema.labels.require(dataset.schema.labels, dataset.name)
    kept = _chosen(dataset, min(len(dataset), limit or len(dataset)), true, seed)
    with new_folder(folder) as part:
        writer = VOCWriter(part, segmenter.schema.labels, copy)
        counts, void = _labelled(
            writer, segmenter, dataset, limit, kept, confidence, labels, watch
        )
        scenes = {"train": counts, **bring_others(writer, source, size, split, watch)}
        noted = {
            "stage": segmenter.stage,
            "crf": segmenter.crf.to_json(),
            "data": source,
            "split": split,
            "confidence": confidence,
            "labels": labels,
            "scenes": scenes,
            "true": len(kept),
            "seed": seed,
            "void": void,
        }
        writer.finish({**(about or {}), **noted})
    return Written(folder, scenes, len(kept), void, dataset.augmentation)


def weak_mask(
    segmenter: Segmenter, image: Tensor, known: Tensor | None, confidence: float
) -> Tensor:
    """Segment ``(3, H, W)`` uint8, and call void what is unsure: ``(H, W)`` uint8."""
    found = segmenter.segment(image, known)
    return torch.where(found.confidence < confidence, VOID, found.mask)


def _require(confidence: float, limit: int | None, true: int) -> None:
    """Refuse numbers that are out of range."""
    if not 0 <= confidence <= 1:
        raise ValueError(f"--confidence is a probability, 0 to 1, not {confidence}.")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    if true < 0:
        raise ValueError(f"--true must be 0 or more, not {true}.")


def _chosen(dataset: SceneDataset, total: int, true: int, seed: int) -> set[int]:
    """Choose so many of the first ``total`` scenes, of those that have a true mask.

    A larger choice of the same seed holds the smaller ones.
    """
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = set[int]()
    for index in order if true else ():
        scene = dataset[index]
        if scene.mask is not None and "mask" not in scene.weak:
            chosen.add(index)
        if len(chosen) == true:
            return chosen
    if true:
        raise ValueError(
            f"--true {true} scenes are to keep their masks, but of {total} scenes of "
            f"{dataset.split} only {len(chosen)} have a true one; choose fewer."
        )
    return chosen


def _labelled(
    writer: VOCWriter,
    segmenter: Segmenter,
    dataset: SceneDataset,
    limit: int | None,
    kept: set[int],
    confidence: float,
    labels: Known,
    watch: Watch,
) -> tuple[int, float]:
    """Write scenes, those of ``kept`` with true masks and the others with weak ones.

    Returns:
        How many, and what share of the weak masks' pixels is void.
    """
    total = min(len(dataset), limit or len(dataset))
    count, void, pixels = 0, 0, 0
    for index in range(total):
        scene = dataset.original(index)
        assert scene.image is not None
        name, picture = stored(dataset, index, scene.image)
        told = None if "classes" in scene.weak else scene.classes
        if index in kept and scene.mask is not None:
            count += writer.add("train", name, picture, scene.mask, told)
        else:
            known = told if labels == "known" else None
            mask = weak_mask(segmenter, scene.image, known, confidence)
            count += writer.add("train", name, picture, mask, told, weak=True)
            void, pixels = void + int((mask == VOID).sum()), pixels + mask.numel()
        watch(f"labelling {dataset.split}", index + 1, total)
    return count, void / max(pixels, 1)
