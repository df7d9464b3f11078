"""Scenes with unaries and truth, as measuring and learning a dense CRF want them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.voc import VOCScenes

from .fingerprints import digest, fingerprint
from .unaries import Unaries


@dataclass(frozen=True)
class Example:
    """One scene at its stored pixels, or those of them that the unaries cover.

    Attributes:
        probs: ``(L, H, W)`` float32: the unaries.
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8 true labels, 255 = void.
        name: What to call it in messages.
    """

    probs: Tensor
    image: Tensor
    mask: Tensor
    name: str


@dataclass(frozen=True)
class Scenes:
    """Which scenes, and where their unaries are: plain data, so that every process opens its own.

    Attributes:
        data: As ``--data``.
        split: Of the data.
        unaries: Where probabilities come from.
        size: At which the data are framed; only predictions of a run care.
        limit: Take so many scenes only; None = all.
        seed: Of which ones those are; None = the first.
    """

    data: str
    split: str
    unaries: Unaries
    size: tuple[int, int] | None = None
    limit: int | None = None
    seed: int | None = None

    def open(self) -> SceneDataset:
        """Open the data; raises what `scene.datasets.catalogue.open_data` does."""
        return open_data(self.data, self.split, self.size)

    def rows(self, dataset: SceneDataset) -> list[int]:
        """Give the indices of the scenes taken, in order."""
        return rows(dataset, self.limit, self.seed)

    def fingerprint(self, dataset: SceneDataset) -> str:
        """Change whenever the scenes or their unaries do."""
        chosen = self.rows(dataset)
        return digest(fingerprint(dataset, chosen), chosen, self.unaries.fingerprint())

    def example(self, dataset: SceneDataset, index: int) -> Example | None:
        """Read one scene; None if it has no image or no mask.

        Raises:
            ValueError: If its unaries do not fit it; the message names the file.
        """
        scene = dataset.original(index)
        if scene.image is None or scene.mask is None:
            return None
        probs, covered = self.unaries.probs(dataset, index, scene)
        rows, columns = (covered.any(axis).nonzero().squeeze(-1) for axis in (1, 0))
        down = slice(int(rows[0]), int(rows[-1]) + 1)
        across = slice(int(columns[0]), int(columns[-1]) + 1)
        image = scene.image[:, down, across].permute(1, 2, 0).contiguous()
        probs = probs[:, down, across].contiguous()
        return Example(probs, image, scene.mask[down, across].contiguous(), scene.name)

    def examples(self) -> Iterator[Example]:
        """Read every scene taken that has a mask, one by one."""
        dataset = self.open()
        for index in self.rows(dataset):
            if (example := self.example(dataset, index)) is not None:
                yield example


def rows(dataset: SceneDataset, limit: int | None, seed: int | None) -> list[int]:
    """Choose at most ``limit`` scenes with masks: the first, or a sample drawn from a seed.

    Raises:
        ValueError: If the limit is below 1, or no scene has a mask.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    found = list(range(len(dataset)))
    if isinstance(dataset, VOCScenes):
        found = [i for i, entry in enumerate(dataset.entries) if entry.mask is not None]
    if not found:
        raise ValueError(f"No scene of {dataset.name} {dataset.split} has a mask.")
    if limit is None or seed is None:
        return found[:limit]
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return sorted(found[i] for i in order[:limit].tolist())
