"""`scene sample`: draw scenes given a mask, an image, classes, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import console, entitled
from .options import (
    Data,
    Device,
    Force,
    Guidance,
    Json,
    NamedRun,
    RunArgument,
    Seed,
    Trust,
    fitted,
    one_of,
)
from .progress import working

if TYPE_CHECKING:
    from inference.api.load import Task
    from inference.prediction.refine import RefinedPosterior

_SOURCES = ("--from-image", "--from-mask", "--from-classes")


def sample(
    run: RunArgument = None,
    named: NamedRun = None,
    from_image: Annotated[
        str | None,
        typer.Option(
            help="An image to condition on: a path, or test:N for test scene N; without a "
            "value, test:0."
        ),
    ] = None,
    from_mask: Annotated[
        str | None,
        typer.Option(
            help="A mask to condition on: a path, or test:N for test scene N; without "
            "a value, test:0."
        ),
    ] = None,
    from_classes: Annotated[
        str | None,
        typer.Option(
            help="Classes to condition on: names, as circle,cross, or test:N for test scene N; "
            "without a value, test:0."
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Number of scenes to draw, 1 to 10000.")] = 16,
    walk: Annotated[
        bool,
        typer.Option("--walk", help="Draw scenes along a straight line through z."),
    ] = False,
    refine: Annotated[
        Literal["svi", "hmc"] | None,
        typer.Option(
            help="Refine the posterior for these views: svi maximises the ELBO, hmc also runs "
            "an MCMC chain (NUTS).",
            show_default="no refinement",
        ),
    ] = None,
    refine_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of --refine: of Adam (svi), or of warm-up (hmc).",
            show_default="svi: 50, hmc: 100",
        ),
    ] = None,
    guidance: Guidance = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: NAME.png for the picture, or a folder for each view as a file.",
            show_default="RUN/samples/",
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Where the picture goes, if --out is a folder.")
    ] = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    trust: Trust = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw scenes from the posterior given any subset of views, or from the prior.

    The three --from options combine into any of the 7 sets of views; with --refine, also into
    those that the run's guide cannot read.
    """
    from scene.storage.outputs import is_png_path, require_free_views

    if out is not None and picture is None and is_png_path(out):
        out, picture = None, out
    sources = {"image": from_image, "classes": from_classes, "mask": from_mask}
    observed = [name for name, text in sources.items() if text is not None]
    if refine is not None and not observed:
        raise ValueError(
            "--refine needs views to condition on; add --from-image, "
            "--from-classes or --from-mask."
        )
    if guidance is not None and (refine is not None or not observed):
        raise ValueError(
            "--guidance is of draws by a flow given views; add --from-image, --from-classes or "
            "--from-mask, and leave --refine out."
        )
    for place in (picture, out):
        if place is not None:
            require_free_views(place, force)
    task: Task = "refine" if refine else "sample"
    chosen = one_of(run, named)
    model = fitted(chosen, task, observed, device=device, trust=trust, demo=True)
    if guidance is not None:
        model = model.guided(guidance)
    with working("drawing" if refine is None else "refining the posterior"):
        samples = model.sample(
            n,
            image=from_image,
            classes=from_classes,
            mask=from_mask,
            walk=walk,
            refine=refine,
            refine_steps=refine_steps,
            seed=seed,
            data=data,
        )
    picture = picture or _free(
        model.run.output("samples"), f"from-{'+'.join(observed) or 'prior'}"
    )
    samples.save(picture, force=force)
    files = [] if out is None else samples.save(out, force=force)
    if json:
        about = {"run": str(model.run.folder), "picture": str(picture), "title": samples.title}
        refined = None if samples.refined is None else _gain(samples.refined)
        console.print_json(data={**about, "files": list(map(str, files)), "refined": refined})
        return
    console.print(entitled(picture, samples.title))
    if samples.refined is not None:
        console.print(_gain_line(samples.refined, " + ".join(observed)))
    if out is not None:
        console.print(entitled(out, f"{len(files)} files"))


def with_stock_sources(words: list[str]) -> list[str]:
    """Let a ``--from-…`` stand bare: it then takes the first scene of the test split.

    >>> with_stock_sources(["sample", "--from-mask", "-n", "4"])
    ['sample', '--from-mask', 'test:0', '-n', '4']
    """
    if words[:1] != ["sample"]:
        return words
    filled: list[str] = []
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        filled.append(word)
        if word in _SOURCES and following.startswith("-"):
            filled.append("test:0")
    return filled


def _free(folder: Path, stem: str) -> Path:
    number = 1
    while (folder / f"{stem}-{number}.png").exists():
        number += 1
    return folder / f"{stem}-{number}.png"


def _gain(refined: RefinedPosterior) -> dict[str, Any]:
    """Return the gain of the refinement, in nats per scene."""
    acceptance = refined.acceptance
    return {
        "method": refined.how.method,
        "steps": refined.how.length,
        "elbo_before": float(refined.elbo_before.mean()),
        "elbo_after": float(refined.elbo_after.mean()),
        "acceptance": None if acceptance is None else float(acceptance.mean()),
    }


def _gain_line(refined: RefinedPosterior, views: str) -> str:
    """Return a line about the gain of the refinement."""
    gain = _gain(refined)
    how = f"{gain['method']}, {gain['steps']} steps"
    if gain["acceptance"] is not None:
        how += f" of warm-up, acceptance {gain['acceptance']:.2f}"
    return f"ELBO of {views}: {gain['elbo_before']:.1f} → {gain['elbo_after']:.1f} nats ({how})"
