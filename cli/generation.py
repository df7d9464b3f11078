"""Drawn scenes beside true ones: `scene evaluate --generation`, and the segmenter that judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import about, console, heading, notes, sized
from .options import choose_run, fitted
from .progress import bar

if TYPE_CHECKING:
    from inference.api.diagnose import Generation
    from inference.api.load import Run as RunFolder
    from scene.datasets.base import SceneDataset

SegmenterRun = Annotated[
    Path | None,
    typer.Option(
        "--segmenter",
        help="Run of segmenter on the same data, which labels drawn images.",
        metavar="RUN",
        show_default="the newest",
    ),
]


def evaluate_generation(run: Path | None, arguments: dict[str, Any]) -> None:
    """Compare drawn scenes with true ones, and print a table or JSON.

    Args:
        run: The run; None = the newest that draws whole scenes.
        arguments: The arguments of `cli.evaluate.evaluate` by name.
    """
    from inference.api.diagnose import generation

    model = fitted(
        choose_run(run, "generate").folder, device=arguments["device"], trust=arguments["trust"]
    )
    if arguments["guidance"] is not None:
        model = model.guided(arguments["guidance"])
    dataset = model.dataset(
        arguments["split"], data=arguments["data"], download=arguments["download"]
    )
    judge = segmenter_run(arguments["segmenter"], dataset)
    if judge is None:
        raise LookupError("Without a segmenter there is nothing to compare drawn images by.")
    with bar() as watch:
        rows = generation(
            model,
            dataset,
            judge,
            limit=arguments["limit"] or 300,
            seed=arguments["seed"],
            watch=lambda title, done, total: watch(f"drawing given {title}", done, total),
        )
    report = {**about(model.run, dataset), "segmenter": str(judge.folder)}
    if arguments["json"]:
        console.print_json(data={**report, "generation": [row.to_json() for row in rows]})
        return
    console.print(heading(report, rows[0].scenes))
    show_generation(rows)


def show_generation(rows: Sequence[Generation]) -> None:
    """Print drawn against true scenes as a table."""
    from rich.table import Table

    columns = {
        "mIoU": "own",
        "given": "given",
        "F1": "f1",
        "given ": "given_f1",
        "images": "images",
        "masks": "masks",
        "spread": "spread",
        "near": "nearest",
    }
    table = Table("drawn given", padding=(0, 1, 0, 0))
    for title in columns:
        table.add_column(title, justify="right")
    for row in rows:
        values = (getattr(row, name) for name in columns.values())
        table.add_row(row.source, *map(_three_digits, values))
    console.print(table)
    console.print(
        "mIoU, %: what the segmenter sees in the drawn image, against the drawn mask, and against "
        "the mask given. F1, %: classes in the drawn mask, against the drawn classes, and against "
        "those given. images, masks: kernel distance to true scenes; that between two halves of "
        "these is 1. spread: deviation of a label's colour over draws; over true scenes it is 1. "
        "near: distance to the nearest training image; that of true scenes is 1."
    )


def _three_digits(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.{2 if value < 10 else 1 if value < 99.95 else 0}f}"


def segmenter_run(folder: Path | None, dataset: SceneDataset) -> RunFolder | None:
    """Read the segmenter that is named, or find the newest of these data; say so if there is none.

    Raises:
        LookupError: If the folder is no run.
        ValueError: If it is a run of something else, or of other labels or another size.
    """
    from inference.api.load import find_run, newest

    schema = dataset.schema
    if folder is None:
        try:
            return newest(
                lambda run: (
                    run.settings.recipe == "segmenter"
                    and run.settings.data.source == dataset.source
                    and run.schema == schema
                )
            )
        except LookupError:
            notes.print(
                f"There is no run of segmenter on {dataset.source} at {sized(schema.size)}; make "
                f"one: scene train segmenter --data {dataset.source} --size {sized(schema.size)}",
                style="dim",
            )
            return None
    run = find_run(folder)
    if run.settings.recipe != "segmenter":
        raise ValueError(
            f"{folder} is a run of {run.settings.title}; --segmenter needs a run of segmenter."
        )
    run.schema.labels.require(schema.labels, dataset.name)
    if run.schema.size != schema.size:
        raise ValueError(
            f"{folder} segments images of {sized(run.schema.size)}, but those drawn are "
            f"{sized(schema.size)}; train one with --size {sized(schema.size)}."
        )
    return run
