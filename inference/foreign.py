"""A stranger's code: copied into the run that uses it, and run again only if it is trusted."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from scene.registry import foreign_file

from .settings import Settings

CODE = "code"
"""The folder of a run that holds foreign code."""

_NAMED = ("guide", "objective", "retrofit_objective")


def is_foreign(settings: Settings) -> bool:
    """Say whether these settings name code from outside the package."""
    return bool(_files(settings))


def adopt(settings: Settings, folder: Path) -> Settings:
    """Copy foreign code into a run, and trust it there.

    Args:
        settings: Name the code by paths that exist now.
        folder: The run's.

    Returns:
        The settings, naming the copies relative to the run.
    """
    named = {}
    for field, path in _files(settings).items():
        copy = _place(folder / CODE, path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        _trust(copy)
        attribute = getattr(settings, field).rpartition(":")[2]
        named[field] = f"{CODE}/{copy.name}:{attribute}"
    return replace(settings, **named)  # type: ignore[arg-type]


def located(settings: Settings, folder: Path, trust: bool) -> Settings:
    """Give the settings with foreign code named where a run keeps it.

    Args:
        settings: As `adopt` returned them.
        folder: The run's.
        trust: Accept code that did not come from training on this machine.

    Raises:
        PermissionError: If the code is not trusted; the message says how to run it.
    """
    named = {}
    for field, path in _files(settings).items():
        copy = folder / path
        if not copy.is_file():
            raise LookupError(f"{folder} lacks {path}, the code of its {field}.")
        if trust:
            _trust(copy)
        elif _digest(copy) not in _trusted():
            raise PermissionError(
                f"{folder} runs code of its own ({copy}) that was not trained here; read it, and "
                "add --trust if you trust it."
            )
        named[field] = f"{copy}:{getattr(settings, field).rpartition(':')[2]}"
    return replace(settings, **named)  # type: ignore[arg-type]


def _place(code: Path, path: Path) -> Path:
    """Find a name for a copy that no other file has taken."""
    copy, number = code / path.name, 2
    while copy.exists() and copy.read_bytes() != path.read_bytes():
        copy, number = code / f"{path.stem}_{number}{path.suffix}", number + 1
    return copy


def _files(settings: Settings) -> dict[str, Path]:
    found = {field: foreign_file(getattr(settings, field) or "") for field in _NAMED}
    return {field: path for field, path in found.items() if path is not None}


def _ledger() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "scene" / "trusted"


def _trusted() -> set[str]:
    ledger = _ledger()
    return set(ledger.read_text().split()) if ledger.is_file() else set()


def _trust(path: Path) -> None:
    digest = _digest(path)
    if digest in _trusted():
        return
    _ledger().parent.mkdir(parents=True, exist_ok=True)
    with _ledger().open("a") as file:
        file.write(f"{digest}\n")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
