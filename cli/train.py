"""`scene train`: learn a scene model from data, watch it, and see what it learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from inference.settings.recipes import RECIPES
from inference.settings.recipes import recipe as recipe_called

from .completion import complete_run
from .console import console, notes
from .options import Device, Download, Force, Json, Trust
from .recipe_options import RecipeGroup, typed_options

if TYPE_CHECKING:
    from inference.runs.run import Run
    from inference.training.session import Outcome

_NAMES = ", ".join(RECIPES)


def train(
    recipe: str,
    device: Device = "auto",
    download: Download = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Run that provides the initial weights, where names and shapes match.",
            metavar="RUN",
            autocompletion=complete_run,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run.",
            show_default="runs/RECIPE-DATA-TIME; SCENE_RUNS names another runs/",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    **values: Any,
) -> None:
    """Training writes one folder: config, weights, metrics, pictures.

    To continue an interrupted training: scene train --resume RUN.
    """
    settings = recipe_called(recipe).settings(**typed_options(values))
    from inference.runs.run import read
    from inference.training.session import train as learn

    from .progress import TrainingBar

    with TrainingBar(settings.training.steps) as (watch, started):
        outcome = learn(
            settings,
            folder=out,
            force=force,
            device=device,
            download=download,
            start=None if start is None else read(start),
            watch=watch,
            started=started,
            initialised=lambda weights: notes.print(f"start {weights}", style="dim"),
        )
    _say(outcome, json)


class _Recipes(RecipeGroup):
    function = staticmethod(train)
    elsewhere: ClassVar[Mapping[str, str]] = {
        "--resume": "--resume uses the settings stored in the run; leave out the recipe: scene "
        "train --resume RUN.",
        "--trust": "--trust is for the code of a run that is resumed; leave it out.",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed before a recipe.

        Raises:
            ValueError: If --resume stands beside something that it does not go with.
        """
        resumes = "--resume" in args  # parsing empties the list
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # as in RecipeCommand
            if type(error).__name__ != "NoSuchOption" or not resumes:
                raise
            odd = getattr(error, "option_name", "")
            raise ValueError(
                f"--resume uses the settings stored in the run; leave out {odd}."
            ) from None


app = typer.Typer(
    cls=_Recipes,
    no_args_is_help=False,
    invoke_without_command=True,
    subcommand_metavar="RECIPE [OPTIONS]",
    help="Train RECIPE: learn a scene model from data. Each recipe has a --help of its own.",
)


@app.callback()
def resume(
    ctx: typer.Context,
    run: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            help="Continue an interrupted run; the result equals that of an uninterrupted one.",
            metavar="RUN",
            autocompletion=complete_run,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="With --resume: new location of the run's data.", show_default="the run's own"
        ),
    ] = None,
    device: Device = "auto",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Go on with an interrupted run, or refuse what goes with no recipe."""
    if ctx.invoked_subcommand is not None:
        if run is not None:
            raise ValueError(
                "--resume uses the settings stored in the run; leave out "
                f"{ctx.invoked_subcommand}."
            )
        options = {"--data": data is not None, "--trust": trust, "--device": device != "auto"}
        options["--json"] = json
        if early := [name for name, was in options.items() if was]:
            raise ValueError(f"Write {early[0]} after the recipe, or use it with --resume.")
        return
    if run is None:
        raise ValueError(f"Name a recipe, one of {_NAMES}, as scene train telbo.")
    from inference.runs.run import read
    from inference.training.session import resume as go_on

    from .progress import TrainingBar

    there = read(run)
    with TrainingBar(there.settings.training.steps) as (watch, started):
        outcome = go_on(there, data=data, device=device, trust=trust, watch=watch, started=started)
    _say(outcome, json)


def _say(outcome: Outcome, json: bool) -> None:
    from inference.prediction.evaluate import DRAWS
    from scene.metrics import ClassScore, MaskScore
    from scene.notices import against_weak

    cell = outcome.cell
    if json:
        console.print_json(
            data={
                "run": str(outcome.run.folder),
                "recipe": outcome.run.settings.title,
                "parts": [str(part.folder) for part in outcome.parts],
                "split": outcome.split,
                "score": None if cell is None else cell.to_json(),
                "picture": str(outcome.picture),
            }
        )
        return
    if cell is None:
        notes.print(f"run {outcome.run.folder}", style="dim")
        _say_drawn(outcome.run)
        return
    for part in outcome.parts:
        _say_drawn(part)
    score = cell.score
    mark = "" if cell.trained else " †"
    text, draws = "mIoU –", f", {DRAWS} draws"
    if isinstance(score, MaskScore):
        text = f"mIoU {score.miou:.1f}{mark}"
    elif isinstance(score, ClassScore):
        text, draws = f"macro-F1 {score.macro_f1:.1f}, mAP {score.map:.1f}", ""
    notes.print(f"run {outcome.run.folder}", style="dim")
    if score is None:
        console.print(
            f"{cell.title} is not scored: no scene of {outcome.split} has a {cell.target} to "
            f"score against  {outcome.picture}"
        )
        return
    console.print(
        f"{cell.title} {text} ({outcome.split}, {cell.scenes} scenes"
        f"{against_weak(cell.weak, cell.scenes)}{draws})  {outcome.picture}"
    )


def _say_drawn(run: Run) -> None:
    what = "details" if run.settings.recipe == "details" else "the flow"
    console.print(f"scenes drawn with {what}  {run.path('samples.png')}")
