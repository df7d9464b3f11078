"""The start of the `scene` command, and of `python -m cli`, which is the same."""

import sys

from .names import require_ours


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
