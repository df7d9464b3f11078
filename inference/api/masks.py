"""Masks from image-level labels in one call, with the settings of every stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..crf.parameters import Parameters
from ..experiments.weak.masks import make_masks as make_masks
from ..experiments.weak.masks_request import MasksRequest as MasksRequest
from ..experiments.weak.masks_result import Masks as Masks
from ..experiments.weak.masks_result import State as State
from ..experiments.weak.masks_result import TrainedStage as TrainedStage
from ..segmentation.imagenet import NET, is_installed
from ..settings.assignments import assignments, pairs
from ..settings.recipes import recipe
from .segment import crf_parameters

__all__ = [
    "Masks",
    "MasksRequest",
    "State",
    "TrainedStage",
    "crf_of_lists",
    "default_backbone",
    "make_masks",
    "stage_settings",
]

_SHARED = ("data", "count", "classifier")


def default_backbone() -> str:
    """Return the backbone with ImageNet's weights if a package has them, else ``small``."""
    return NET if is_installed() else "small"


def stage_settings(name: str, texts: Iterable[str]) -> dict[str, Any]:
    """Read lists of a stage's settings, such as ``steps=300,tuned-stages=2``.

    Args:
        name: ``classifier`` or ``sec``.
        texts: The lists.

    Raises:
        LookupError: If there is no such setting.
        ValueError: If a list cannot be read, or sets something that all stages share.
    """
    return assignments(f"--{name}", texts, recipe(name), _SHARED)


def crf_of_lists(file: Path | None, texts: Iterable[str]) -> Parameters:
    """Return the CRF's parameters of a file, or the usual ones, with changes.

    Args:
        file: One that ``scene crf fit`` wrote; None = the usual ones.
        texts: Lists of changes, such as ``appearance-sigma-xy=40,iterations=5``.

    Raises:
        FileNotFoundError: If there is no such file.
        LookupError: If there is no such parameter.
        ValueError: If a list cannot be read, or a value is out of range.
    """
    whole = [field.name for field in fields(Parameters) if field.type in (int, "int")]
    changes: dict[str, Any] = {}
    for typed, text in pairs("--crf", texts):
        name = typed.replace("-", "_")
        try:
            changes[name] = int(text) if name in whole else float(text)
        except ValueError:
            kind = "a whole number" if name in whole else "a number"
            raise ValueError(f"--crf {typed} is {kind}, not {text!r}.") from None
    return crf_parameters(file, **changes)
