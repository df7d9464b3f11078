"""`scene train`: learn a scene model from data, watch it, and see what it learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.settings.recipes import GUIDES, OBJECTIVES, RECIPES

from .console import console, notes
from .options import Data, Device, Download, Force, Size, Trust

if TYPE_CHECKING:
    from inference.training.session import Outcome

_NAMES = ", ".join(RECIPES)
_BOUNDS = f"{', '.join(OBJECTIVES)} (biased if K > 1), or path/file.py:Name"
_OF_THE_COMMAND = ("recipe", "device", "download", "resume", "start", "out", "force", "trust")
_MODEL, _LEARNING, _GENERATORS = "Model and guide", "Learning", "Objective"
_WEAK = "Weak supervision"


def _option(help: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def train(
    recipe: Annotated[str | None, typer.Argument(help=f"One of: {_NAMES}.")] = None,
    data: Data = None,
    size: Size = None,
    count: Annotated[int | None, typer.Option(help="Training scenes to use.")] = None,
    device: Device = "auto",
    download: Download = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with an interrupted run; --data says where its data are now."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="A run whose weights are the first ones where they fit."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    force: Force = False,
    trust: Trust = False,
    objective: Annotated[str | None, _option(_BOUNDS, _GENERATORS)] = None,
    particles: Annotated[int | None, _option("Draws of z a scene (K).", _GENERATORS)] = None,
    retrofit_objective: Annotated[str | None, _option(_BOUNDS, _GENERATORS)] = None,
    retrofit_particles: Annotated[
        int | None, _option("K of the retrofit terms.", _GENERATORS)
    ] = None,
    subsets: Annotated[
        str | None,
        _option(
            "What they see: report, singles, all, random (one a step), or your own.", _GENERATORS
        ),
    ] = None,
    turns: Annotated[
        str | None,
        _option("Work on all terms, one subset a step, or one term a scene.", _GENERATORS),
    ] = None,
    retrofit: Annotated[
        str | None, _option("What they score: own or predict-all.", _GENERATORS)
    ] = None,
    generator_gradients: Annotated[
        str | None, _option("Whether they train generators: shared or stopped.", _GENERATORS)
    ] = None,
    renyi_alpha: Annotated[
        float | None, _option("Of renyi: 0 = iwae, 1 = elbo.", _GENERATORS, min=0)
    ] = None,
    free_bits: Annotated[
        float | None, _option("Of elbo: nats of KL that cost as none.", _GENERATORS, min=0)
    ] = None,
    alpha: Annotated[
        float | None, _option("Weight of JMVAE's penalties; telbo: 0.", _GENERATORS, min=0)
    ] = None,
    hybrid: Annotated[
        float | None, _option("Share of a cVAE's term with z from its prior.", _GENERATORS)
    ] = None,
    beta: Annotated[float | None, _option("Weight of the KL.", _GENERATORS, min=0)] = None,
    warmup: Annotated[int | None, _option("Steps over which β rises.", _GENERATORS, min=0)] = None,
    weight: Annotated[
        list[str] | None,
        _option("Weight of a view's likelihood in training, as mask=2.", _GENERATORS),
    ] = None,
    guide: Annotated[
        str | None, _option(f"{', '.join(GUIDES)}, or path/file.py:Name.", _MODEL)
    ] = None,
    encode: Annotated[
        str | None, _option("Views a plain guide reads, as image,classes.", _MODEL)
    ] = None,
    prior: Annotated[
        str | None, _option("p(z) of a cVAE: standard, or learned from the image.", _MODEL)
    ] = None,
    latent: Annotated[int | None, _option("Length of z.", _MODEL)] = None,
    spatial: Annotated[
        int | None, _option("Channels of z for each cell of a grid; 0 = no grid.", _MODEL)
    ] = None,
    cell: Annotated[int | None, _option("Side of a cell in pixels: 2, 4 or 8.", _MODEL)] = None,
    width: Annotated[int | None, _option("Channels of the generators.", _MODEL)] = None,
    guide_width: Annotated[int | None, _option("Channels of the guide.", _MODEL)] = None,
    noise: Annotated[str | None, _option("Pixel noise: normal or laplace.", _MODEL)] = None,
    image_scale: Annotated[float | None, _option("Scale of that noise.", _MODEL)] = None,
    learn_scale: Annotated[bool | None, _option("Learn that scale.", _MODEL)] = None,
    backbone: Annotated[
        str | None, _option("What reads the image: small, vgg16, or resnet50.", _MODEL)
    ] = None,
    weights: Annotated[
        str | None, _option("First ones: none, imagenet, classifier or a path.", _MODEL)
    ] = None,
    threshold: Annotated[
        str | None, _option("Of a classifier's probabilities: 0.5, or auto.", _MODEL)
    ] = None,
    weak_weight: Annotated[
        float | None, _option("What weak masks of DATA count; 0 = they are hidden.", _WEAK, min=0)
    ] = None,
    net: Annotated[str | None, _option("SEC's network: small or largefov.", _WEAK)] = None,
    classifier: Annotated[
        str | None, _option("The run it learns from; the newest if left out.", _WEAK)
    ] = None,
    layer: Annotated[str | None, _option("The classifier's layer of cues.", _WEAK)] = None,
    scales: Annotated[
        str | None, _option("Scales at which it looks, as 0.5,1,1.5.", _WEAK)
    ] = None,
    flip: Annotated[bool | None, _option("Look at mirrored images, too.", _WEAK)] = None,
    foreground: Annotated[
        float | None, _option("Share of a map's maximum that is a cue.", _WEAK, min=0)
    ] = None,
    background: Annotated[
        str | None, _option("Share of an image cued as background, or none.", _WEAK)
    ] = None,
    saliency: Annotated[str | None, _option("Of the maps present: max or sum.", _WEAK)] = None,
    exponent: Annotated[
        float | None, _option("Of background in the maps the CRF refines.", _WEAK)
    ] = None,
    cue_crf: Annotated[
        str | None, _option("CRF that finds cues: weight, pixels, colours, as 10,25,5.", _WEAK)
    ] = None,
    crf_weight: Annotated[
        float | None, _option("Weight of colour in its CRF.", _WEAK, min=0)
    ] = None,
    crf_xy: Annotated[float | None, _option("Its reach, in 41sts of the image.", _WEAK)] = None,
    crf_rgb: Annotated[float | None, _option("Its width in colour, 0-255.", _WEAK)] = None,
    steps: Annotated[int | None, _option("Optimisation steps.", _LEARNING)] = None,
    batch_size: Annotated[int | None, _option("Scenes a step.", _LEARNING)] = None,
    optimizer: Annotated[str | None, _option("adam, adamw, sgd or layerwise.", _LEARNING)] = None,
    learning_rate: Annotated[
        float | None, _option("Its peak.", _LEARNING, "--learning-rate", "--lr")
    ] = None,
    schedule: Annotated[
        str | None, _option("constant, cosine, onecycle or stairs.", _LEARNING)
    ] = None,
    clip: Annotated[
        float | None, _option("Largest gradient norm; 0 = any.", _LEARNING, min=0)
    ] = None,
    augment: Annotated[str | None, _option("none, flip or crop.", _LEARNING)] = None,
    patience: Annotated[
        int | None,
        _option("Validations without gain before stopping; 0 = never.", _LEARNING, min=0),
    ] = None,
    validate_every: Annotated[int | None, _option("Steps between them.", _LEARNING, min=0)] = None,
    seed: Annotated[
        int | None, _option("Of everything random.", _LEARNING, min=0, max=2**32 - 1)
    ] = None,
    workers: Annotated[int | None, _option("Processes that load data.", _LEARNING, min=0)] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None, _option("Of the networks.", _LEARNING)
    ] = None,
) -> None:
    """Train RECIPE: cvae, jvae, jmvae, telbo, segmenter, classifier, sec or twin.

    The run goes to runs/RECIPE-DATA-TIME/ (SCENE_RUNS overrides runs/). A recipe brings its own
    defaults; options given here win.
    """
    given = {
        name: value
        for name, value in locals().items()
        if name not in _OF_THE_COMMAND and value is not None
    }
    if resume is not None:
        given.pop("data", None)
        more = {"from": start, "out": out, "force": force, "download": download}
        _refuse_with_resume(recipe, {**given, **{k: v for k, v in more.items() if v}})
        _resume(resume, data, device, trust)
        return
    if trust:
        raise ValueError("--trust is for the code of a run that is gone on with (--resume).")
    if recipe is None:
        raise ValueError(f"Which recipe? One of {_NAMES}: scene train telbo.")
    from inference.settings.options import parsed
    from inference.settings.recipes import recipe as find

    settings = find(recipe).settings(**parsed(given))
    from inference.runs.run import read
    from inference.training.session import train as learn

    from .progress import Bar

    with Bar(settings.steps) as (watch, started):
        outcome = learn(
            settings,
            folder=out,
            force=force,
            device=device,
            download=download,
            start=None if start is None else read(start),
            watch=watch,
            started=started,
            taken=lambda taken: notes.print(f"start {taken}", style="dim"),
        )
    _say(outcome)


def _resume(folder: Path, data: str | None, device: Any, trust: bool) -> None:
    from inference.runs.run import read
    from inference.training.session import resume

    from .progress import Bar

    run = read(folder)
    with Bar(run.settings.steps) as (watch, started):
        outcome = resume(run, data=data, device=device, trust=trust, watch=watch, started=started)
    _say(outcome)


def _say(outcome: Outcome) -> None:
    from inference.prediction.evaluate import DRAWS
    from scene.metrics import ClassScore, MaskScore
    from scene.notices import against_weak

    cell, score = outcome.cell, outcome.cell.score
    mark = "" if cell.trained else " †"
    found, draws = "mIoU –", f", {DRAWS} draws"
    if isinstance(score, MaskScore):
        found = f"mIoU {score.miou:.1f}{mark}"
    elif isinstance(score, ClassScore):
        found, draws = f"macro-F1 {score.macro_f1:.1f}, mAP {score.map:.1f}", ""
    notes.print(f"run {outcome.run.folder}", style="dim")
    if score is None:
        console.print(
            f"{cell.title} is not scored: no scene of {outcome.split} has a {cell.target} to "
            f"score against  {outcome.picture}"
        )
        return
    console.print(
        f"{cell.title} {found} ({outcome.split}, {cell.scenes} scenes"
        f"{against_weak(cell.weak, cell.scenes)}{draws})  {outcome.picture}"
    )


def _refuse_with_resume(recipe: str | None, given: dict[str, Any]) -> None:
    if recipe is not None or given:
        odd = recipe or "--" + next(iter(given)).replace("_", "-")
        raise ValueError(f"--resume goes on with the run's own settings; leave out {odd}.")
