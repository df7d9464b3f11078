"""The `scene` command: what it offers, and how it says no."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from inference.interruption import Interruption, raised
from scene.storage.user_folders import settle_matplotlib

from .console import complain, console, notes, show_notices, write_anything
from .crf import app as crf
from .cues import cues
from .data import app as data
from .diagnose import diagnose
from .evaluate import evaluate
from .export import export
from .generate import generate
from .masks import masks
from .pseudo_label import pseudo_label
from .report import report
from .reproduce import reproduce
from .sample import sample, with_stock_sources
from .segment import segment
from .studio import studio
from .train import app as train
from .tune import app as tune

QUIET = "--quiet"
"""The option that silences progress and notes; it may stand anywhere in a command."""

COMPLETING = "_SCENE_COMPLETE"
"""The variable of the environment by which a shell asks for completions."""


class _Root(TyperGroup):
    """All commands; their list is plain text, which is written at once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Say what to do next where no command is named."""
        if not ctx.resilient_parsing and all(word == QUIET for word in args):
            _show_next_steps()
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, commands and options."""
        mode, self.rich_markup_mode = self.rich_markup_mode, None
        try:
            super().format_help(ctx, formatter)
        finally:
            self.rich_markup_mode = mode

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first sentence of each command's help, whole."""
        with formatter.section("Commands"):
            formatter.write_dl([(n, _sentence_of(self.commands[n])) for n in self.commands])


app = typer.Typer(
    name="scene",
    cls=_Root,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Model a scene (image, classes, segmentation mask) as one probabilistic program.",
)
app.add_typer(train, name="train")
app.add_typer(tune, name="tune")
app.command()(sample)
app.command()(generate)
app.command()(evaluate)
app.command()(diagnose)
app.command()(report)
app.command()(studio)
app.command()(export)
app.command()(cues)
app.command()(segment)
app.command()(pseudo_label)
app.command()(masks)
app.command()(reproduce)
app.add_typer(data, name="data")
app.add_typer(crf, name="crf")


def _show_next_steps() -> None:
    from rich.table import Table

    from .next_steps import next_steps

    table = Table.grid(padding=(0, 2, 0, 0))
    for step in next_steps(Path()):
        table.add_row(step.command, step.purpose)
    console.print("What to do next:")
    console.print(table)
    console.print("All commands: scene --help. One of them: scene sample --help.")


def _sentence_of(command: Any) -> str:
    """Return the first sentence of a command's help, on one line."""
    return re.split(r"(?<=[.]) ", " ".join((command.help or "").split()))[0]


def _show_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        console.print(f"scene {version('scene-suite')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Print the version and exit."
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            QUIET,
            help="Print results and refusals only, without progress and notes; may also stand "
            "after a command.",
        ),
    ] = False,
) -> None:
    notes.quiet = quiet


@cache
def _command() -> Any:
    """Return the command with all its parts, which take a while to put together."""
    return _reflowed(typer.main.get_command(app))


def _reflowed(command: Any) -> Any:
    """Join the lines of each paragraph of help: the terminal's width, not ours, breaks them."""
    paragraphs = re.split(r"\n\s*\n", (command.help or "").strip())
    command.help = "\n\n".join(" ".join(part.split()) for part in paragraphs) or None
    for part in getattr(command, "commands", {}).values():
        _reflowed(part)
    return command


def main() -> None:
    """Run the command; a refusal is one sentence on standard error and exit code 1."""
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    write_anything()
    show_notices()
    settle_matplotlib()
    try:
        with raised():
            words = sys.argv[1:]
            notes.quiet = QUIET in words  # before anything is noted
            spoken = with_stock_sources([word for word in words if word != QUIET])
            _command()([*([QUIET] if notes.quiet else []), *spoken], prog_name="scene")
    except (KeyError, IndexError):  # a mistake of ours, though a LookupError
        raise
    except (LookupError, ValueError, ArithmeticError, OSError) as refusal:
        if os.environ.get("SCENE_TRACEBACK"):
            raise
        _refuse(_sentence(refusal))
    except (MemoryError, RuntimeError) as error:
        if os.environ.get("SCENE_TRACEBACK") or not _is_about_memory(error):
            raise
        _refuse("Memory ran out; try a smaller --size, --batch-size or --particles.")
    except Interruption as stop:
        _refuse(f"interrupted. {_advice(stop) or _AGAIN}", 128 + stop.number)


_AGAIN = "Nothing is half written; run the command again."


def _refuse(sentence: str, status: int = 1) -> NoReturn:
    if COMPLETING not in os.environ:  # a refusal would be written into what is typed
        complain(sentence)
    sys.exit(status)


def _advice(error: BaseException) -> str:
    """Return the advice on how to continue, from the outermost caller."""
    return next(iter(getattr(error, "__notes__", [])[-1:]), "")


def _sentence(refusal: BaseException) -> str:
    if isinstance(refusal, OSError) and refusal.strerror:
        where = f"{refusal.filename}: " if refusal.filename else ""
        return f"{where}{refusal.strerror}. {_advice(refusal)}".rstrip()
    return str(refusal.args[0] if len(refusal.args) == 1 else refusal)


def _is_about_memory(error: BaseException) -> bool:
    phrases = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in phrases)


if __name__ == "__main__":
    main()
