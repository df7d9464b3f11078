"""A user's own code: copied into the run that uses it, and executed again only if trusted."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path

from scene.registry import Untrusted, foreign_file
from scene.storage.user_folders import state_folder

from ..settings.parts import GUIDES, OBJECTIVES, PRIORS
from ..settings.settings import Settings

CODE = "code"
"""The folder of a run that holds foreign code."""

_NAMED = {
    "prior": PRIORS, "guide": GUIDES, "objective": OBJECTIVES, "retrofit_objective": OBJECTIVES
}  # fmt: skip
"""Settings that name code, and what of it is ours. All else is foreign, however it is spelled."""

_RECIPE = "recipe"
"""What names a recipe, and is no option."""

_trusted_here: set[str] = set()
"""What this process trusts where that could not be noted for others."""

log = logging.getLogger("inference.runs.plugins")


def is_foreign(settings: Settings) -> bool:
    """Return whether these settings name code that is not this package's own."""
    return bool(_names(settings))


def adopt(settings: Settings, folder: Path) -> Settings:
    """Copy foreign code into a run, and trust it there.

    A file is copied. A class of an installed package, ``package.module:Name``, stays where it is:
    the package is what has to be installed wherever the run is used.

    Args:
        settings: Name the code by what can be loaded now.
        folder: The run's.

    Returns:
        The settings, naming the copies.
    """
    names = {}
    for field, name in _names(settings).items():
        path = foreign_file(name)
        if path is None:
            _trust(_digest_of_module(name))
            continue
        copy = _place(folder / CODE, path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        _trust(_digest(copy))
        names[field] = f"{copy.absolute()}:{name.rpartition(':')[2]}"
    return _renamed(settings, names)


def portable(settings: Settings, folder: Path) -> Settings:
    """Return the settings with code in a run's folder named relative to that, to be written."""
    code, names = os.path.realpath(folder / CODE), {}
    for field, name in _names(settings).items():
        path = foreign_file(name)
        if path is not None and os.path.dirname(os.path.realpath(path)) == code:
            names[field] = f"{CODE}/{path.name}:{name.rpartition(':')[2]}"
    return _renamed(settings, names)


def guarded(settings: Settings, folder: Path) -> Settings:
    """Return settings read from a run: code that is trusted by its place, the rest `Untrusted`.

    Args:
        settings: As they stand in the run's config.
        folder: The run's.
    """
    names = {}
    for field, name in _names(settings).items():
        try:
            names[field] = _located(name, field, folder, False)
        except (OSError, LookupError, ValueError) as error:
            names[field] = Untrusted(name, str(error))
    return _renamed(settings, names)


def located(settings: Settings, folder: Path, trust: bool) -> Settings:
    """Return the settings with foreign code named where a run keeps it; none of it is run.

    Args:
        settings: As `guarded` returned them, or as they stand in the run's config.
        folder: The run's.
        trust: Accept code that did not come from training on this machine.

    Raises:
        LookupError: If the code is not there.
        PermissionError: If it is not trusted; the message says how to run it.
        ValueError: If a file is named that lies outside the run's code.
    """
    names = _names(settings).items()
    return _renamed(settings, {f: _located(name, f, folder, trust) for f, name in names})


def _located(name: str, field: str, folder: Path, trust: bool) -> str:
    path = foreign_file(name)
    if path is None:
        _require_trusted(_digest_of_module(name), trust, folder, name)
        return str(name)
    copy = _copy(folder, path, field)
    _require_trusted(_digest(copy), trust, folder, str(copy))
    return f"{copy.absolute()}:{name.rpartition(':')[2]}"


def _names(settings: Settings) -> dict[str, str]:
    """Return by setting what is not ours; a word alone can only be ours."""
    names = {field: settings.value(field) for field in _NAMED}
    foreign = {
        field: name
        for field, name in names.items()
        if name and ":" in name and name not in _NAMED[field].values()
    }
    if ":" in settings.recipe:
        foreign[_RECIPE] = settings.recipe
    if foreign_file(settings.data.source) is not None:
        foreign["data"] = settings.data.source
    return foreign


def _renamed(settings: Settings, names: dict[str, str]) -> Settings:
    """Return settings with other names of code."""
    options = {field: name for field, name in names.items() if field != _RECIPE}
    return replace(settings.changed(**options), recipe=names.get(_RECIPE, settings.recipe))


def _copy(folder: Path, path: Path, field: str) -> Path:
    """Find the copy of a file in a run."""
    copy, code = folder / path, os.path.realpath(folder / CODE)  # ``path`` may be absolute
    if os.path.dirname(os.path.realpath(copy)) != code:
        raise ValueError(
            f"{folder} names {path} as the code of its {field}, which is not in its folder "
            f"{CODE}; get the run whole, or train again."
        )
    if not copy.is_file():
        raise LookupError(
            f"{folder} lacks {path}, the code of its {field}; get the run whole, or train again."
        )
    return copy


def _place(code: Path, path: Path) -> Path:
    """Find a name for a copy that no other file has taken."""
    copy, number = code / path.name, 2
    while copy.exists() and copy.read_bytes() != path.read_bytes():
        copy, number = code / f"{path.stem}_{number}{path.suffix}", number + 1
    return copy


def _require_trusted(digest: str, trust: bool, folder: Path, what: str) -> None:
    if trust:
        _trust(digest)
    elif digest not in _trusted():
        raise PermissionError(
            f"{folder} contains code ({what}) that was not trained on this machine; read it, then "
            "add --trust to execute it."
        )


def _ledger() -> Path | None:
    """Return the file of trusted digests; None where a user has no folder of their own."""
    state = state_folder()
    return None if state is None else state / "scene" / "trusted"


def _trusted() -> set[str]:
    ledger = _ledger()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if ledger is not None and ledger.is_file():
            return {*ledger.read_text().split(), *_trusted_here}
    return set(_trusted_here)


def _trust(digest: str) -> None:
    if digest in _trusted():
        return
    ledger = _ledger()
    try:
        if ledger is None:
            raise OSError("there is no home folder")
        ledger.parent.mkdir(parents=True, exist_ok=True)
        with ledger.open("a") as file:
            file.write(f"{digest}\n")
    except OSError as error:
        _trusted_here.add(digest)
        log.warning("trust in this code is not kept (%s): other commands will need --trust", error)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_of_module(name: str) -> str:
    """Return a digest of a ``package.module:Name`` and its source, without importing any of it."""
    place = name.rpartition(":")[0]
    source = _source(place)
    content = source.read_bytes() if source is not None else b""
    return hashlib.sha256(name.encode() + b"\0" + content).hexdigest()


def _source(place: str) -> Path | None:
    """Find the file of a module where Python would, without importing the packages it is in."""
    path: list[str] | None = None
    origin = None
    for part in place.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path, origin = list(spec.submodule_search_locations or ()), spec.origin
    return Path(origin) if origin and Path(origin).is_file() else None
