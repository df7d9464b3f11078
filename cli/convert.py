"""`scene data convert`: the masks of a dataset in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .completion import complete_data
from .console import console, entitled
from .options import Force, Json, Limit, require_folder
from .progress import bar


def convert(
    data: Annotated[
        str,
        typer.Argument(
            help="The data: a folder or a file with masks or annotations, as --data takes them.",
            autocompletion=complete_data,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where to write: a folder for the photographs and masks.")
    ] = Path("converted"),
    format: Annotated[
        Literal["voc", "coco", "labelme"],
        typer.Option(
            "--format",
            help="Format of the folder: voc (VOC layout), coco (JSON with run lengths) or labelme "
            "(JSON with masks beside each photograph).",
        ),
    ] = "voc",
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write DATA's photographs and masks in VOC layout, or as COCO's or labelme's JSON.

    DATA may be an export of COCO, CVAT, Label Studio or labelme. Every split is written, and every
    pixel keeps its label. Photographs without masks are left out.
    """
    from scene.datasets.annotations.convert import convert as write

    require_folder(out)
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    with bar() as watch:
        scenes = write(data, out, format, limit=limit, force=force, watch=watch)
    if json:
        console.print_json(data={"source": data, "out": str(out), "scenes": scenes})
        return
    counts = ", ".join(f"{split} {count}" for split, count in scenes.items())
    console.print(entitled(out, f"{sum(scenes.values())} scenes with masks ({counts})"))
