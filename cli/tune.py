"""`scene tune`: search the settings of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import console, notes
from .options import Device, Download, Json
from .recipe_options import RecipeGroup, typed_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.experiments.tune.journal import Trial
    from inference.experiments.tune.plan import Plan
    from inference.experiments.tune.search import Tuned

_SEARCH = "Search"


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_SEARCH, **more)


def tune(
    recipe: str,
    over: Annotated[
        list[str] | None,
        _option(
            "Option to search and its values: OPTION=LOW..HIGH, OPTION=LOW..HIGH:log or "
            "OPTION=A,B,C. Repeatable."
        ),
    ] = None,
    sampler: Annotated[
        Literal["grid", "random", "tpe"],
        _option("Sampler of the points: tpe (Bayesian), random, or grid (all combinations)."),
    ] = "tpe",
    trials: Annotated[
        int | None,
        _option(
            "Number of trials in the whole search, 1 or more.",
            show_default="20, or all points of a grid",
        ),
    ] = None,
    points: Annotated[
        int | None,
        _option(
            "Number of values that a grid takes from each range, "
            "2 or more. Needed for a range with --sampler grid."
        ),
    ] = None,
    jobs: Annotated[int, _option("Number of trials to run in parallel, 1 or more.")] = 1,
    seeds: Annotated[
        int,
        _option(
            "Number of seeds to train each point with, 1 to 1000; the first is --seed. "
            "The score is their mean."
        ),
    ] = 1,
    metric: Annotated[
        Literal["miou", "f1", "map", "elbo", "loss"] | None,
        _option(
            "Score of a trial: miou (masks, %), f1 or map (classes, %), elbo (nats per "
            "scene) or loss (validation).",
            show_default="miou; f1 of a classifier",
        ),
    ] = None,
    given: Annotated[
        str | None,
        _option(
            "Views from which masks or classes are predicted, as image,classes.",
            show_default="image, if the model can read it alone",
        ),
    ] = None,
    split: Annotated[str, _option("Split on which trials are scored: tune or val.")] = "tune",
    prune: Annotated[
        bool | None,
        _option(
            "Stop trials whose validation loss is worse than the median of the other trials.",
            "--prune/--no-prune",
            show_default="with --metric loss",
        ),
    ] = None,
    keep: Annotated[
        bool, _option("Keep the weights of all trials, not only those of the best.", "--keep")
    ] = False,
    out: Annotated[
        Path | None,
        _option(
            "Where to write: a folder for the trials and tune.json. "
            "An existing search with the same settings continues.",
            show_default="runs/tune-RECIPE-DATA",
        ),
    ] = None,
    force: Annotated[
        bool, _option("Delete an earlier search in --out and start again.", "--force")
    ] = False,
    json: Json = False,
    device: Device = "auto",
    download: Download = False,
    **values: Any,
) -> None:
    """Search for the best settings. Each trial is one training, as by scene train.

    scene tune jvae --over learning-rate=1e-4..1e-1:log --over latent=16,32,64

    You can search any option below, over a range of numbers (linear or log scale) or a list.
    Separate list items that contain commas with |. All other options stay fixed. Trials are scored
    on tune, never on test. To continue an interrupted search, run the same command again.
    """
    from inference.experiments.tune.search import tune as search

    plan = _plan(recipe, over, typed_options(values), locals())
    from .progress import bar

    total = trials or (int(plan.size) if sampler == "grid" else None)
    with bar() as watch:
        tuned = search(
            plan,
            trials=trials,
            jobs=jobs,
            folder=out,
            force=force,
            keep=keep,
            on_trial=_trial_printer(total, watch),
            watch=lambda trial, report: watch(trial.name, report.step, report.steps),
            device=device,
            download=download,
        )
    if json:
        console.print_json(data=tuned.to_json())
        return
    show(tuned)


class _Recipes(RecipeGroup):
    function = staticmethod(tune)


app = typer.Typer(
    cls=_Recipes,
    no_args_is_help=True,
    subcommand_metavar="RECIPE [OPTIONS]",
    help="Search for settings of RECIPE. Each recipe has a --help of its own.",
)


@app.callback()
def _root() -> None:
    pass


def _plan(
    recipe: str, over: list[str] | None, options: dict[str, Any], arguments: dict[str, Any]
) -> Plan:
    """Return the plan of a search."""
    from inference.experiments.tune.plan import Plan
    from inference.experiments.tune.space import space
    from inference.settings.recipes import recipe as find

    classes = find(recipe).explains == ("classes",)
    spaces = tuple(map(space, over or ()))
    metric = arguments["metric"] or ("f1" if classes else "miou")
    views, prune = arguments["given"], arguments["prune"]
    return Plan(
        recipe,
        spaces,
        options,
        sampler=arguments["sampler"],
        points=arguments["points"],
        metric=metric,
        views=None if views is None else tuple(view.strip() for view in views.split(",")),
        split=arguments["split"],
        prune=metric == "loss" if prune is None else prune,
        seeds=arguments["seeds"],
    )


def _trial_printer(
    total: int | None, watch: Callable[[str, int, int], None]
) -> Callable[[Trial], None]:
    """Return a callback that prints the outcome of each trial as it ends."""

    def print_trial(trial: Trial) -> None:
        point = ", ".join(f"{name} {short(value)}" for name, value in trial.point.items())
        notes.print(f"{trial.name}: {point}: {outcome(trial)}", style="dim")

    return print_trial


_SHOWN = 10


def show(tuned: Tuned) -> None:
    """Print what came of a search."""
    from rich.table import Table

    from inference.experiments.tune.plan import METRICS

    ranked, plan = tuned.ranked, tuned.plan
    best = ranked[0]
    console.print(
        f"{plan.recipe} on {tuned.data}: {len(ranked)} of {len(tuned.trials)} trials by "
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
    _show_rest(tuned)
    for run in tuned.runs:
        console.print(f"best run: {run}")
    for path in tuned.files:
        console.print(str(path))
    console.print(tuned.command)


def outcome(trial: Trial) -> str:
    """Return the outcome of a trial in a word or two."""
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


def _show_rest(tuned: Tuned) -> None:
    """Print how many trials are not in the table, and the importance of the options."""
    hidden = len(tuned.ranked) - _SHOWN
    parts = [f"{hidden} more are in tune.json"] if hidden > 0 else []
    stopped = sum(trial.state == "stopped" for trial in tuned.trials)
    parts += [f"{stopped} stopped early"] if stopped else []
    failed = [trial for trial in tuned.trials if trial.state == "failed"]
    parts += [f"{len(failed)} failed ({failed[0].name}: {failed[0].why})"] if failed else []
    if parts:
        console.print("; ".join(parts).rstrip(".") + ".")
    if tuned.importances:
        shares = ", ".join(f"{k} {100 * v:.0f} %" for k, v in tuned.importances.items())
        console.print(f"What mattered: {shares}.")
