"""The start of the `scene` command and of `python -m cli`.

Nothing of ours is imported at the top: a module of the same name elsewhere may be in its place.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Where this package lies, and beside it the others."""

PACKAGES = ("scene", "inference")


def require_ours() -> None:
    """End the program with one sentence if a module of somebody else is found in place of ours."""
    for name in PACKAGES:
        place = _found(name)
        if place is not None and place != ROOT / name / "__init__.py":
            sys.stderr.write(f"scene: {sentence(name, place)}\n")
            sys.exit(1)


def sentence(name: str, place: Path) -> str:
    """Say which file is in the way of a package, and what to do."""
    if "site-packages" in place.parts or "dist-packages" in place.parts:
        remedy = (
            "install scene into an environment of its own, without the package that brought it"
        )
    else:
        remedy = f"rename it, take {place.parent} off PYTHONPATH, or call python -P -m cli"
    return f"Python imports {place} in place of scene's own package {name!r}; {remedy}."


def _found(name: str) -> Path | None:
    """Say which file Python would import under a name, without importing it."""
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        spec = PathFinder.find_spec(name)
        origin = spec.origin if spec is not None else None
    return Path(origin).resolve() if origin else None


def main() -> None:
    """Check that our packages are found, and run the command."""
    require_ours()
    from inference.interruption import Interruption, raised

    try:
        with raised():
            from .app import main as run
    except Interruption as stop:  # while modules load
        sys.stderr.write("scene: interrupted. Nothing was begun; run the command again.\n")
        sys.exit(128 + stop.number)
    run()


if __name__ == "__main__":
    main()
