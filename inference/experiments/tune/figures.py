"""The picture of a search: what was tried, how good it was, and what mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scene.figures.search import Axis, SearchTrials, draw_search

from .journal import Trial
from .plan import METRICS, Plan
from .space import Range, Space


def draw(
    path: Path, plan: Plan, trials: Sequence[Trial], importances: Mapping[str, float]
) -> None:
    """Draw the score against each option; of trials that diverged or were stopped, where.

    Args:
        path: Where the PNG goes.
        plan: What was searched.
        trials: All of them; one at least has a score.
        importances: Of options; empty if they are not known.
    """
    ended = [trial for trial in trials if trial.state != "begun"]
    scores = [trial.score for trial in ended]
    known = [score for score in scores if score is not None]
    best = scores.index(min(known) if plan.minimised else max(known))
    states = {trial.state for trial in ended if trial.score is None}
    named = {"stopped": "stopped early", "failed": "failed"}
    searched = SearchTrials(
        [_axis(space, ended) for space in plan.spaces],
        scores,
        best,
        METRICS[plan.metric],
        importances,
        ", ".join(word for state, word in named.items() if state in states),
        [trial.deviation or 0.0 for trial in ended] if plan.seeds > 1 else (),
    )
    each = f", mean ± sd of {plan.seeds} seeds" if plan.seeds > 1 else ""
    draw_search(path, searched, title=f"{plan.recipe}: {len(known)} trials{each}")


def _axis(space: Space, trials: Sequence[Trial]) -> Axis:
    values = [trial.point[space.option] for trial in trials]
    if isinstance(space, Range):
        return Axis(space.option, values, space.log)
    words = tuple(map(_word, space.values))
    return Axis(space.option, [_word(value) for value in values], words=words)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
