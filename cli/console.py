"""Where words go: results to standard output, everything said along the way to standard error."""

from __future__ import annotations

import multiprocessing
import warnings
from typing import Any

from rich.console import Console
from rich.text import Text

from scene.notices import Notice

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Results. Paths and labels may hold [brackets] and :colons:, so nothing is read as markup."""

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Progress, and which run was taken."""


def entitled(subject: object, words: str, style: str = "bold") -> Text:
    """Write ``subject: words`` with the subject set off."""
    return Text.assemble((f"{subject}:", style), f" {words}")


def show_notices() -> None:
    """Show each notice as one line among the notes; other warnings as they were."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, Notice):
            usual(message, category, *where, **more)
        elif multiprocessing.parent_process() is None:
            notes.print(entitled("note", str(message), "bold yellow"))

    warnings.showwarning = show
