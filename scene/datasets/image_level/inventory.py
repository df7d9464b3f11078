"""The inventory of image-level labels: counts of classes and splits, and files that are broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ...images.io import picture_size
from .index import ImageIndex

MOST_CHECKED = 1000
"""The most photographs whose header is opened."""


@dataclass(frozen=True)
class Inventory:
    """Counts of photographs, and the result of opening some of them.

    Attributes:
        splits: Number of photographs of each split.
        counts: For each class, the number of photographs of each split that have it.
        totals: For each class, the number of photographs that have it.
        imbalance: The largest of the totals divided by the smallest one that is not 0.
        unlabelled: Number of photographs without any class.
        checked: Number of photographs whose header was opened.
        broken: The reason why each of those that cannot be read is broken, by file.
    """

    splits: dict[str, int]
    counts: dict[str, dict[str, int]]
    totals: dict[str, int]
    imbalance: float
    unlabelled: int
    checked: int
    broken: dict[str, str]


def take_inventory(index: ImageIndex, most: int = MOST_CHECKED) -> Inventory:
    """Count the photographs of an index, and open the headers of some of them.

    Args:
        index: The photographs and their labels.
        most: Open at most so many, spread evenly over the index.
    """
    splits = index.by_split
    by_split = {
        split: Counter(name for image in images for name in image.classes)
        for split, images in splits.items()
    }
    counts = {
        name: {split: counter[name] for split, counter in by_split.items()}
        for name in index.labels.classes
    }
    totals = {name: sum(numbers.values()) for name, numbers in counts.items()}
    used = [total for total in totals.values() if total]
    step = max(1, -(-len(index.images) // most))
    chosen = index.images[::step]
    broken = {}
    for image in chosen:
        try:
            picture_size(image.path)
        except (OSError, ValueError) as error:
            broken[image.file] = str(error)
    return Inventory(
        {split: len(images) for split, images in splits.items()},
        counts,
        totals,
        max(used) / min(used) if used else 1.0,
        sum(not image.classes for image in index.images),
        len(chosen),
        broken,
    )
