"""Options of the CRF: its kernels, and the source of its unaries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import choose_run

if TYPE_CHECKING:
    from inference.api.crf import Source
    from inference.api.segment import Parameters

_KERNELS, _SOURCE = "Kernels", "Unaries"


def _kernel(help: str, default: str) -> Any:
    return typer.Option(help=help, rich_help_panel=_KERNELS, show_default=default)


SmoothnessSigma = Annotated[
    float | None, _kernel("Width θγ of the smoothness kernel, in pixels, above 0.", "3")
]
SmoothnessWeight = Annotated[
    float | None, _kernel("Weight of the smoothness kernel, 0 or more; 0 leaves it out.", "3")
]
AppearanceSigmaXY = Annotated[
    float | None,
    _kernel(
        "Width θα of the appearance kernel, in pixels, above 0.",
        "80; to segment photographs, 80 at 500x375 and in proportion",
    ),
]
AppearanceSigmaRGB = Annotated[
    float | None,
    _kernel("Width θβ of the appearance kernel in colour, on the scale 0-255, above 0.", "13"),
]
AppearanceWeight = Annotated[
    float | None, _kernel("Weight of the appearance kernel, 0 or more; 0 leaves it out.", "10")
]
Iterations = Annotated[int | None, _kernel("Iterations of mean field, 0 or more.", "10")]
ParamsFile = Annotated[
    Path | None,
    typer.Option(
        "--params",
        help="File of CRF parameters written by scene crf fit. Options on the command line "
        "override its values.",
        metavar="FILE.json",
        rich_help_panel=_KERNELS,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        help="Engine of the CRF: auto, fused, lattice, exact, pydensecrf, or path/file.py:Name.",
        rich_help_panel=_KERNELS,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="Run that predicts the unaries: masks from images.",
        metavar="RUN",
        show_default="the newest suitable run, if no source is named",
        rich_help_panel=_SOURCE,
    ),
]
ProbsFolder = Annotated[
    Path | None,
    typer.Option(
        "--probs",
        help="Folder of unaries: SCENE.npy or .npz, probabilities (labels, height, width).",
        metavar="FOLDER",
        rich_help_panel=_SOURCE,
    ),
]
Noise = Annotated[
    bool,
    typer.Option(
        "--noise",
        help="Simulate unaries: corrupt and blur the ground-truth masks.",
        rich_help_panel=_SOURCE,
    ),
]
Jobs = Annotated[
    int, typer.Option(help="Number of processes that share scenes and cores, 1 to 256.", max=256)
]


def parameters(file: Path | None, **changes: Any) -> Parameters:
    """Read parameters from a file, or take everybody's, and change those that were given."""
    from inference.api.segment import crf_parameters

    return crf_parameters(file, relative=None if file else False, **changes)


def source(
    run: Path | None,
    probs: Path | None,
    noise: bool,
    data: str | None,
    *,
    seed: int = 0,
    device: Any = "auto",
    trust: bool = False,
    download: bool = False,
) -> Source:
    """Find the source of unaries: one of a run, a folder and noise, or else the newest run."""
    from inference.api.crf import source_of

    if sum((run is not None, probs is not None, noise)) > 1:
        raise ValueError("Unaries come from one of --run, --probs and --noise; name just one.")
    newest = choose_run(run, "predict") if probs is None and not noise else None
    return source_of(newest, probs, data, seed=seed, device=device, trust=trust, download=download)
