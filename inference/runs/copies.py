"""Copies of runs in other folders: weights, config, code and figures, to use or to share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scene.registry import foreign_file
from scene.storage.files import read_json

from ..build import Assembly
from ..settings.settings import Settings
from .checkpoints import PARTS, has_part, same_weights, save_part, save_weights
from .claims import claimed
from .plugins import CODE, portable
from .run import CONFIG, SUMMARY, WEIGHTS, Run, read, write_config

_FIGURES = ("metrics.jsonl", "samples.png", "crf.json", SUMMARY)
"""Files of a run that go with its weights, and are of no use with others."""

_CUES = "cues.npz"
"""What SEC learned from; of use to whoever has the images."""

_PATHS = ("data", "classifier", "run", "backbone_weights")
"""Settings that may name a place on this machine."""


def save_run(run: Run, assembly: Assembly, folder: Path, force: bool = False) -> Run:
    """Write weights as they are now, with the run's config, code and figures.

    Figures stay behind where the weights are no longer those that were scored.

    Args:
        run: Where the model comes from.
        assembly: The weights to keep.
        folder: Where to; nothing is there until all of it is.
        force: Replace a run that is there.

    Raises:
        FileExistsError: If the folder holds something, and ``force`` does not replace it.
        ValueError: If it is a file, holds no run, or is the run itself.
    """
    _require_another(run, folder)
    unchanged = same_weights(run.path(WEIGHTS), assembly, run.settings.title)
    copy = Run(folder, portable(run.settings, run.folder), run.schema)

    def write() -> None:
        _copy_files(run.folder, folder, (CONFIG, *((*_FIGURES, _CUES) if unchanged else ())))
        write_config(copy)
        save_weights(folder / WEIGHTS, assembly, run.settings.title)
        for name in _parts(run):
            part, place = read(run.path(PARTS[name])), folder / PARTS[name]
            _copy_files(part.folder, place, (CONFIG, *_FIGURES, WEIGHTS))
            write_config(Run(place, portable(part.settings, part.folder), part.schema))

    _write_whole(folder, force, write)
    return copy


def share_run(
    run: Run,
    assembly: Assembly,
    folder: Path,
    force: bool = False,
    *,
    half: bool = False,
    add: Callable[[Run, bool], None],
) -> Run:
    """Write a copy of a run that tells nothing of this machine, and holds no weight twice.

    Args:
        run: Where the model comes from.
        assembly: The weights to keep.
        folder: Where to; nothing is there until all of it is.
        force: Replace a run that is there.
        half: Write matrices and kernels with 16 bits a number.
        add: Writes more into the copy: called with it, and with whether its weights are those
            that were scored.

    Raises:
        FileExistsError: If the folder holds something, and ``force`` does not replace it.
        ValueError: If it is a file, holds no run, or is the run itself; or if a weight is too
            large for 16 bits.
    """
    _require_another(run, folder)
    unchanged = same_weights(run.path(WEIGHTS), assembly, run.settings.title)
    copy = _shared(run, folder)

    def write() -> None:
        _copy_files(run.folder, folder, _FIGURES if unchanged else ())
        _write_config(copy, run)
        add(copy, unchanged)
        save_weights(folder / WEIGHTS, assembly, run.settings.title, half=half)
        for name in _parts(run):
            part = read(run.path(PARTS[name]))
            place = folder / PARTS[name]
            _copy_files(part.folder, place, _FIGURES)
            _write_config(_shared(part, place), part)
            save_part(part.path(WEIGHTS), place / WEIGHTS, part.settings.title, half=half)

    _write_whole(folder, force, write)
    return copy


def _require_another(run: Run, folder: Path) -> None:
    if folder.exists() and folder.samefile(run.folder):
        raise ValueError(f"{folder} is the run itself; choose another folder to save the copy in.")


def _write_whole(folder: Path, force: bool, write: Callable[[], None]) -> None:
    """Write a run into a folder, which is as it was before if that fails."""
    with claimed(folder, force):
        try:
            write()
        except BaseException:
            (folder / WEIGHTS).unlink(missing_ok=True)  # without it, the earlier run is restored
            raise


def _parts(run: Run) -> list[str]:
    """Name what learned after a run."""
    return [name for name in PARTS if has_part(run, name)]


def _copy_files(source: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Copy those files that there are, and the run's own code."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if (source / CODE).is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source / CODE, folder / CODE, dirs_exist_ok=True, ignore=ignored)


def _shared(run: Run, folder: Path) -> Run:
    """Return a run in another folder, whose settings name no place on this machine."""
    settings = portable(run.settings, run.folder)
    return replace(run, folder=folder, settings=settings.changed(**_names(settings)))


def _names(settings: Settings) -> dict[str, Any]:
    """Return, by setting, the last part of each path that begins at the root or at home."""
    values = {name: settings.value(name) for name in _PATHS}
    return {
        name: Path(value).name
        for name, value in values.items()
        if isinstance(value, str)
        and foreign_file(value) is None
        and (Path(value).is_absolute() or value.startswith("~"))
    }


def _write_config(copy: Run, run: Run) -> None:
    """Write the config of a copy, with the versions of the packages that trained the run."""
    versions = read_json(run.path(CONFIG)).get("versions", {})
    write_config(copy, versions=versions)
