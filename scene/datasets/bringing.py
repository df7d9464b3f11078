"""Scenes brought along from one dataset into a folder that is written, with their true masks."""

from __future__ import annotations

from collections.abc import Callable

from .base import SPLITS, SceneDataset
from .catalogue import open_data, splits_of
from .writing import VOCWriter, stored

Watch = Callable[[str, int, int], None]
"""Told what is being written, how many scenes are done, and of how many."""


def bring_others(
    writer: VOCWriter, source: str, size: tuple[int, int], but: str, watch: Watch
) -> dict[str, int]:
    """Bring along every split of a source except train and one other.

    Returns:
        How many scenes each split has; one without any is left out.
    """
    others = [s for s in SPLITS if s not in (but, "train") and s in splits_of(source)]
    scenes: dict[str, int] = {}
    for name in others:
        if (dataset := _opened(source, name, size)) is not None:
            scenes |= bring(writer, dataset, watch)
    return scenes


def bring(
    writer: VOCWriter, dataset: SceneDataset, watch: Watch, limit: int | None = None
) -> dict[str, int]:
    """Bring a split's scenes and true masks along; those without a true one stay behind.

    Args:
        writer: Of the new folder.
        dataset: The split.
        watch: Told how far it has come.
        limit: Only the first so many that have one.

    Returns:
        How many scenes the split has got; nothing if none.
    """
    count = 0
    for index in range(len(dataset)):
        if count == limit:
            break
        scene = dataset.original(index)
        if scene.image is not None and scene.mask is not None and "mask" not in scene.weak:
            name, picture = stored(dataset, index, scene.image)
            count += writer.add(dataset.split, name, picture, scene.mask, scene.classes)
        watch(f"copying {dataset.split}", index + 1, len(dataset))
    return {dataset.split: count} if count else {}


def _opened(source: str, split: str, size: tuple[int, int]) -> SceneDataset | None:
    """Open a split; a ``tune`` that nothing was held out for is None."""
    try:
        return open_data(source, split, size)
    except ValueError:
        if split == "tune":
            return None
        raise
