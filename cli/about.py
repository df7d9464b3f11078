"""What a command looked at: a run, on a split of some data, as data and as a heading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene.notices import against_weak

if TYPE_CHECKING:
    from inference.runs.run import Run
    from scene.datasets.base import SceneDataset


def about(run: Run, dataset: SceneDataset) -> dict[str, Any]:
    """Say which run was held against which scenes."""
    return {
        "run": str(run.folder),
        "recipe": run.settings.recipe,
        "data": dataset.name,
        "split": dataset.split,
        "weak": dataset.weak,
        "size": sized(run.settings.data.size),
    }


def heading(told: dict[str, Any], scenes: int) -> str:
    """Write the same as a line above tables."""
    return (
        f"{told['run']}: {told['recipe']} on {told['data']} ({told['split']}, {scenes} scenes"
        f"{against_weak(told['weak'], scenes)}, {told['size']})"
    )


def sized(size: tuple[int, int]) -> str:
    """Write height and width as ``--size`` takes them.

    >>> sized((96, 64))
    '96x64'
    """
    return f"{size[0]}x{size[1]}"
