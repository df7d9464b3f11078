"""Keeping a fitted model elsewhere: a folder that loads as the run does."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..build import Assembly
from ..runs.checkpoints import save_weights
from ..runs.claims import claimed
from ..runs.plugins import CODE, portable
from ..runs.run import CONFIG, SUMMARY, WEIGHTS, Run, write_config

_KEPT = (CONFIG, "metrics.jsonl", "samples.png", "cues.npz", SUMMARY)
"""Files of a run that go with its weights; a state to resume from does not."""


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
    if folder.exists() and folder.samefile(run.folder):
        raise ValueError(f"{folder} is the run itself; name another folder to keep it in.")
    copy = Run(folder, portable(run.settings, run.folder), run.schema)
    with claimed(folder, force):
        for name in (CONFIG, *(_KEPT if _unchanged(run, assembly, folder) else ())):
            if run.path(name).is_file():
                shutil.copyfile(run.path(name), folder / name)
        if run.path(CODE).is_dir():
            shutil.copytree(run.path(CODE), folder / CODE, dirs_exist_ok=True)
        write_config(copy)
        save_weights(folder / WEIGHTS, assembly, run.settings.title)
    return copy


def _unchanged(run: Run, assembly: Assembly, folder: Path) -> bool:
    """Say whether the weights are those of the run, byte for byte."""
    part = folder / f".{WEIGHTS}"
    try:
        save_weights(part, assembly, run.settings.title)
        return part.read_bytes() == run.path(WEIGHTS).read_bytes()
    finally:
        part.unlink(missing_ok=True)
