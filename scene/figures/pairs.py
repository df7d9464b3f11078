"""Clouds of points: samples from two distributions over each other, a panel for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from .fonts import entitle, save_figure

_WIDE = 4


@dataclass(frozen=True)
class Cloud:
    """One panel.

    Attributes:
        title: Above it.
        behind: Points of the distribution that is expected, ``(N, 2)``.
        front: Points of the one that is looked at, ``(N, 2)``.
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
    """Draw panels of points on shared axes, with circles at one and two units from the origin.

    Args:
        path: Where the PNG goes; replaced if it exists.
        clouds: One panel each.
        labels: What the points behind and those in front are.
        axes: What lies across, and what up.
        title: Above everything.
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
    panels[-1, 0].set_xlabel(axes[0], fontsize=8)  # one of the figure would lie under its legend
    panels[-1, 0].set_ylabel(axes[1], fontsize=8)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8, markerscale=2)
    entitle(figure, title)
    save_figure(figure, path)
