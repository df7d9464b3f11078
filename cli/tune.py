"""`scene tune`: search for settings of a recipe, and say which were best."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.settings.recipes import RECIPES

from .console import console, notes
from .options import Json
from .train import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.experiments.tune.journal import Trial

_SEARCH = "Search"
_OWN = ("device", "download")
"""Options of `scene train` that say how, not what."""

_LEFT_OUT = ("recipe", "resume", "start", "out", "force", "trust")


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_SEARCH, **more)


def _with_options_of_train(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take, beside its own options, those of `scene train` as ``**fixed``."""
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values()]
    named = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD]
    taken = {*_LEFT_OUT, *(p.name for p in named)}
    theirs = inspect.signature(train, eval_str=True).parameters.values()
    both = [*named, *(p for p in theirs if p.name not in taken)]
    setattr(function, "__signature__", inspect.Signature(both))  # noqa: B010
    function.__annotations__ = {p.name: p.annotation for p in both}
    return function


@_with_options_of_train
def tune(
    recipe: Annotated[str, typer.Argument(help=f"One of: {', '.join(RECIPES)}.")],
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
    **fixed: Any,
) -> None:
    """Search for settings of RECIPE, each trial trained as scene train would.

    scene tune jvae --over learning-rate=1e-4..1e-1:log --over latent=16,32,64

    Any option that RECIPE takes can be searched: a range of numbers, on a log scale or not, or a
    list; where values hold commas, | sets them apart. All other options of scene train stay as
    given. Trials are scored on tune, never on test. The same call goes on with the same search.
    """
    from inference.experiments.tune.search import tune as search

    plan, more = _plan(recipe, over, fixed, locals())
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
            **more,
        )
    if json:
        console.print_json(data=found.to_json())
        return
    from .tune_tables import show

    show(found)


def _plan(
    recipe: str, over: list[str] | None, fixed: dict[str, Any], asked: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Make the plan, and what says how it is done."""
    from inference.experiments.tune.plan import Plan
    from inference.experiments.tune.space import space
    from inference.settings.recipes import recipe as find

    more = {name: fixed[name] for name in _OWN}
    options = {k: v for k, v in fixed.items() if k not in _OWN and v is not None}
    classes = find(recipe).explains == ("classes",)
    spaces = tuple(map(space, over or ()))
    metric = asked["metric"] or ("f1" if classes else "miou")
    views, prune = asked["given"], asked["prune"]
    plan = Plan(
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
    return plan, more


def _telling(total: int | None, watch: Callable[[str, int, int], None]) -> Callable[[Trial], None]:
    """Say what came of each trial as it ends."""
    from .tune_tables import outcome, short

    def told(trial: Trial) -> None:
        point = ", ".join(f"{name} {short(value)}" for name, value in trial.point.items())
        notes.print(f"{trial.name}: {point}: {outcome(trial)}", style="dim")

    return told
