"""`scene tune`: search for settings of a recipe, and say which were best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import console, notes
from .options import Device, Download, Json
from .recipe_options import RecipeGroup, chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.experiments.tune.journal import Trial
    from inference.experiments.tune.plan import Plan

_SEARCH = "Search"


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_SEARCH, **more)


def tune(
    recipe: str,
    over: Annotated[
        list[str] | None,
        _option("What is searched: OPTION=LOW..HIGH, OPTION=LOW..HIGH:log or OPTION=A,B,C."),
    ] = None,
    sampler: Annotated[Literal["grid", "random", "tpe"], _option("How.")] = "tpe",
    trials: Annotated[
        int | None, _option("How many in all.", show_default="20, or the grid")
    ] = None,
    points: Annotated[int | None, _option("How many of a grid stand for a range.")] = None,
    jobs: Annotated[int, _option("Processes that share trials.")] = 1,
    seeds: Annotated[
        int, _option("How many train each point, from --seed on; their mean is its score.")
    ] = 1,
    metric: Annotated[
        Literal["miou", "f1", "map", "elbo", "loss"] | None,
        _option("By what.", show_default="miou; f1 of a classifier"),
    ] = None,
    given: Annotated[
        str | None,
        _option("Views that predict masks or classes.", show_default="image, if that will do"),
    ] = None,
    split: Annotated[str, _option("Where scores are taken: tune or val.")] = "tune",
    prune: Annotated[
        bool | None,
        _option(
            "Stop trials whose validation loss is worse than the median's.",
            "--prune/--no-prune",
            show_default="with --metric loss",
        ),
    ] = None,
    keep: Annotated[bool, _option("Keep the weights of all trials.", "--keep")] = False,
    out: Annotated[Path | None, _option("Folder; a search that is there is gone on with.")] = None,
    force: Annotated[bool, _option("Begin anew.", "--force")] = False,
    json: Json = False,
    device: Device = "auto",
    download: Download = False,
    **values: Any,
) -> None:
    """Search for the best settings, each trial trained as scene train would train it.

    scene tune jvae --over learning-rate=1e-4..1e-1:log --over latent=16,32,64

    Any option below can be searched: a range of numbers, on a log scale or not, or a list; where
    values hold commas, | separates them. The other options stay as they are given. Trials are
    scored on tune, never on test. The same call goes on with the same search.
    """
    from inference.experiments.tune.search import tune as search

    plan = _plan(recipe, over, chosen(values), locals())
    from .crf_options import bar

    total = trials or (int(plan.size) if sampler == "grid" else None)
    with bar() as watch:
        found = search(
            plan,
            trials=trials,
            jobs=jobs,
            folder=out,
            force=force,
            keep=keep,
            told=_telling(total, watch),
            watch=lambda trial, report: watch(trial.name, report.step, report.steps),
            device=device,
            download=download,
        )
    if json:
        console.print_json(data=found.to_json())
        return
    from .tune_tables import show

    show(found)


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
    recipe: str, over: list[str] | None, options: dict[str, Any], asked: dict[str, Any]
) -> Plan:
    """Return the plan of a search."""
    from inference.experiments.tune.plan import Plan
    from inference.experiments.tune.space import space
    from inference.settings.recipes import recipe as find

    classes = find(recipe).explains == ("classes",)
    spaces = tuple(map(space, over or ()))
    metric = asked["metric"] or ("f1" if classes else "miou")
    views, prune = asked["given"], asked["prune"]
    return Plan(
        recipe,
        spaces,
        options,
        sampler=asked["sampler"],
        points=asked["points"],
        metric=metric,
        views=None if views is None else tuple(view.strip() for view in views.split(",")),
        split=asked["split"],
        prune=metric == "loss" if prune is None else prune,
        seeds=asked["seeds"],
    )


def _telling(total: int | None, watch: Callable[[str, int, int], None]) -> Callable[[Trial], None]:
    """Say what came of each trial as it ends."""
    from .tune_tables import outcome, short

    def told(trial: Trial) -> None:
        point = ", ".join(f"{name} {short(value)}" for name, value in trial.point.items())
        notes.print(f"{trial.name}: {point}: {outcome(trial)}", style="dim")

    return told
