"""`scene reproduce --table scene`: cVAE, j-VAE and TELBO on one dataset, beside the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from .console import console, notes

if TYPE_CHECKING:
    from pathlib import Path

    from inference.experiments.compare import TrainingScores
    from inference.experiments.scene_table import SceneTable

SHARED = (
    "table", "data", "seeds", "seed", "out", "json", "jobs", "device", "download", "size", "count",
    "split", "steps", "force",
)  # fmt: skip
"""The options of `scene reproduce` that this table takes."""


def require(ctx: typer.Context, table: str) -> None:
    """Refuse options that belong to the other table.

    Raises:
        ValueError: Naming them.
    """
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    idle = [n for n in given if (n not in SHARED if table == "scene" else n == "steps")]
    if idle:
        words = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ValueError(f"--table {table} does not use {words}; leave that out.")


def reproduce_scene(
    common: dict[str, Any],
    *,
    seeds: range,
    split: str | None,
    out: Path | None,
    force: bool,
    json: bool,
    jobs: int,
    device: Any,
) -> None:
    """Make the table and print it."""
    from inference.experiments.scene_table import scene_table

    found = scene_table(
        {name: value for name, value in common.items() if value is not None},
        seeds=seeds,
        split=split,
        folder=out,
        force=force,
        jobs=jobs,
        device=device,
        watch=_tell,
    )
    if json:
        console.print_json(data=found.to_json())
        return
    _show(found)
    for path in found.files:
        console.print(str(path))


def _tell(result: TrainingScores) -> None:
    notes.print(f"{result.row}, seed {result.settings.training.seed}: done", style="dim")


def _show(found: SceneTable) -> None:
    from rich.table import Table as Grid

    from inference.experiments.compare import format_mean
    from inference.experiments.scene_table import MODELS

    seeds = ", ".join(map(str, found.seeds))
    console.print(f"mIoU in %, {found.scored}, seed{'s' * (len(found.seeds) > 1)} {seeds}")
    grid = Grid("model")
    titles = list(found.scores(next(iter(MODELS))))
    for title in titles:
        grid.add_column(title, justify="right")
    if found.reference:
        grid.add_column("the report", justify="right")
    for name, model in MODELS.items():
        scores = found.scores(name)
        cells = [format_mean(scores[title]) for title in titles]
        if found.reference:
            cells.append("–" if model.report is None else f"{model.report}")
        grid.add_row(name, *cells)
    console.print(grid)
    for name, model in MODELS.items():
        console.print(f"{name}: scene train {model.row.command}", style="dim")
