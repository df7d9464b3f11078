"""Heat maps: a score at every crossing of two settings, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .fonts import save_figure


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
    """Draw a table of scores as coloured cells that also say their numbers; the best is framed.

    Args:
        path: Where the PNG goes; replaced if it exists.
        values: ``(R, C)`` scores, higher being better.
        rows: The setting of each row.
        columns: The setting of each column.
        down: What the rows' setting is called.
        across: What the columns' setting is called.
        scale: What the scores are.
        title: Above everything.
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
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
