"""Where words go: results to standard output, everything said along the way to standard error."""

from __future__ import annotations

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
"""Results."""

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, and which run was taken."""
