"""Charts: bars, heat maps, samples of two distributions, reliability diagrams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from ..calibration import BINS, Reliability
from .fonts import save_figure, set_title


@dataclass(frozen=True)
class Bars:
    """Groups of bars, with scores of several runs.

    Attributes:
        groups: Names of N groups of bars.
        series: By the name of a bar in each group, the scores of its runs, ``(N, runs)``.
        marks: A reference score for each group, or None; empty = none.
        mark: Legend of the reference scores.
    """

    groups: tuple[str, ...]
    series: Mapping[str, Sequence[Sequence[float]]]
    marks: Sequence[float | None] = ()
    mark: str = ""


@rc_context({"text.parse_math": False})
def draw_bars(path: Path, bars: Bars, *, scale: str, title: str = "") -> None:
    """Plot groups of bars: the mean over runs, with its number, and each run as a dot.

    Args:
        path: The PNG; replaced if it exists.
        bars: The scores.
        scale: Label of the axis of scores.
        title: Title of the figure.
    """
    places = np.arange(len(bars.groups))
    figure = Figure(figsize=(1.6 + 1.35 * len(places), 4.2), dpi=110, layout="constrained")
    axis = figure.subplots()
    for middle, patches, scores in _bars(axis, bars):
        for x, bar, runs in zip(middle, patches, scores, strict=True):
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
    set_title(figure, title)
    save_figure(figure, path)


@rc_context({"text.parse_math": False})
def draw_log_bars(
    path: Path, panels: Mapping[str, Mapping[str, Bars]], *, title: str = ""
) -> None:
    """Plot rows of panels of bars on a logarithmic scale, which each row shares.

    Args:
        path: The PNG; replaced if it exists.
        panels: By the label of a row's axis, its panels by title, all with the same series. Bars
            are means over runs; a mean of 0 has no bar.
        title: Title of the figure.
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
    set_title(figure, title)
    save_figure(figure, path)


@rc_context({"text.parse_math": False})
def draw_heatmap(
    path: Path,
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[float],
    columns: Sequence[float],
    down: str,
    across: str,
    scale: str,
    title: str = "",
) -> None:
    """Plot a table of scores as a heat map with numbers; the best cell is framed.

    Args:
        path: The PNG; replaced if it exists.
        values: Scores ``(R, C)``; higher is better.
        rows: The setting's value of each row.
        columns: The setting's value of each column.
        down: Label of the rows' setting.
        across: Label of the columns' setting.
        scale: Label of the scores.
        title: Title of the figure.
    """
    table = np.array(values, dtype=float)
    figure = Figure(
        figsize=(2.4 + 0.75 * len(columns), 1.7 + 0.55 * len(rows)), dpi=110, layout="constrained"
    )
    axis = figure.subplots()
    cells = axis.imshow(table, cmap="viridis", aspect="auto", origin="lower")
    axis.set_xticks(range(len(columns)), [f"{value:g}" for value in columns])
    axis.set_yticks(range(len(rows)), [f"{value:g}" for value in rows])
    axis.set_xlabel(across)
    axis.set_ylabel(down)
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (row, column), value in np.ndenumerate(table):
        ink = "black" if value > middle else "white"
        axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=ink, fontsize=9)
    row, column = np.unravel_index(np.nanargmax(table), table.shape)
    axis.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="crimson", linewidth=2.5)
    )
    figure.colorbar(cells, ax=axis, label=scale)
    set_title(figure, title)
    save_figure(figure, path)


def _bars(axis: Any, bars: Bars) -> Iterator[tuple[Any, Any, Sequence[Sequence[float]]]]:
    """Plot each series; yield the positions of its bars, the bars and the scores."""
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


_WIDE = 4
"""Panels in a row."""


@dataclass(frozen=True)
class Cloud:
    """The points of one panel.

    Attributes:
        title: Title of the panel.
        behind: Samples of the reference distribution, ``(N, 2)``.
        front: Samples of the distribution to compare, ``(N, 2)``.
    """

    title: str
    behind: Tensor
    front: Tensor


@rc_context({"text.parse_math": False})
def draw_clouds(
    path: Path,
    clouds: Sequence[Cloud],
    *,
    labels: tuple[str, str],
    axes: tuple[str, str],
    title: str = "",
) -> None:
    """Plot panels of points on shared axes, with circles of radius 1 and 2 about the origin.

    Args:
        path: The PNG; replaced if it exists.
        clouds: The points of each panel.
        labels: Legend of the points behind, and of those in front.
        axes: Labels of the horizontal and the vertical axis.
        title: Title of the figure.
    """
    wide = min(_WIDE, len(clouds))
    high = -(-len(clouds) // wide)
    figure = Figure(
        figsize=(max(4.2, 2.5 * wide + 0.6), 3.0 * high + 0.9), dpi=110, layout="constrained"
    )
    panels = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    for axis in panels.flat[len(clouds) :]:
        axis.set_axis_off()
    for axis, cloud in zip(panels.flat, clouds, strict=False):
        size = 60 / max(len(cloud.front), 20) ** 0.5
        axis.scatter(*cloud.behind.T, s=size, color="0.72", linewidths=0, label=labels[0])
        axis.scatter(
            *cloud.front.T, s=size, color="tab:blue", alpha=0.7, linewidths=0, label=labels[1]
        )
        for radius in (1, 2):
            axis.add_patch(Circle((0, 0), radius, fill=False, edgecolor="0.4", linewidth=0.7))
        axis.set_aspect("equal")
        axis.set_title(cloud.title, fontsize=8)
        axis.tick_params(labelsize=7, labelbottom=True)
        axis.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set_xlabel(
        axes[0], fontsize=8
    )  # a label of the figure would be under its legend
    panels[-1, 0].set_ylabel(axes[1], fontsize=8)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8, markerscale=2)
    set_title(figure, title)
    save_figure(figure, path)


@rc_context({"text.parse_math": False})
def draw_reliability(path: Path, panels: Mapping[str, Reliability], *, title: str = "") -> None:
    """Plot a reliability diagram in each panel.

    A dot is a bin, small if it holds few predictions; it is below the diagonal if predictions are
    overconfident. Grey bars are the share of predictions in each bin.

    Args:
        path: The PNG; replaced if it exists.
        panels: Confidence and accuracy, by the title of the panel.
        title: Title of the figure.
    """
    wide = min(_WIDE, len(panels))
    high = -(-len(panels) // wide)
    figure = Figure(
        figsize=(max(4.2, 2.4 * wide + 0.5), 3.0 * high + 0.7), dpi=110, layout="constrained"
    )
    axes = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, reliability) in zip(axes.flat, panels.items(), strict=False):
        counts = np.array(reliability.counts)
        some = counts > 0
        edges = np.linspace(0, 1, BINS + 1)[:-1]
        share = counts / max(1, reliability.count)
        axis.bar(edges, share, 1 / BINS, align="edge", color="0.87", label="share of all")
        axis.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
        confidence, accuracy = (
            np.array(values)[some] for values in (reliability.confidence, reliability.accuracy)
        )
        axis.plot(confidence, accuracy, color="tab:blue", linewidth=0.8, clip_on=False)
        sizes = 6 + 40 * share[some] ** 0.5
        axis.scatter(
            confidence, accuracy, sizes, "tab:blue", clip_on=False, zorder=3, label="accuracy"
        )
        axis.set_title(name, fontsize=8)
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.tick_params(labelsize=7, labelbottom=True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("confidence", fontsize=8)
    axes[-1, 0].set_ylabel("accuracy", fontsize=8)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8)
    set_title(figure, title)
    save_figure(figure, path)
