"""`scene crf ablate`: the CRF with each kernel alone, both and none, and a grid of widths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console, notes
from .crf_options import (
    AppearanceWeight,
    Engine,
    Iterations,
    Jobs,
    Noise,
    ParamsFile,
    ProbsFolder,
    RunOption,
    SmoothnessSigma,
    SmoothnessWeight,
    parameters,
    source,
)
from .options import (
    Data,
    Device,
    Download,
    Json,
    Limit,
    RunArgument,
    Seed,
    Split,
    Trust,
    one_of,
    require_folder,
)
from .progress import bar

if TYPE_CHECKING:
    from inference.api.crf import Ablation

_TITLES = {
    "unary": "unaries alone",
    "smoothness": "smoothness only",
    "appearance": "appearance only",
    "both": "both",
    "chosen": "both, best of the grid",
}


def ablate(
    place: RunArgument = None,
    data: Data = None,
    split: Split = None,
    run: RunOption = None,
    probs: ProbsFolder = None,
    noise: Noise = False,
    alphas: Annotated[
        str, typer.Option(help="Widths θα of the grid, in pixels, as 20,40; '' = no grid.")
    ] = "20,40,80",
    betas: Annotated[
        str, typer.Option(help="Widths θβ of the grid, in colour, on the scale 0-255.")
    ] = "3,5,10,13,20",
    choose_on: Annotated[
        str,
        typer.Option(
            help="Split on which the grid is scored and its best widths are selected; "
            "none scores the grid on --split and selects nothing."
        ),
    ] = "tune",
    limit: Limit = None,
    smoothness_sigma: SmoothnessSigma = None,
    smoothness_weight: SmoothnessWeight = None,
    appearance_sigma_xy: Annotated[
        float | None,
        typer.Option(
            help="Width θα of the appearance kernel in the rows, in pixels.", show_default="80"
        ),
    ] = None,
    appearance_sigma_rgb: Annotated[
        float | None,
        typer.Option(
            help="Width θβ of the appearance kernel in the rows, in colour, 0-255.",
            show_default="13",
        ),
    ] = None,
    appearance_weight: AppearanceWeight = None,
    iterations: Iterations = None,
    params: ParamsFile = None,
    engine: Engine = "auto",
    jobs: Jobs = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for tables, predictions and the picture.",
            show_default="crf-DATA-UNARIES",
        ),
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Ablate the CRF: score it without kernels, with one, with both, and on a grid of widths.

    Settings are selected on --choose-on and reported on --split; the two must differ. To get the
    usual table for a segmenter: scene train segmenter --data FOLDER; then scene crf ablate --data
    FOLDER --split val. Results are saved as they are computed. A second call continues after an
    interruption, and computes only what has changed.
    """
    from inference.api.crf import ablate as measure
    from inference.api.crf import write_ablation
    from scene.datasets.catalogue import evaluation_split, splits_of
    from scene.storage.outputs import require_free, unlike

    require_folder(out)
    base = parameters(
        params,
        smoothness_sigma=smoothness_sigma,
        smoothness_weight=smoothness_weight,
        appearance_sigma_xy=appearance_sigma_xy,
        appearance_sigma_rgb=appearance_sigma_rgb,
        appearance_weight=appearance_weight,
        iterations=iterations,
    )
    widths = numbers("--alphas", alphas), numbers("--betas", betas)
    unaries = source(
        one_of(place, run),
        probs,
        noise,
        data,
        seed=seed,
        device=device,
        trust=trust,
        download=download,
    )
    split = split or evaluation_split(unaries.data)
    if choose_on == split:
        raise ValueError(
            f"Settings chosen on {split} cannot be reported on {split}; choose on another split, "
            "as --choose-on tune, or on none to see the grid there without choosing."
        )
    folder = out or Path(f"crf-{_plain(unaries.data)}-{_kind(probs, noise, unaries)}")
    parts = {"unaries", "results", "ablation.json", "grid.png"}
    foreign = unlike(lambda path: path.name in parts)
    require_free(folder, True, folder="an ablation", foreign=foreign)
    grid_elsewhere = choose_on != "none" and all(widths)
    if grid_elsewhere and choose_on not in splits_of(unaries.data):
        raise ValueError(
            f"{unaries.data} has no split {choose_on!r} to choose on; --choose-on none shows the "
            f"grid on {split} itself."
        )
    unaries.require(split, *([choose_on] if grid_elsewhere else []))
    with bar() as watch:
        folder_of_unaries = folder / "unaries"
        scenes = unaries.scenes(split, folder_of_unaries, watch, limit=limit)
        tune = (
            unaries.scenes(choose_on, folder_of_unaries, watch, limit=limit)
            if grid_elsewhere
            else None
        )
        ablation = measure(
            scenes,
            base,
            alphas=widths[0] if widths[1] else (),
            betas=widths[1],
            tune=tune,
            engine=engine,
            jobs=jobs,
            folder=folder / "results",
            watch=watch,
        )
    written, picture = write_ablation(ablation, folder)
    if json:
        console.print_json(data=ablation.to_json())
        return
    _show(ablation, tune is not None)
    console.print(" ".join(str(path) for path in (written, picture) if path is not None))


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Read numbers as people list them.

    >>> numbers("--alphas", "20, 40")
    (20.0, 40.0)
    """
    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        values = (-1.0,)
    if not all(0 < value < float("inf") for value in values):
        raise ValueError(f"{option} {text!r} are not positive numbers; list them as 20,40,80.")
    return values


def _plain(data: str) -> str:
    return Path(data).name.replace(":", "-") or "data"


def _kind(probs: Path | None, noise: bool, unaries: Any) -> str:
    if noise:
        return "noise"
    return probs.name if probs is not None else str(unaries.run.settings.title)


def _show(ablation: Ablation, elsewhere: bool) -> None:
    from rich.table import Table

    from scene.notices import against_weak

    scenes = ablation.scenes
    count = ablation.rows["unary"].scenes
    about = f"{count} scenes{against_weak(ablation.weak, count)}, unaries: {scenes.unaries.title}"
    console.print(f"{_plain(scenes.data)} {scenes.split} ({about})")
    table = Table("kernels")
    for name in ("mIoU, %", "accuracy, %", "log p, nats"):
        table.add_column(name, justify="right")
    for name, row in ablation.rows.items():
        score = row.score(ablation.labels)
        table.add_row(
            _TITLES[name],
            f"{score.miou:.1f}",
            f"{score.accuracy:.1f}",
            f"{row.log_likelihood:.3f}",
        )
    console.print(table)
    if not ablation.grid:
        return
    grid = Table(f"mIoU, %, on {ablation.grid_split}", caption="θα (px) down, θβ across")
    for beta in ablation.betas:
        grid.add_column(f"{beta:g}", justify="right")
    for alpha, line in zip(ablation.alphas, ablation.miou, strict=True):
        grid.add_row(f"{alpha:g}", *(f"{value:.1f}" for value in line))
    console.print(grid)
    best = ablation.best
    assert best is not None
    widths = f"θα {best.appearance_sigma_xy:g}, θβ {best.appearance_sigma_rgb:g}"
    if elsewhere:
        console.print(f"Best on {ablation.grid_split}: {widths}.")
    else:
        notes.print(
            f"The grid is of {scenes.split} itself: look at it, but choose elsewhere.", style="dim"
        )
