"""Panels of points: samples of two distributions, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from ..calibration import BINS, Reliability
from .fonts import save_figure, set_title

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
