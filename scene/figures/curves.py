"""Curves of a training, and the confusion matrix of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from .fonts import save_figure, set_title

Curve = tuple[Sequence[int], Sequence[float]]
"""Steps, and a value at each."""

NUMBERED = 21
"""The most labels for which cells of a confusion matrix are numbered."""


@rc_context({"text.parse_math": False})
def draw_curves(path: Path, panels: Mapping[str, Mapping[str, Curve]], *, title: str = "") -> None:
    """Plot panels of curves over steps.

    Args:
        path: The PNG; replaced if it exists.
        panels: By the label of a panel's axis, its curves by name.
        title: Title of the figure.
    """
    figure = Figure(figsize=(4.6 * len(panels), 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (scale, curves) in zip(axes, panels.items(), strict=True):
        for name, (steps, values) in curves.items():
            marker = "o" if len(steps) < 30 else None
            axis.plot(steps, values, label=name, linewidth=1.4, marker=marker, markersize=3)
        axis.set(xlabel="step", ylabel=scale)
        axis.grid(color="0.9")
        axis.spines[["top", "right"]].set_visible(False)
        if len(curves) > 1:
            axis.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    set_title(figure, title)
    save_figure(figure, path)


@rc_context({"text.parse_math": False})
def draw_confusion(path: Path, counts: Tensor, names: Sequence[str], *, title: str = "") -> None:
    """Plot a confusion matrix: of the pixels of each true label, the share of each predicted one.

    Args:
        path: The PNG; replaced if it exists.
        counts: Pixels by true label (row) and predicted label (column), ``(L, L)``.
        names: The L labels.
        title: Title of the figure.
    """
    table = counts.double().numpy()
    shares = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 2.2 + 0.42 * len(names)
    figure = Figure(figsize=(side + 0.6, side), dpi=110, layout="constrained")
    axis = figure.subplots()
    cells = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(xlabel="predicted", ylabel="true")
    if len(names) <= NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            if table[row].any():
                ink = "white" if share > 55 else "black"
                axis.text(column, row, f"{share:.0f}", ha="center", va="center", color=ink, size=7)
    figure.colorbar(cells, ax=axis, label="% of the true label's pixels")
    set_title(figure, title)
    save_figure(figure, path)
