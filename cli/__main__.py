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
        origin_path = _origin(name)
        if origin_path is not None and origin_path != ROOT / name / "__init__.py":
            sys.stderr.write(f"scene: {sentence(name, origin_path)}\n")
            sys.exit(1)


def sentence(name: str, origin_path: Path) -> str:
    """Return a sentence that names the file in the way of a package, and the remedy."""
    if "site-packages" in origin_path.parts or "dist-packages" in origin_path.parts:
        remedy = (
            "install scene into an environment of its own, without the package that brought it"
        )
    else:
        remedy = f"rename it, take {origin_path.parent} off PYTHONPATH, or call python -P -m cli"
    return f"Python imports {origin_path} in place of scene's own package {name!r}; {remedy}."


def _origin(name: str) -> Path | None:
    """Return the file that Python would import under a name, without importing it."""
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
