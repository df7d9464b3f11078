"""Loading by name: built-ins from a table, plugins from ``path/file.py:Name``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any


class Untrusted(str):
    """The name of a plugin that came with a file and is not trusted.

    It is a text like any other, but `load` refuses it.

    Args:
        name: As in ``load``.
        reason: One sentence: whose code it is, and what to do.
    """

    reason: str

    def __new__(cls, name: str, reason: str) -> Untrusted:
        """Make the text."""
        text = super().__new__(cls, name)
        text.reason = reason
        return text

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what copies are made of."""
        return str(self), self.reason


def load(name: str, table: Mapping[str, str], kind: str) -> Any:
    """Load an object by name.

    Args:
        name: A key of ``table``, or ``path/file.py:Name``, or ``package.module:Name``.
        table: Built-ins, each as ``module:Name``.
        kind: Kind of object, for messages: guide, objective, ….

    Raises:
        LookupError: If there is none; the message suggests the nearest name.
        PermissionError: If it is `Untrusted`.

    >>> load("half", {"half": "fractions:Fraction"}, "number").__name__
    'Fraction'
    """
    if isinstance(name, Untrusted):
        raise PermissionError(name.reason)
    if ":" not in name:
        if name not in table:
            raise LookupError(unknown(name, table, kind) + "; or your own: path/file.py:Name.")
        return load(table[name], table, kind)
    place, _, attribute = name.rpartition(":")
    module = _from_file(Path(place), kind) if place.endswith(".py") else _from_path(place, kind)
    if not hasattr(module, attribute):
        defined = [
            k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        near = get_close_matches(attribute, defined, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise LookupError(f"{place} defines no {attribute!r}.{hint}")
    return getattr(module, attribute)


def unknown(name: str, known: Iterable[str], kind: str) -> str:
    """Return the message about an unknown name, with the nearest one; without a full stop.

    >>> unknown("peo", ("poe", "joint"), "guide")
    "No guide is called 'peo'. Did you mean 'poe'? Known: joint, poe"
    """
    choices = sorted(known)
    near = get_close_matches(name, choices, n=1, cutoff=0.5)
    near = near or [c for c in choices if sorted(c) == sorted(name)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"No {kind} is called {name!r}.{hint} Known: {', '.join(choices)}"


def foreign_file(name: str) -> Path | None:
    """Return the file of a ``path/file.py:Name``, or None for any other name."""
    place, _, attribute = name.rpartition(":")
    return Path(place) if attribute and place.endswith(".py") else None


def _from_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise LookupError(f"There is no file {path} to load a {kind} from.")
    key = f"scene_foreign_{hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:12]}"
    if key in sys.modules:
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[key]
        raise LookupError(f"{path} could not be imported: {_reason(error)}") from error
    return module


def _from_path(place: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        reason = _reason(error)
        raise LookupError(f"No module {place!r} to load a {kind} from: {reason}") from error


def _reason(error: BaseException) -> str:
    """Return the error of a plugin's code as one sentence."""
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit) when it is imported."
    first, *_ = [*str(error).splitlines(), ""]
    return f"{type(error).__name__}: {first}".rstrip(".: ") + "."
