"""The runs that there are, by their configs alone: nothing is loaded, and torch is not needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..runs.places import CONFIG, WEIGHTS, home


class RunFolder(NamedTuple):
    """A run by its config.

    Attributes:
        folder: Where it lies.
        recipe: Its recipe.
        complete: Whether training came to its end.
    """

    folder: Path
    recipe: str
    complete: bool


def run_folders() -> list[RunFolder]:
    """Return the runs that lie in ``runs/`` (or ``SCENE_RUNS``), those that changed last first.

    Folders that hold no run, or one that cannot be read, are passed over.
    """
    return sorted(_runs(), key=lambda run: run.folder.stat().st_mtime, reverse=True)


def _runs() -> Iterator[RunFolder]:
    folders = sorted(home().glob("*/")) if home().is_dir() else []
    for folder in folders:
        try:
            recipe = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["settings"][
                "recipe"
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(recipe, str):
            yield RunFolder(folder, recipe, (folder / WEIGHTS).is_file())
