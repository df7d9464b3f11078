"""Datasets that a fitted model makes: generated scenes, pseudo-labels and seed cues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scene.datasets.base import SceneDataset

from ..experiments.generate import GenerationSettings as GenerationSettings
from ..experiments.generate import generate as generate
from ..experiments.pseudo_label import pseudo_label as pseudo_label
from ..segmentation.classifier import cue_settings as cue_settings
from ..segmentation.cue_files import CueFiles
from ..segmentation.cue_files import claim as claim_cues
from ..segmentation.cue_files import write_cues as write
from ..segmentation.cues import CueSettings as CueSettings
from .loaded import LoadedRun

__all__ = [
    "CueSettings",
    "GenerationSettings",
    "claim_cues",
    "cue_settings",
    "generate",
    "pseudo_label",
    "write_cues",
]


def write_cues(
    fitted: LoadedRun,
    scenes: SceneDataset,
    folder: Path,
    settings: CueSettings,
    *,
    limit: int | None = None,
    force: bool = False,
    about: dict[str, Any] | None = None,
    watch: Callable[[int, int], None] = lambda done, scenes: None,
) -> CueFiles:
    """Write maps and seed cues of a split, whole or not at all, and score them.

    Args:
        fitted: A classifier.
        scenes: The split.
        folder: Where to.
        settings: How cues are found.
        limit: Only the first so many scenes.
        force: Replace cues that are in ``folder``.
        about: More for the report.
        watch: Told how many scenes are done, of how many.

    Raises:
        FileExistsError: If there is something in ``folder`` that may not be replaced.
        ValueError: If the split is empty, or background is to be cued and there is none.
    """
    return write(
        folder,
        fitted.assembly,
        scenes,
        settings,
        limit=limit,
        force=force,
        about=about,
        watch=watch,
    )
