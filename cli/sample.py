"""`scene sample`: draw scenes from a mask, an image, some classes, or from nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import console, entitled
from .options import Data, Device, Force, Run, Seed, Trust, chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.prediction.refine import Refined, Refinement
    from inference.runs.run import Run as RunFolder

MOST = 10_000
"""The most scenes drawn at once."""

_SOURCES = ("--from-image", "--from-mask", "--from-classes")


def sample(
    run: Run = None,
    from_image: Annotated[
        str | None, typer.Option(help="A picture's path, or test:N; bare: test:0.")
    ] = None,
    from_mask: Annotated[str | None, typer.Option(help="Likewise a mask.")] = None,
    from_classes: Annotated[
        str | None, typer.Option(help="Names, as circle,cross, or test:N; bare: test:0.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many scenes to draw.")] = 16,
    walk: Annotated[
        bool, typer.Option("--walk", help="Walk through z in a straight line.")
    ] = False,
    refine: Annotated[
        Literal["svi", "hmc"] | None,
        typer.Option(help="Refine the belief for these views: climb its ELBO, or run a chain."),
    ] = None,
    refine_steps: Annotated[
        int | None, typer.Option(help="Of Adam (svi: 50), or of warm-up (hmc: 100).")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Where the grid goes.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for each view as a file.")] = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    trust: Trust = False,
    force: Force = False,
) -> None:
    """Draw scenes given any views of one; given none, from the prior.

    The three --from options combine into any of the 7 sets of views; with --refine, also into
    those that the run's guide cannot read.
    """
    from inference.prediction.sample import Request, draw_request

    if n < 1:
        raise ValueError(f"-n must be 1 or more, not {n}.")
    if n > MOST:
        raise ValueError(f"-n is at most {MOST}, not {n}; draw the rest with another --seed.")
    given = {"image": from_image, "classes": from_classes, "mask": from_mask}
    asked = {name: text for name, text in given.items() if text is not None}
    how = _refinement(refine, refine_steps, asked)
    found = chosen(
        run,
        f"a model that samples from {' + '.join(asked) or 'its prior'}",
        _can(asked, how is not None),
    )
    request = Request(asked, n, walk, seed, data or found.settings.data.source, how)
    made = draw_request(
        found, request, picture=picture, out=out, device=device, trust=trust, force=force
    )
    console.print(entitled(made.picture, made.title))
    if how is not None and made.refined is not None:
        console.print(_gain(how, made.refined, " + ".join(asked)))
    if made.out is not None:
        console.print(entitled(made.out, f"{made.files} files"))


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


def _can(asked: dict[str, str], refine: bool) -> Callable[[RunFolder], bool]:
    """Say which runs could answer, by their settings alone."""
    from inference.settings.recipes import able, refinable

    fits = refinable if refine else able
    return lambda run: fits(run.settings, tuple(asked))


def _refinement(method: str | None, steps: int | None, asked: dict[str, str]) -> Refinement | None:
    """Say how to refine; None where that was not asked."""
    if method is None:
        if steps is not None:
            raise ValueError("--refine-steps goes with --refine svi or --refine hmc.")
        return None
    if not asked:
        raise ValueError("There is nothing to refine by; add --from-image, -classes or -mask.")
    from inference.prediction.refine import Refinement

    return Refinement("svi" if method == "svi" else "hmc", steps)


def _gain(how: Refinement, found: Refined, views: str) -> str:
    """Say what refining came to."""
    before, after = float(found.before.mean()), float(found.after.mean())
    done = f"{how.method}, {how.length} steps"
    if found.acceptance is not None:
        done += f" of warm-up, acceptance {float(found.acceptance.mean()):.2f}"
    return f"ELBO of {views}: {before:.1f} → {after:.1f} nats ({done})"
