"""The run and the split that a command reports on, as data and as a heading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene.notices import against_weak

if TYPE_CHECKING:
    from inference.runs.run import Run
    from scene.datasets.base import SceneDataset


def about(run: Run, dataset: SceneDataset) -> dict[str, Any]:
    """Return the run, its recipe, and the split that it is applied to."""
    return {
        "run": str(run.folder),
        "recipe": run.settings.title,
        "data": dataset.name,
        "split": dataset.split,
        "weak": dataset.weak,
        "size": sized(run.settings.data.size),
    }


def heading(report: dict[str, Any], scenes: int) -> str:
    """Return a line that names run, recipe, data, split and size, to stand above tables."""
    return (
        f"{report['run']}: {report['recipe']} on {report['data']} "
        f"({report['split']}, {scenes} scenes"
        f"{against_weak(report['weak'], scenes)}, {report['size']})"
    )


def sized(size: tuple[int, int]) -> str:
    """Write height and width as ``--size`` takes them.

    >>> sized((96, 64))
    '96x64'
    """
    return f"{size[0]}x{size[1]}"
