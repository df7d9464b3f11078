"""`scene data`: what is in a dataset, in numbers and in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, entitled
from .options import Download, Force, Json, Size, file_in

app = typer.Typer(help="Inspect a dataset: counts, pictures, labels.", no_args_is_help=True)

MOST = 256
"""The most scenes of a preview."""

Source = Annotated[
    str, typer.Argument(help="The data: synthetic, voc2012, a folder, as --data takes them.")
]
Split = Annotated[str, typer.Option(help="Split of the data: train, tune, val or test.")]


@app.command()
def info(
    data: Source = "synthetic",
    split: Split = "train",
    size: Size = None,
    count: Annotated[
        int | None,
        typer.Option(help="Count the first N scenes only.", metavar="N", show_default="all"),
    ] = None,
    json: Json = False,
    download: Download = False,
) -> None:
    """Count DATA's scenes, views and classes."""
    from rich.table import Table

    from scene.datasets.catalogue import describe, open_data, splits_of
    from scene.sizes import parse_size

    dataset = open_data(
        data, split, parse_size(size) if size else None, download=download, count=count
    )
    about = describe(dataset)
    if json:
        console.print_json(data={**about, "splits": splits_of(data)})
        return
    views = ", ".join(f"{n} with {name}" for name, n in about["views"].items())
    views += f" ({about['weak']} weak)" if about["weak"] else ""
    height, width = about["size"]
    console.print(
        entitled(f"{about['name']} {split}", f"{about['scenes']} scenes at {height}x{width}")
    )
    console.print(f"views: {views}; splits: {', '.join(splits_of(data))}")
    table = Table("id", "label", "scenes, %", "pixels, %")
    for i, name in enumerate(about["labels"]):
        share = about["frequency"].get(name)
        scenes = "–" if share is None else f"{100 * share:.1f}"
        table.add_row(str(i), name, scenes, f"{100 * about['pixels'][name]:.2f}")
    console.print(table)
    console.print(f"void: {100 * about['void']:.2f} % of pixels")


@app.command()
def preview(
    data: Source = "synthetic",
    split: Split = "train",
    size: Size = None,
    n: Annotated[int, typer.Option("-n", help="Number of scenes to draw, 1 to 256.")] = 16,
    out: Annotated[
        Path,
        typer.Option(help="Where to write: NAME.png, or a folder for preview.png."),
    ] = Path("preview.png"),
    force: Force = False,
    download: Download = False,
) -> None:
    """Draw some of DATA's scenes with their masks and classes."""
    from scene.datasets.catalogue import open_data
    from scene.figures.grid import draw_scenes
    from scene.sizes import parse_size
    from scene.storage.outputs import require_free

    if n < 1:
        raise ValueError(f"-n must be 1 or more, not {n}.")
    if n > MOST:
        raise ValueError(
            f"-n is at most {MOST}, because one picture holds no more scenes, not {n}."
        )
    out = file_in(out, "preview.png")
    require_free(out, force, suffix=".png")
    dataset = open_data(data, split, parse_size(size) if size else None, download=download)
    draw_scenes(out, [dataset[i] for i in range(min(n, len(dataset)))], dataset.schema.labels)
    console.print(entitled(out, f"{min(n, len(dataset))} of {len(dataset)} scenes"))


@app.command()
def labels(
    data: Annotated[
        str | None,
        typer.Argument(help="Dataset, as for --data. Leave it out with --run."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Run whose labels are printed.", metavar="RUN"),
    ] = None,
    json: Json = False,
    download: Download = False,
) -> None:
    """Print the labels of DATA or of a run as lines of a labelmap.txt: name, colour and id.

    scene data labels --run RUN > labelmap.txt
    """
    from scene.datasets.catalogue import labels_in
    from scene.labelmap import labelmap_lines

    if (data is None) == (run is None):
        raise typer.BadParameter("Name DATA or --run RUN: exactly one of them.")
    if run is not None:
        from inference.api.load import find_run

        labels_read = find_run(run).schema.labels
    else:
        labels_read = labels_in(str(data), download=download)
    if json:
        rows = zip(labels_read.names, labels_read.colours, strict=True)
        console.print_json(
            data=[{"id": i, "name": n, "colour": c} for i, (n, c) in enumerate(rows)]
        )
        return
    console.print("# label:color_rgb:parts:actions, and the id")
    for i, line in enumerate(labelmap_lines(labels_read)):
        console.print(f"{line} # {i}")
