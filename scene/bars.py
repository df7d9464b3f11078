"""Bar charts: scores of several runs side by side, each run's own a dot on the bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from scene.files import replace_file


@dataclass(frozen=True)
class Bars:
    """What to draw.

    Attributes:
        groups: Names of N groups of bars.
        series: For each bar of a group its name, and the scores of its runs: ``(N, runs)``.
        marks: A score to mark in each group; None = none, empty = in no group.
        mark: What the marks are called.
    """

    groups: tuple[str, ...]
    series: Mapping[str, Sequence[Sequence[float]]]
    marks: Sequence[float | None] = ()
    mark: str = ""


@rc_context({"text.parse_math": False})
def draw_bars(path: Path, bars: Bars, *, scale: str, title: str = "") -> None:
    """Draw groups of bars: the mean of each, above it its number, on it each run as a dot.

    Args:
        path: Where the PNG goes; replaced if it exists.
        bars: What to draw.
        scale: What the scores are.
        title: Above everything.
    """
    wide = 0.8 / len(bars.series)
    places = np.arange(len(bars.groups))
    figure = Figure(figsize=(1.6 + 1.35 * len(places), 4.2), dpi=110, layout="constrained")
    axis = figure.subplots()
    for i, (name, scores) in enumerate(bars.series.items()):
        middle = places + (i - (len(bars.series) - 1) / 2) * wide
        drawn = axis.bar(middle, [np.mean(runs) for runs in scores], 0.92 * wide, label=name)
        axis.bar_label(drawn, fmt="%.1f", fontsize=8, padding=4)
        for x, runs in zip(middle, scores, strict=True):
            if len(runs) > 1:
                axis.plot([x] * len(runs), runs, ".", color="black", markersize=4, alpha=0.6)
    known = [(x, y) for x, y in zip(places, bars.marks, strict=False) if y is not None]
    if known:
        at, heights = zip(*known, strict=True)
        axis.scatter(at, heights, marker="_", s=900, color="crimson", label=bars.mark, zorder=3)
    axis.set_xticks(places, [group.replace(" + ", "\n+ ") for group in bars.groups], fontsize=8)
    axis.set_ylabel(scale)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.12)
    if len(bars.series) > 1 or known:
        axis.legend(fontsize=8, loc="upper left")
    if title:
        figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: figure.savefig(part, format="png"))
