"""`scene export`: networks of a run, as ONNX or torch.export, compared with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import console, entitled, notes
from .options import (
    Data,
    Download,
    Force,
    NamedRun,
    RunArgument,
    Seed,
    Split,
    Trust,
    choose_run,
    fitted,
    one_of,
    require_folder,
)

NAME = "export"
"""The folder of a run that an export is written to, unless another is asked for."""


def export(
    run: RunArgument = None,
    named: NamedRun = None,
    format: Annotated[
        Literal["onnx", "torch.export"],
        typer.Option(help="Format of the files: onnx (NAME.onnx) or torch.export (NAME.pt2)."),
    ] = "onnx",
    part: Annotated[
        Literal["segmenter", "encoder", "decoder", "all"],
        typer.Option(
            help="Network to export: segmenter (image to mask logits), encoder (views to mean and "
            "standard deviation of z), decoder (z to image, class logits and mask logits), or all "
            "that the run has."
        ),
    ] = "all",
    given: Annotated[
        list[str] | None,
        typer.Option(
            help="Views that an encoder reads, as image+classes. Repeatable.",
            metavar="VIEWS",
            show_default="each view alone, and all together",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for a file for each network, and export.json.",
            show_default="RUN/export",
        ),
    ] = None,
    split: Split = None,
    data: Data = None,
    seed: Seed = 0,
    download: Download = False,
    trust: Trust = False,
    force: Force = False,
) -> None:
    """Export the networks of RUN for other programs, and compare them with RUN on true scenes.

    Each file is loaded again and run on scenes of the split; if a number differs from the run's by
    more than 0.0001, nothing is written. Networks take any number of scenes. The dense CRF and
    flows stay outside. ONNX needs the extra onnx.
    """
    from inference.api.export import export as write
    from inference.api.export import require_free_export

    require_folder(out)
    selected = choose_run(one_of(run, named))
    folder = out or selected.output(NAME)
    require_free_export(folder, force)
    model = fitted(selected.folder, device="cpu", trust=trust)
    with notes.status("exporting") as status:
        result = write(
            model,
            folder,
            format=format,
            part=part,
            given=None if given is None else [names.split("+") for names in given],
            split=split,
            data=data,
            download=download,
            force=force,
            seed=seed,
            watch=lambda title: status.update(f"exporting: {title}"),
        )
    for one in result.networks:
        size = one.path.stat().st_size / 1e6
        ends = f"{', '.join(one.network.inputs)} → {', '.join(one.network.outputs)}"
        console.print(
            entitled(one.path, f"{ends}, {size:.1f} MB, differs by {one.difference:.1g}")
        )
    console.print(entitled(result.about, f"compared on {result.scenes} scenes"))
    for sentence in result.left_out:
        notes.print(sentence, style="dim")
