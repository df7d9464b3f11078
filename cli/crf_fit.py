"""`scene crf fit`: learn the CRF's parameters from masks, and score them on a held-out split."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import console, entitled
from .crf_ablate import numbers
from .crf_options import (
    AppearanceSigmaRGB,
    AppearanceSigmaXY,
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
    Force,
    Json,
    RunArgument,
    Seed,
    Trust,
    file_in,
    one_of,
)
from .progress import bar

if TYPE_CHECKING:
    from inference.api.crf import Learned


def fit(
    place: RunArgument = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split to learn from: train, tune, val or test.")
    ] = "tune",
    held_out: Annotated[
        str | None,
        typer.Option(
            help="Held-out split on which the scores before and after fitting are compared.",
            show_default="test, else val",
        ),
    ] = None,
    run: RunOption = None,
    probs: ProbsFolder = None,
    noise: Noise = False,
    method: Annotated[
        Literal["lbfgs", "grid"],
        typer.Option(
            help="Method: lbfgs maximises the likelihood of the masks by gradients; grid "
            "selects the parameters with the best mIoU."
        ),
    ] = "lbfgs",
    compatibility: Annotated[
        Literal["potts", "diagonal", "full"],
        typer.Option(
            help="Label compatibility: potts (fixed), diagonal (one learned weight per label), "
            "or full (one per pair of labels). The last two need --method lbfgs."
        ),
    ] = "potts",
    widths: Annotated[
        bool,
        typer.Option(
            "--widths",
            help="Learn the kernels' widths as well, by lbfgs, on scenes "
            "scaled down to at most 50x50 pixels.",
        ),
    ] = False,
    steps: Annotated[
        int, typer.Option(help="Iterations of lbfgs, at most, 1 or more.", min=1)
    ] = 15,
    alphas: Annotated[
        str, typer.Option(help="Widths θα that the grid tries, in pixels.")
    ] = "20,40,80",
    betas: Annotated[
        str, typer.Option(help="Widths θβ that the grid tries, in colour, 0-255.")
    ] = "3,5,10,13,20",
    weights: Annotated[
        str, typer.Option(help="Weights of the appearance kernel that the grid tries.")
    ] = "1,3,10",
    limit: Annotated[
        int,
        typer.Option(
            help="Learn from a random sample of N scenes, which are held in memory.", metavar="N"
        ),
    ] = 20,
    held_limit: Annotated[
        int | None,
        typer.Option(
            help="Compare on the first N scenes of --held-out only.",
            metavar="N",
            show_default="all",
        ),
    ] = None,
    smoothness_sigma: SmoothnessSigma = None,
    smoothness_weight: SmoothnessWeight = None,
    appearance_sigma_xy: AppearanceSigmaXY = None,
    appearance_sigma_rgb: AppearanceSigmaRGB = None,
    appearance_weight: AppearanceWeight = None,
    iterations: Iterations = None,
    params: ParamsFile = None,
    engine: Engine = "auto",
    jobs: Jobs = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: NAME.json, or a folder for crf.json.",
            show_default="RUN/crf.json; crf.json without a run",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Learn the CRF's parameters from scenes with masks.

    They are stored with the run, and segment, evaluate and pseudo-label use them by default: if
    they do not help on the held-out split, segment applies no CRF. Other files are read with
    --params. Kernel options are the starting point. Do not learn from a split that the run was
    trained on: its unaries are overconfident there.
    """
    from inference.api.crf import candidates, learn, write_parameters
    from scene.datasets.catalogue import evaluation_split
    from scene.storage.outputs import require_free

    start = parameters(
        params,
        smoothness_sigma=smoothness_sigma,
        smoothness_weight=smoothness_weight,
        appearance_sigma_xy=appearance_sigma_xy,
        appearance_sigma_rgb=appearance_sigma_rgb,
        appearance_weight=appearance_weight,
        iterations=iterations,
    )
    grids = [
        numbers(name, text)
        for name, text in (("--alphas", alphas), ("--betas", betas), ("--weights", weights))
    ]
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
    out = unaries.file if out is None else file_in(out, "crf.json")
    require_free(out, force, suffix=".json")
    held_out = held_out or evaluation_split(unaries.data)
    unaries.require(split, held_out)
    with bar() as watch, TemporaryDirectory() as temporary:
        place = Path(temporary)
        train = unaries.scenes(split, place, watch, limit=limit, sample=seed)
        held_scenes = unaries.scenes(held_out, place, watch, limit=held_limit)
        learned = learn(
            train,
            held_scenes,
            start,
            method=method,
            compatibility=compatibility,
            widths=widths,
            steps=steps,
            grid=candidates(start, *grids) if method == "grid" else (),
            engine=engine,
            jobs=jobs,
            watch=watch,
        )
    write_parameters(learned, out)
    if json:
        console.print_json(data={**learned.to_json(), "file": str(out)})
        return
    _show(learned)
    console.print(f"The CRF {'helps' if learned.helps else 'does NOT help'}: {learned.note}.")
    console.print(entitled(out, learned.verdict))


def _show(learned: Learned) -> None:
    from rich.table import Table

    from scene.notices import against_weak

    weak = against_weak(learned.weak, learned.after.scenes)
    table = Table(f"on {learned.held.split}, held out{weak}")
    for name in ("mIoU, %", "accuracy, %", "log p, nats"):
        table.add_column(name, justify="right")
    rows = {"unaries alone": learned.unaries, "default CRF": learned.default}
    if learned.before.parameters != learned.default.parameters:
        rows["start"] = learned.before
    for title, row in {**rows, "fitted CRF": learned.after}.items():
        score = row.score(learned.labels)
        table.add_row(
            title, f"{score.miou:.2f}", f"{score.accuracy:.2f}", f"{row.log_likelihood:.4f}"
        )
    console.print(table)
    before, after = (x.parameters.to_json() for x in (learned.before, learned.after))
    changed = [name for name in before if before[name] != after[name] and name != "compatibility"]
    for name in changed:
        console.print(f"{name.replace('_', '-')} {_short(before[name])} → {_short(after[name])}")
    if before["compatibility"] != after["compatibility"]:
        console.print("compatibility learned; it stands in the file")
    for stage, losses in learned.losses.items():
        console.print(
            f"{stage}, on {learned.train.split}: −log p {losses[0]:.4f} → {losses[-1]:.4f} nats, "
            f"{len(losses) - 1} iterations"
        )


def _short(value: Any) -> str:
    return f"{value:.4g}"
