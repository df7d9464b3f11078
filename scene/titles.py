"""Titles of figures: broken into lines that fit."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

_PER_INCH = 12
"""Letters of a title in an inch."""


def entitle(figure: Figure, title: str) -> None:
    """Write a title above a figure, in as many lines as it needs; none where it is empty."""
    if title:
        width = int(_PER_INCH * figure.get_figwidth())
        lines = (textwrap.fill(line, width) for line in title.splitlines())
        figure.suptitle("\n".join(lines), fontsize=10)
