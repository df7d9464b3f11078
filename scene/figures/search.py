"""Searches: the score of every trial against each option, and how much each option mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .fonts import save_figure

_INK, _BEST, _FAINT = "#3b6ea5", "crimson", "#8a8a8a"


@dataclass(frozen=True)
class Axis:
    """An option that was searched.

    Attributes:
        name: What it is called.
        values: Of each of N trials; numbers, or words.
        log: Whether numbers are shown by their ratios.
        words: All words there are, in order; None = numbers.
    """

    name: str
    values: Sequence[Any]
    log: bool = False
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Searched:
    """What to draw.

    Attributes:
        axes: The options.
        scores: Of each of N trials; None where there is none.
        best: Which trial was best.
        score: What the scores are.
        importances: The share that each option explains; empty = not known.
        without: What trials without a score are called.
        deviations: By how much the score of each trial scatters, 0 where there is none; empty =
            not known.
    """

    axes: Sequence[Axis]
    scores: Sequence[float | None]
    best: int
    score: str
    importances: Mapping[str, float] = field(default_factory=dict)
    without: str = "no score"
    deviations: Sequence[float] = ()


@rc_context({"text.parse_math": False})
def draw_search(path: Path, searched: Searched, *, title: str = "") -> None:
    """Draw one panel an option: each trial a dot, the best in red, those without a score below.

    Args:
        path: Where the PNG goes; replaced if it exists.
        searched: What to draw.
        title: Above everything.
    """
    panels = len(searched.axes) + bool(searched.importances)
    across = 2 if panels == 4 else min(panels, 3)
    down = -(-panels // across)
    figure = Figure(figsize=(0.8 + 3.3 * across, 0.5 + 2.9 * down), dpi=110, layout="constrained")
    places = figure.subplots(down, across, squeeze=False).flatten()
    for place, axis in zip(places, searched.axes, strict=False):
        _scatter(place, axis, searched)
    if searched.importances:
        _weigh(places[len(searched.axes)], searched.importances)
    for place in places[panels:]:
        place.set_axis_off()
    for i, place in enumerate(places[: len(searched.axes)]):
        if i % across == 0:
            place.set_ylabel(searched.score, fontsize=9)
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _scatter(place: Any, axis: Axis, searched: Searched) -> None:
    known = [i for i, score in enumerate(searched.scores) if score is not None]
    at = _positions(axis)
    heights = np.array([score for score in searched.scores if score is not None], dtype=float)
    others = np.array([i != searched.best for i in known], dtype=bool)
    x = at[known]
    if searched.deviations:
        around = np.array(searched.deviations)[known]
        place.errorbar(x, heights, around, fmt="none", ecolor=_FAINT, elinewidth=1, zorder=1)
    place.plot(x[others], heights[others], "o", color=_INK, alpha=0.7, markersize=5, label="trial")
    place.plot(x[~others], heights[~others], "o", color=_BEST, markersize=8, label="best")
    missing = [i for i, score in enumerate(searched.scores) if score is None]
    if missing:
        low = [0.03] * len(missing)
        place.plot(
            at[missing], low, "x", color=_FAINT, markersize=5, label=searched.without,
            transform=place.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
        place.margins(y=0.18)
    if axis.words is not None:
        place.set_xticks(range(len(axis.words)), axis.words)
        place.set_xlim(-0.5, len(axis.words) - 0.5)
    elif axis.log:
        place.set_xscale("log")
        place.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        place.xaxis.set_minor_formatter(lambda value, _: "")
    elif all(isinstance(value, int) for value in axis.values):
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
    place.set_xlabel(axis.name, fontsize=9)
    place.tick_params(labelsize=8)
    place.grid(axis="y", alpha=0.25)
    place.spines[["top", "right"]].set_visible(False)


def _positions(axis: Axis) -> Any:
    """Place each trial: at its number, or beside its word, so that equals stay apart."""
    if axis.words is None:
        return np.array(axis.values, dtype=float)
    places = [axis.words.index(value) for value in axis.values]
    return places + np.random.default_rng(0).uniform(-0.12, 0.12, len(places))


def _weigh(place: Any, importances: Mapping[str, float]) -> None:
    names = sorted(importances, key=lambda name: importances[name])
    drawn = place.barh(names, [100 * importances[name] for name in names], 0.6, color=_INK)
    place.bar_label(drawn, fmt="%.0f", fontsize=8, padding=3)
    place.set_xlabel("importance, %", fontsize=9)
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)
    place.margins(x=0.12)
