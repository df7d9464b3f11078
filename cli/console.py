"""Results on standard output; progress, notes and refusals on standard error."""

from __future__ import annotations

import codecs
import io
import multiprocessing
import re
import sys
import unicodedata
import warnings
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from scene.notices import Notice, against_weak

if TYPE_CHECKING:
    from inference.runs.run import Run
    from scene.datasets.base import SceneDataset


class _Console(Console):
    """A console whose JSON loses nothing where letters beyond ASCII cannot be written."""

    def print_json(self, json: str | None = None, **more: Any) -> None:
        """Print JSON, letters escaped if need be; see `rich.console.Console.print_json`."""
        more.setdefault("ensure_ascii", not self.encoding.startswith("utf"))
        super().print_json(json, **more)


console = _Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Results. Paths and labels may hold [brackets] and :colons:, so nothing is read as markup."""

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Progress, and which run was taken; silent with --quiet."""

errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Refusals, which --quiet does not silence."""

_PLAIN = {
    "→": "->", "←": "<-", "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "≤": "<=", "≥": ">=",
    "±": "+-", "∞": "inf", "≈": "~", "·": "*", "•": "*", "σ": "s", "θ": "t", "β": "b", "α": "a",
    "γ": "g", "Σ": "S", "’": "'", "‘": "'", "“": '"', "”": '"', "‖": "|",
    **dict.fromkeys("─━═╌┄", "-"), **dict.fromkeys("│┃║▏▕", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┡┩┢┪╇╈╋┠┨╞╡╪╔╗╚╝╺╸", "+"),
}  # fmt: skip


def complain(sentence: str) -> None:
    """Print a refusal, above the progress if there is any, and with --quiet, too."""
    (errors if notes.quiet else notes).print(refusal(sentence))


def entitled(subject: object, words: str, style: str = "bold") -> Text:
    """Write ``subject: words`` with the subject set off."""
    return Text.assemble((f"{subject}:", style), f" {words}")


def show_notices() -> None:
    """Show each notice as one line among the notes; other warnings as they were."""
    usual = warnings.showwarning
    if getattr(usual, "__module__", None) == __name__:  # by an earlier call
        return

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, Notice):
            usual(message, category, *where, **more)
        elif multiprocessing.parent_process() is None:
            notes.print(entitled("note", str(message), "bold yellow"))

    warnings.showwarning = show


def refusal(sentence: str) -> Text:
    """Write why something is refused; words of hundreds of letters, from damaged files, are cut.

    >>> str(refusal("e" * 5000 + " is no label.")).count("e")
    203
    """
    short = re.sub(r"\S{300,}", lambda word: f"{word[0][:100]}…{word[0][-100:]}", sentence)
    return entitled("scene", short, "bold red")


def write_anything() -> None:
    """Let standard output and error take every letter: one that their encoding lacks is replaced.

    A result is worth more than a glyph: where a console is cp1252, ASCII or not UTF-8 at all, an
    arrow becomes ``->``, a letter with an accent loses it, and what has no likeness becomes ``?``.
    Bytes of file names that were not text are written as they came.
    """
    codecs.register_error("scene.likeness", _likeness)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="scene.likeness")


def plain(letter: str) -> str:
    """Write a letter in ASCII.

    >>> plain("→"), plain("é"), plain("猫")
    ('->', 'e', '?')
    """
    if letter in _PLAIN:
        return _PLAIN[letter]
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return bare or ("" if unicodedata.combining(letter) else "?")


def _likeness(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what cannot be encoded, as `codecs.register_error` asks for it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    wide = error.encoding.lower().startswith(("utf-16", "utf-32"))  # where a byte is no letter
    if not wide and all(0xDC80 <= ord(letter) <= 0xDCFF for letter in letters):
        return bytes(ord(letter) - 0xDC00 for letter in letters), error.end
    return "".join(map(plain, letters)), error.end


def about(run: Run, dataset: SceneDataset) -> dict[str, Any]:
    """Return the run, its recipe, and the split that it is applied to."""
    return {
        "run": str(run.folder),
        "recipe": run.settings.title,
        "data": dataset.name,
        "split": dataset.split,
        "weak": dataset.weak,
        "size": sized(run.settings.data.size),
    }


def heading(report: dict[str, Any], scenes: int) -> str:
    """Return a line that names run, recipe, data, split and size, to stand above tables."""
    return (
        f"{report['run']}: {report['recipe']} on {report['data']} "
        f"({report['split']}, {scenes} scenes"
        f"{against_weak(report['weak'], scenes)}, {report['size']})"
    )


def sized(size: tuple[int, int]) -> str:
    """Write height and width as ``--size`` takes them.

    >>> sized((96, 64))
    '96x64'
    """
    return f"{size[0]}x{size[1]}"
