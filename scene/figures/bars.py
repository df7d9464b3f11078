"""Bar charts: scores side by side, of several runs with a dot for each, or over decades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from .fonts import entitle, save_figure


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
    places = np.arange(len(bars.groups))
    figure = Figure(figsize=(1.6 + 1.35 * len(places), 4.2), dpi=110, layout="constrained")
    axis = figure.subplots()
    for middle, drawn, scores in _bars(axis, bars):
        for x, bar, runs in zip(middle, drawn, scores, strict=True):
            mean = float(bar.get_height())
            top = (x, max(mean, *runs))
            axis.annotate(
                f"{mean:.1f}", top, (0, 4), textcoords="offset points", ha="center", fontsize=8
            )
            if len(runs) > 1:
                axis.plot([x] * len(runs), runs, ".", color="black", markersize=4, alpha=0.6)
    known = [(x, y) for x, y in zip(places, bars.marks, strict=False) if y is not None]
    if known:
        at, heights = zip(*known, strict=True)
        axis.scatter(at, heights, marker="_", s=900, color="crimson", label=bars.mark, zorder=3)
    axis.set_ylabel(scale)
    axis.margins(y=0.12)
    if len(bars.series) > 1 or known:
        axis.legend(fontsize=8, loc="upper left")
    entitle(figure, title)
    save_figure(figure, path)


@rc_context({"text.parse_math": False})
def draw_log_bars(
    path: Path, panels: Mapping[str, Mapping[str, Bars]], *, title: str = ""
) -> None:
    """Draw rows of panels of bars on logarithmic scales, one of which a row shares.

    Args:
        path: Where the PNG goes; replaced if it exists.
        panels: For each row what is measured, and its panels by title, all of the same series;
            the mean of a bar's scores is drawn, and 0 leaves its place empty.
        title: Above everything.
    """
    some = next(iter(next(iter(panels.values())).values()))
    wide = max(len(row) for row in panels.values())
    width = wide * (0.8 + 0.22 * len(some.groups) * len(some.series))
    figure = Figure(
        figsize=(max(6.4, width), 2.5 * len(panels) + 1.1), dpi=110, layout="constrained"
    )
    grid = figure.subplots(len(panels), wide, squeeze=False, sharey="row")
    for axes, (scale, row) in zip(grid, panels.items(), strict=True):
        axes[0].set_ylabel(scale, fontsize=8)
        for axis, (name, bars) in zip(axes, row.items(), strict=True):
            axis.set_yscale("log")
            list(_bars(axis, bars))
            axis.set_title(name, fontsize=8)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.tick_params(labelsize=7)
            axis.grid(axis="y", color="0.9")
            axis.set_axisbelow(True)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    entitle(figure, title)
    save_figure(figure, path)


def _bars(axis: Any, bars: Bars) -> Iterator[tuple[Any, Any, Sequence[Sequence[float]]]]:
    """Draw each series at its places: gives these, its bars and its scores."""
    wide = 0.8 / len(bars.series)
    places = np.arange(len(bars.groups))
    for i, (name, scores) in enumerate(bars.series.items()):
        middle = places + (i - (len(bars.series) - 1) / 2) * wide
        yield (
            middle,
            axis.bar(middle, [np.mean(runs) for runs in scores], 0.92 * wide, label=name),
            scores,
        )
    axis.set_xticks(places, [group.replace(" + ", "\n+ ") for group in bars.groups], fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
