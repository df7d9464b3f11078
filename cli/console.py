"""Where words go: results to standard output, everything said along the way to standard error."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Results. Paths and labels may hold [brackets] and :colons:, so nothing is read as markup."""

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Progress, and which run was taken."""


def entitled(subject: object, words: str, style: str = "bold") -> Text:
    """Write ``subject: words`` with the subject set off."""
    return Text.assemble((f"{subject}:", style), f" {words}")
