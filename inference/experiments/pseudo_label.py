"""Pseudo-labels: a dataset whose training masks are predictions of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import (
    VOCWriter,
    copy_other_splits,
    new_folder,
    picture_of,
    require_dataset_folder,
)
from scene.labels import VOID
from scene.notices import Progress

from ..segmentation.segmenter import Segmenter

if TYPE_CHECKING:
    from .mask_files import MaskCache, MaskPictures  # which load matplotlib

LabelSource = Literal["known", "predicted"]


@dataclass(frozen=True)
class PseudoLabels:
    """A dataset with pseudo-labels.

    Attributes:
        folder: Where it is.
        scenes: Number of scenes of each split; ``train`` has weak masks except for ``true``
            scenes, other splits have ground-truth masks.
        true: Number of scenes of ``train`` with ground-truth masks.
        void: Share of void pixels in the weak masks.
        augmentation: Default augmentation of the source, which a folder does not store.
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
    labels: LabelSource = "known",
    true: int = 0,
    seed: int = 0,
    copy: bool = False,
    force: bool = False,
    about: dict[str, Any] | None = None,
    cache: MaskCache | None = None,
    pictures: MaskPictures | None = None,
    watch: Progress = lambda title, done, total: None,
) -> PseudoLabels:
    """Write a dataset in VOC layout whose ``train`` has weak masks of a split's scenes.

    They are listed in ``ImageSets/Segmentation/weak.txt``. Other splits with masks are copied.
    The folder appears when it is complete.

    Args:
        segmenter: A model and its stage.
        source: The data, as for ``--data``.
        folder: The new folder; missing parents are made.
        split: The split to segment.
        limit: Use the first so many scenes only; None = all.
        confidence: Pixels whose label is less probable are void.
        labels: ``known``: known image-level labels of a scene exclude other labels;
            ``predicted``: image-level labels are not used.
        true: Number of random scenes that keep their ground-truth masks.
        seed: Seed of the choice of these scenes.
        copy: Copy images where they could be linked.
        force: Replace an earlier dataset.
        about: Further entries of ``about.json``.
        cache: Weak masks that an interrupted call computed; new ones are added.
        pictures: Draws the weak masks, into the folder.
        watch: Called with the progress.

    Raises:
        FileExistsError: If the folder exists.
        LookupError: If the source or the split does not exist.
        ValueError: If the data have other labels, or a number is out of range.
    """
    require_numbers(confidence, limit, true)
    require_dataset_folder(folder, force)
    size = segmenter.schema.size
    dataset = open_data(source, split, size)
    segmenter.schema.labels.require(dataset.schema.labels, dataset.name)
    with_true_mask = _random_scenes(dataset, min(len(dataset), limit or len(dataset)), true, seed)
    with new_folder(folder) as part:
        writer = VOCWriter(part, segmenter.schema.labels, copy)
        masks = _WeakMasks(segmenter, confidence, labels, cache)
        counts, void = _write_train(writer, masks, dataset, limit, with_true_mask, pictures, watch)
        if pictures is not None:
            pictures.finish(part)
        scenes = {"train": counts, **copy_other_splits(writer, source, size, split, watch)}
        summary = {
            "stage": segmenter.stage,
            "crf": segmenter.crf.to_json(),
            "data": source,
            "split": split,
            "confidence": confidence,
            "labels": labels,
            "scenes": scenes,
            "true": len(with_true_mask),
            "seed": seed,
            "void": void,
        }
        writer.finish({**(about or {}), **summary})
    return PseudoLabels(folder, scenes, len(with_true_mask), void, dataset.augmentation)


def weak_mask(
    segmenter: Segmenter, image: Tensor, known: Tensor | None, confidence: float
) -> Tensor:
    """Return the mask of an image, ``(H, W)`` uint8; pixels of less confidence are void."""
    result = segmenter.segment(image, known)
    return torch.where(result.confidence < confidence, VOID, result.mask)


def require_numbers(confidence: float, limit: int | None = None, true: int = 0) -> None:
    """Refuse numbers that are out of range, see `pseudo_label`.

    Raises:
        ValueError: If one is.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"--confidence is a probability, 0 to 1, not {confidence}.")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    if true < 0:
        raise ValueError(f"--true must be 0 or more, not {true}.")


def _random_scenes(dataset: SceneDataset, total: int, true: int, seed: int) -> set[int]:
    """Return random scenes with a ground-truth mask, of the first ``total``.

    With the same seed, a larger choice contains a smaller one.
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
            f"--true {true} asks for more scenes than there are: only {len(chosen)} of the "
            f"{total} scenes of {dataset.split} have a ground-truth mask; choose {len(chosen)} "
            "or fewer."
        )
    return chosen


@dataclass(frozen=True)
class _WeakMasks:
    """Makes weak masks, or reads those that an interrupted call made."""

    segmenter: Segmenter
    confidence: float
    labels: LabelSource
    cache: MaskCache | None

    def of(self, name: str, picture: Path | Tensor, image: Tensor, known: Tensor | None) -> Tensor:
        """Return the mask of a scene, ``(H, W)`` uint8.

        Args:
            name: Name of the scene.
            picture: The file of its image, or the image.
            image: ``(3, H, W)`` uint8.
            known: Image-level labels ``(C,)``; None = not known.
        """
        known = known if self.labels == "known" else None
        if self.cache is None:
            return weak_mask(self.segmenter, image, known, self.confidence)
        mask = self.cache.get(name, picture, (image.shape[1], image.shape[2]))
        if mask is None:
            mask = weak_mask(self.segmenter, image, known, self.confidence)
            self.cache.put(name, picture, mask)
        return mask


def _write_train(
    writer: VOCWriter,
    masks: _WeakMasks,
    dataset: SceneDataset,
    limit: int | None,
    with_true_mask: set[int],
    pictures: MaskPictures | None,
    watch: Progress,
) -> tuple[int, float]:
    """Write scenes, those of ``with_true_mask`` with ground-truth masks and others with weak ones.

    Returns:
        Number of scenes, and share of void pixels in the weak masks.
    """
    total = min(len(dataset), limit or len(dataset))
    count, void, pixels = 0, 0, 0
    for index in range(total):
        scene = dataset.original(index)
        assert scene.image is not None
        name, picture = picture_of(dataset, index, scene.image)
        classes = None if "classes" in scene.weak else scene.classes
        if index in with_true_mask and scene.mask is not None:
            count += writer.add("train", name, picture, scene.mask, classes)
        else:
            mask = masks.of(name, picture, scene.image, classes)
            count += writer.add("train", name, picture, mask, classes, weak=True)
            void, pixels = void + int((mask == VOID).sum()), pixels + mask.numel()
            if pictures is not None:
                pictures.add(writer.folder, name, scene.image, mask, classes)
        watch(f"labelling {dataset.split}", index + 1, total)
    return count, void / max(pixels, 1)
