"""Reliability diagrams: accuracy against confidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..calibration import BINS, Reliability
from .fonts import entitle, save_figure

_WIDE = 4


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
    entitle(figure, title)
    save_figure(figure, path)
