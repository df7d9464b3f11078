"""Runs: the folder that training writes, as data that anyone can read, and nothing pickled.

::

    runs/telbo-synthetic-default-20260102-030405/
        config.json             settings, labels, versions
        metrics.jsonl           one line a report
        checkpoint.safetensors  all that resuming needs: weights, optimizer, random state, step
        weights.safetensors     the weights to use; its presence makes the run complete
        samples.png             pictures
        summary.json            the figures of the run; written last of all
        code/                   a user's own guide or objective, copied here
        prior/                  the run of the flow over its latents, if there is one
        events.out.tfevents.*   for TensorBoard
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scene.registry import foreign_file
from scene.storage.files import read_json, replace_file
from scene.storage.outputs import require_free, without
from scene.views import Schema

from ..settings.config import as_table, labels_from, settings_from
from ..settings.settings import Settings
from .places import CHECKPOINT as CHECKPOINT
from .places import CONFIG as CONFIG
from .places import DEMO
from .places import SUMMARY as SUMMARY
from .places import WEIGHTS as WEIGHTS
from .places import home as home
from .plugins import guarded, portable

FORMAT = 3
"""Version of the folder's layout; a run of another version is refused."""

VERSIONS = ("scene-suite", "torch", "pyro-ppl")
"""Packages whose versions a config notes."""

ASIDE, MOVING = ".replaced", ".replaced.moving"
"""Where a run lies within its folder while another takes its place; the latter while it moves."""

_PLACES = ("data", "classifier", "run")
"""Settings that may name a folder: a config also says where that is, seen from the run."""


@dataclass(frozen=True)
class Run:
    """A run's folder, and what it was made from."""

    folder: Path
    settings: Settings
    schema: Schema

    @property
    def complete(self) -> bool:
        """Whether training came to its end."""
        return (self.folder / WEIGHTS).is_file()

    @property
    def concluded(self) -> bool:
        """Whether it was scored, too: nothing is missing."""
        return self.complete and (self.folder / SUMMARY).is_file()

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return self.folder / name

    def output(self, name: str) -> Path:
        """Return where a command writes a file or a folder about the run: in its own folder.

        The run that ships with the package is not written to; its place is ``scene-demo`` in
        `home`.
        """
        return (home() / "scene-demo" if self.folder == DEMO else self.folder) / name


def create(
    settings: Settings,
    schema: Schema,
    dataset: str,
    folder: Path | None = None,
) -> Run:
    """Make the folder of a new run and write its config.

    Args:
        settings: The settings of the run.
        schema: Labels and size of its data.
        dataset: Name of the dataset, for the folder's name.
        folder: Where to put it; by default `fresh`.

    Raises:
        FileExistsError: If ``folder`` already holds something.
        ValueError: If it is a file.
    """
    folder = folder or fresh(settings, dataset)
    require_free_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder, settings, schema)
    write_config(run)
    return run


def fresh(settings: Settings, dataset: str) -> Path:
    """Make an empty folder in `home` whose name says recipe, data and time."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return _free(home() / f"{settings.title}-{dataset}-{stamp}")


def write_config(run: Run, **more: Any) -> None:
    """Write a run's settings, schema and more to its config; other entries of the file stay.

    Args:
        run: The run; its folder exists.
        more: Plain data by name.
    """
    labels, place = run.schema.labels, run.folder / CONFIG
    config = {
        **(json.loads(place.read_text()) if place.is_file() else {}),
        "format": FORMAT,
        "settings": portable(run.settings, run.folder).to_json(),
        "places": _seen_from(run.folder, run.settings),
        "labels": {"names": labels.names, "colours": labels.colours},
        "versions": {name: version(name) for name in VERSIONS},
        **more,
    }
    write_json(place, config)


def read(folder: Path) -> Run:
    """Read a run's config.

    Raises:
        LookupError: If the folder is not there or holds no run.
        ValueError: If its config is damaged or of another format.
    """
    if not folder.is_dir():
        raise LookupError(f"There is no run {folder}; `ls {home()}` lists those there are.")
    if not (folder / CONFIG).is_file():
        raise LookupError(f"{folder} is not a run: it holds no {CONFIG}.")
    try:
        config = as_table("the config", read_json(folder / CONFIG))
        if config["format"] != FORMAT:
            raise ValueError(
                f"it has format {config['format']}, but only {FORMAT} is read here; train it "
                "again, or use the version of scene that wrote it."
            )
        settings, labels = settings_from(config["settings"]), labels_from(config["labels"])
        settings = _relocated(folder, settings, as_table("its places", config.get("places", {})))
        settings = guarded(settings, folder)
    except (ValueError, LookupError) as error:
        reason = f"it lacks {error}." if isinstance(error, KeyError) else str(error)
        raise ValueError(f"The config of {folder} cannot be used: {reason}") from error
    return Run(folder, settings, Schema(labels, settings.data.size))


def newest(
    fits: Callable[[Run], bool] = lambda run: True, kind: str = "a run", recipe: str = "telbo"
) -> Run:
    """Find the newest complete run that fits.

    Args:
        fits: Returns whether a run is suitable.
        kind: The kind of run, for the error message.
        recipe: A recipe that trains such a run, for the error message.

    Raises:
        LookupError: If there is none; the message says how to make one.
    """
    for folder in sorted(home().glob("*/"), key=_age, reverse=True):
        try:
            run = read(folder)
        except (LookupError, ValueError):
            continue
        if run.complete and fits(run):
            return run
    raise LookupError(
        f"There is no complete run of {kind} in {home()}/; make one with "
        f"`scene train {recipe}`, or name one."
    )


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON that is either whole or not there."""
    replace_file(
        path, lambda part: part.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")
    )


def require_free_run(folder: Path, force: bool = False) -> None:
    """Refuse a folder that a run may not be written to, see `require_free`."""
    require_free(folder, force, folder="a run", foreign=without(CONFIG, ASIDE, MOVING))


def _seen_from(folder: Path, settings: Settings) -> dict[str, str]:
    """Return the folders that the settings name, relative to the run's."""
    places = {name: settings.value(name) for name in _PLACES}
    return {
        name: Path(os.path.relpath(place, os.path.realpath(folder))).as_posix()
        for name, place in places.items()
        if place and Path(place).is_absolute() and foreign_file(place) is None
    }


def _relocated(folder: Path, settings: Settings, places: Mapping[str, Any]) -> Settings:
    """Find folders that moved together with the run."""
    relocated = {
        name: os.path.realpath(place)
        for name in _PLACES
        if isinstance(path := places.get(name), str)
        and not Path(settings.value(name) or "").exists()
        and (
            place := Path(os.path.realpath(os.path.join(os.path.realpath(folder), path)))
        ).is_dir()
    }
    return settings.changed(**relocated)


def _free(folder: Path) -> Path:
    for n in range(1, 1000):
        candidate = folder if n == 1 else folder.with_name(f"{folder.name}-{n}")
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            continue
    raise ValueError(
        f"{folder} and its next 999 names are in use; name another folder with --out."
    )


def _age(folder: Path) -> float:
    weights = folder / WEIGHTS
    return weights.stat().st_mtime if weights.exists() else 0.0
