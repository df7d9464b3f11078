"""The start of the `scene` command, and of `python -m cli`, which is the same."""

from .names import require_ours


def main() -> None:
    """See to it that our packages are found, and run the command."""
    require_ours()
    from .app import main as run

    run()


if __name__ == "__main__":
    main()
