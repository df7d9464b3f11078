"""Inference: posteriors over scenes, how they are learned, and what is predicted from them.

``from inference import train, load`` is all that most people need; both return a `Fitted`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.fitted import Fitted as Fitted
    from .api.load import load as load
    from .api.train import train as train

_PUBLIC = {"Fitted": ".api.fitted", "load": ".api.load", "train": ".api.train"}
"""The public names, and the modules that define them, imported when first asked for."""

__all__ = ["Fitted", "load", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name, so that importing the package alone loads nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)


def __dir__() -> list[str]:
    """List the public names beside those of the module."""
    return sorted({*globals(), *_PUBLIC})
