"""The models that the page offers: runs by name, each loaded when it is first used."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from scene.registry import unknown

from ..api.fitted import Fitted
from ..api.load import Run, find_run, learned_after, load
from ..api.run_folders import run_folders
from ..api.segment import ImageNetSegmenter, imagenet_segmenter, is_installed
from ..devices import Device
from ..runs.checkpoints import FLOW, PARTS, has_part
from ..runs.places import DEMO, WEIGHTS
from ..settings.abilities import able, generates

IMAGENET = "ImageNet, no training"
"""The name of the classifier that segments without a run."""

TRAIN = "scene train telbo --particles 5 --mask-first"
"""The command that trains a model to draw with, whose scenes have the mask that is painted."""


class Models:
    """Runs by the names that the page shows.

    Args:
        runs: Complete runs.
        device: Where they compute.
        trust: Run the code that they carry even if they were not trained on this machine.
    """

    def __init__(self, runs: Sequence[Run], device: Device = "auto", trust: bool = False) -> None:
        self._runs = {name: run for name, run in zip(_names(runs), runs, strict=True)}
        self._device, self._trust = device, trust
        self._loaded: dict[str, Fitted] = {}
        self._lock = threading.Lock()

    @property
    def drawing(self) -> list[str]:
        """The names of the joint models, which draw whole scenes."""
        return [name for name, run in self._runs.items() if generates(run.settings)]

    @property
    def segmenting(self) -> list[str]:
        """The names of what segments photographs, those of the chain of weak supervision first."""
        reads = [
            name
            for name, run in self._runs.items()
            if not is_demo(run)  # it knows shapes, which photographs do not show
            and (run.settings.recipe == "classifier" or able(run.settings, ("image",)))
        ]
        ranked = sorted(reads, key=lambda name: _rank(self._runs[name]))
        return [*ranked, *([IMAGENET] if is_installed() else [])]

    @property
    def chain(self) -> list[str]:
        """The names to segment with at first: a classifier and a SEC of its labels, else one."""
        names = self.segmenting
        recipes = {name: self._runs[name].settings.recipe for name in names if name != IMAGENET}
        first = next((n for n in recipes if recipes[n] == "classifier"), None)
        sec = next((n for n in recipes if recipes[n] == "sec"), None)
        pair = [name for name in (first, sec) if name is not None]
        if len(pair) == 2 and len({self._runs[name].schema.labels for name in pair}) == 1:
            return pair
        return [*([sec] if sec else pair), *names][:1]

    def run(self, name: str) -> Run:
        """Return a run by its name.

        Raises:
            LookupError: If there is none of this name.
        """
        if name not in self._runs:
            raise LookupError(unknown(name, self._runs, "model") + ".")
        return self._runs[name]

    def title(self, name: str) -> str:
        """Return what the page calls a run: its name, recipe and size."""
        run = self.run(name)
        height, width = run.schema.size
        return f"{name} ({run.settings.title}, {height}×{width})"

    def guidance(self, name: str) -> float | None:
        """Return the guidance that a run's flow learned with; None if it has no flow."""
        run = self.run(name)
        if not has_part(run, FLOW):
            return None
        return find_run(run.path(PARTS[FLOW])).settings.flow.guidance

    def fitted(self, name: str) -> Fitted:
        """Return a run's model, loaded once.

        Raises:
            LookupError: If there is none of this name.
            PermissionError: If it carries code that is not trusted.
            ValueError: If it is damaged.
        """
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load(self.run(name), device=self._device, trust=self._trust)
            return self._loaded[name]

    @cached_property
    def imagenet(self) -> ImageNetSegmenter:
        """The classifier that segments without a run."""
        return imagenet_segmenter(device=self._device)


def is_demo(run: Run) -> bool:
    """Return whether a run is the one that ships with the package."""
    return run.folder == DEMO


def named_runs(folders: Sequence[Path]) -> list[Run]:
    """Read runs by their folders, each complete.

    Raises:
        LookupError: If a folder is no run, or one that did not come to its end.
        ValueError: If one learned after another run, or its config is damaged.
    """
    runs = [find_run(folder) for folder in dict.fromkeys(folders)]
    for run in runs:
        if learned_after(run):
            raise ValueError(
                f"{run.folder} learned after another run, which draws with it: name "
                f"{run.settings.flow.run}."
            )
        if not run.path(WEIGHTS).is_file():
            raise LookupError(
                f"{run.folder} is not complete; continue it with scene train --resume "
                f"{run.folder}."
            )
    return runs


def all_runs() -> list[Run]:
    """Read the complete runs of ``runs/`` (or ``SCENE_RUNS``), the newest first.

    Those that cannot be read are passed over. If none draws scenes, the demo that ships with scene
    is the last.
    """
    runs = []
    for place in run_folders():
        with suppress(LookupError, ValueError, OSError):
            run = find_run(place.folder)
            if place.complete and not learned_after(run):
                runs.append(run)
    if not any(generates(run.settings) for run in runs):
        runs.append(find_run(DEMO))
    return runs


def _rank(run: Run) -> int:
    """Return the place of a run in a list: by recipe, the newest first as they came."""
    order = ("classifier", "sec", "supervised", "segmenter")
    return order.index(run.settings.recipe) if run.settings.recipe in order else len(order)


def _names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its folder's, or where two share that, the whole path."""
    short = [run.folder.resolve().name for run in runs]
    return [
        name if short.count(name) == 1 else str(run.folder)
        for name, run in zip(short, runs, strict=True)
    ]
