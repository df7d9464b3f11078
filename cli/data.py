"""`scene data`: what is in a dataset, in numbers and in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .completion import complete_data, complete_run
from .console import console, entitled
from .convert import convert
from .options import Download, Force, Json, Size, file_in
from .progress import bar, working

if TYPE_CHECKING:
    from scene.datasets.base import SceneDataset
    from scene.datasets.image_level.index import ImageIndex

app = typer.Typer(
    help="Inspect a dataset: counts, pictures, labels. Convert it.", no_args_is_help=True
)

MOST = 256
"""The most scenes of a preview."""

_BROKEN_SHOWN = 5  # broken photographs that are listed

Source = Annotated[
    str,
    typer.Argument(
        help="The data: synthetic, voc2012, a folder or a file, as --data takes them.",
        autocompletion=complete_data,
    ),
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
    """Count DATA's scenes, views and classes.

    Of image-level labels without masks, count every split, and open the headers of up to 1000
    photographs, spread evenly, to report broken ones.
    """
    from rich.table import Table

    from scene.datasets.catalogue import describe, image_index, open_data, splits_of
    from scene.sizes import parse_size

    shape = parse_size(size) if size else None
    if (index := image_index(data)) is not None:
        if count is not None:
            raise ValueError("--count is for data with masks; image-level labels are all counted.")
        if split != "train" or size:
            open_data(data, split, shape)  # refuses what does not exist
        _show_inventory(index, json)
        return
    dataset = open_data(data, split, shape, download=download, count=count)
    with bar() as watch:
        about = describe(dataset, lambda done, total: watch("reading scenes", done, total))
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
    readings: Annotated[
        bool,
        typer.Option(
            "--readings",
            help="Draw every mask that an image may have, and its probability, in place of one; "
            "for data that know them, as synthetic:ambiguous.",
        ),
    ] = False,
    force: Force = False,
    download: Download = False,
) -> None:
    """Draw some of DATA's scenes with their masks and classes."""
    from scene.datasets.catalogue import open_data
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
    rows = range(min(n, len(dataset)))
    with working("drawing"):
        _draw(out, dataset, rows, readings)
    console.print(entitled(out, f"{min(n, len(dataset))} of {len(dataset)} scenes"))


def _draw(out: Path, dataset: SceneDataset, rows: range, readings: bool) -> None:
    """Draw the scenes of rows, or every mask that each image may have."""
    from scene.figures.grid import draw_readings, draw_scenes

    names = dataset.schema.labels
    if readings:
        masks = [dataset.readings(i) for i in rows]
        draw_readings(out, [dataset[i] for i in rows], masks, names)
    else:
        draw_scenes(out, [dataset[i] for i in rows], names)


@app.command()
def labels(
    data: Annotated[
        str | None,
        typer.Argument(
            help="Dataset, as for --data. Leave it out with --run.",
            autocompletion=complete_data,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="Run whose labels are printed.",
            metavar="RUN",
            autocompletion=complete_run,
        ),
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


app.command()(convert)


def _show_inventory(index: ImageIndex, json: bool) -> None:
    """Print the counts of image-level labels, and photographs that are broken."""
    from dataclasses import asdict

    from rich.table import Table

    from scene.datasets.image_level.inventory import take_inventory

    taken, classes = take_inventory(index), index.labels.classes
    if json:
        about = {"source": str(index.source), "scenes": len(index.images)}
        about |= {"labels": index.labels.names, "background": True}
        console.print_json(data={**about, **asdict(taken)})
        return
    scenes = f"{len(index.images)} scenes with image-level labels of {len(classes)} classes"
    console.print(entitled(index.source, f"{scenes}, no masks"))
    console.print("splits: " + ", ".join(f"{name} {n}" for name, n in taken.splits.items()))
    table = Table("id", "label", *taken.splits, "all")
    for number, name in zip(index.labels.ids, classes, strict=True):
        counts = (str(taken.counts[name][split]) for split in taken.splits)
        table.add_row(str(number), name, *counts, str(taken.totals[name]))
    console.print(table)
    console.print(f"imbalance: {taken.imbalance:.1f} (largest class / smallest class with scenes)")
    console.print(f"scenes without any label: {taken.unlabelled}")
    if absent := [name for name in classes if not taken.counts[name].get("train")]:
        console.print(f"in no scene of train: {', '.join(absent)}")
    broken = f"{len(taken.broken)} broken" if taken.broken else "none broken"
    console.print(
        f"files: headers of {taken.checked} of {len(index.images)} photographs opened, {broken}"
    )
    for reason in list(taken.broken.values())[:_BROKEN_SHOWN]:
        console.print(f"  {reason}")
    if len(taken.broken) > _BROKEN_SHOWN:
        console.print(f"  and {len(taken.broken) - _BROKEN_SHOWN} more: see --json")
