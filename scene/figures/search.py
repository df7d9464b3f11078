"""Results of a search: the score of each trial against each option, and importances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .fonts import save_figure, set_title

_INK, _BEST, _FAINT = "#3b6ea5", "crimson", "#8a8a8a"


@dataclass(frozen=True)
class Axis:
    """One option of a search.

    Attributes:
        name: Its name.
        values: Its value in each of N trials: numbers, or categories.
        log: Whether the axis of numbers is logarithmic.
        words: All categories, in order; None = values are numbers.
    """

    name: str
    values: Sequence[Any]
    log: bool = False
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SearchTrials:
    """The trials of a search.

    Attributes:
        axes: The options.
        scores: The score of each of N trials, or None.
        best: Index of the best trial.
        score: Label of the scores.
        importances: The importance of each option, a share; empty = not known.
        without: Legend of trials without a score.
        deviations: Standard deviation of each trial's score, 0 without a score; empty = not
            known.
    """

    axes: Sequence[Axis]
    scores: Sequence[float | None]
    best: int
    score: str
    importances: Mapping[str, float] = field(default_factory=dict)
    without: str = "no score"
    deviations: Sequence[float] = ()


@rc_context({"text.parse_math": False})
def draw_search(path: Path, trials: SearchTrials, *, title: str = "") -> None:
    """Plot one panel for each option: each trial a dot, the best in red, without a score a cross.

    Args:
        path: The PNG; replaced if it exists.
        trials: The trials.
        title: Title of the figure.
    """
    panels = len(trials.axes) + bool(trials.importances)
    across = 2 if panels == 4 else min(panels, 3)
    down = -(-panels // across)
    figure = Figure(figsize=(0.8 + 3.3 * across, 0.5 + 2.9 * down), dpi=110, layout="constrained")
    places = figure.subplots(down, across, squeeze=False).flatten()
    for place, axis in zip(places, trials.axes, strict=False):
        _scatter(place, axis, trials)
    if trials.importances:
        _weigh(places[len(trials.axes)], trials.importances)
    for place in places[panels:]:
        place.set_axis_off()
    for i, place in enumerate(places[: len(trials.axes)]):
        if i % across == 0:
            place.set_ylabel(trials.score, fontsize=9)
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    set_title(figure, title)
    save_figure(figure, path)


def _scatter(place: Any, axis: Axis, trials: SearchTrials) -> None:
    known = [i for i, score in enumerate(trials.scores) if score is not None]
    at = _positions(axis)
    heights = np.array([score for score in trials.scores if score is not None], dtype=float)
    others = np.array([i != trials.best for i in known], dtype=bool)
    x = at[known]
    if trials.deviations:
        around = np.array(trials.deviations)[known]
        place.errorbar(x, heights, around, fmt="none", ecolor=_FAINT, elinewidth=1, zorder=1)
    place.plot(x[others], heights[others], "o", color=_INK, alpha=0.7, markersize=5, label="trial")
    place.plot(x[~others], heights[~others], "o", color=_BEST, markersize=8, label="best")
    missing = [i for i, score in enumerate(trials.scores) if score is None]
    if missing:
        low = [0.03] * len(missing)
        place.plot(
            at[missing], low, "x", color=_FAINT, markersize=5, label=trials.without,
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
    """Return the position of each trial: its number, or that of its category with jitter."""
    if axis.words is None:
        return np.array(axis.values, dtype=float)
    places = [axis.words.index(value) for value in axis.values]
    return places + np.random.default_rng(0).uniform(-0.12, 0.12, len(places))


def _weigh(place: Any, importances: Mapping[str, float]) -> None:
    names = sorted(importances, key=lambda name: importances[name])
    bars = place.barh(names, [100 * importances[name] for name in names], 0.6, color=_INK)
    place.bar_label(bars, fmt="%.0f", fontsize=8, padding=3)
    place.set_xlabel("importance, %", fontsize=9)
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)
    place.margins(x=0.12)
