"""The tables of `scene tune`: the best trials, those that failed, and what mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import console

if TYPE_CHECKING:
    from inference.experiments.tune.journal import Trial
    from inference.experiments.tune.search import Tuned

_SHOWN = 10


def show(found: Tuned) -> None:
    """Print what came of a search."""
    from rich.table import Table

    from inference.experiments.tune.plan import METRICS

    ranked, plan = found.ranked, found.plan
    best = ranked[0]
    console.print(
        f"{plan.recipe} on {found.data}: {len(ranked)} of {len(found.trials)} trials by "
        f"{METRICS[plan.metric]} ({best.about})",
        style="bold",
    )
    table = Table("trial")
    for option in plan.options:
        table.add_column(option, justify="right")
    table.add_column(plan.metric, justify="right")
    table.add_column("seconds", justify="right")
    for trial in ranked[:_SHOWN]:
        values = [short(trial.point[option]) for option in plan.options]
        style = "bold" if trial is best else ""
        score = outcome(trial)
        table.add_row(trial.name, *values, score, f"{trial.seconds:.0f}", style=style)
    console.print(table)
    _show_rest(found)
    for run in found.runs:
        console.print(f"best run: {run}")
    for path in found.files:
        console.print(str(path))
    console.print(found.command)


def outcome(trial: Trial) -> str:
    """Say what came of a trial in a word or two."""
    if trial.score is not None:
        digits, around = 1 if abs(trial.score) >= 1 else 3, trial.deviation
        return f"{trial.score:.{digits}f}" + ("" if around is None else f" ± {around:.{digits}f}")
    return {"stopped": "stopped early", "failed": f"failed: {trial.why}"}[trial.state]


def short(value: object) -> str:
    """Write a value so that it fits a table.

    >>> short(0.0031622), short("adam"), short(True), short(16)
    ('0.00316', 'adam', 'yes', '16')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _show_rest(found: Tuned) -> None:
    """Say how many trials are not in the table, and what mattered."""
    hidden = len(found.ranked) - _SHOWN
    said = [f"{hidden} more are in tune.json"] if hidden > 0 else []
    stopped = sum(trial.state == "stopped" for trial in found.trials)
    said += [f"{stopped} stopped early"] if stopped else []
    failed = [trial for trial in found.trials if trial.state == "failed"]
    said += [f"{len(failed)} failed ({failed[0].name}: {failed[0].why})"] if failed else []
    if said:
        console.print("; ".join(said).rstrip(".") + ".")
    if found.importances:
        shares = ", ".join(f"{k} {100 * v:.0f} %" for k, v in found.importances.items())
        console.print(f"What mattered: {shares}.")
