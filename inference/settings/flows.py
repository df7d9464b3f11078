"""Settings of the flows that learn after a model: over its latents, and of its images' details."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import STEPS, setting


def _check_eights(flag: str, value: int) -> None:
    if value % 8:
        raise ValueError(f"{flag} is a multiple of 8, not {value}.")


@dataclass(frozen=True)
class FlowSettings:
    """Flows that learn after a model: where its latents lie, and the details of its images.

    Attributes:
        run: The run of the model; None = the newest joint model.
        of: Its recipe, which is read from it.
        width: Channels of the network of the flow over latents.
        guidance: How much draws given views differ from those of the prior; 1 = as learned.
        steps: Steps of training with ``prior`` flow; None = 4/3 of those of the model.
        details: Channels of the network of the flow of details; 0 = there is none.
        detail_steps: Steps of its training with ``details``; None = those of the model.
    """

    run: str | None = setting(
        None,
        "Run of the model that the flow learns after.",
        default_help="the newest joint model",
        metavar="RUN",
    )
    of: str = setting("telbo", "Recipe of that run.", option="flow_of", metavar="RECIPE")
    width: int = setting(
        64,
        "Channels of the flow's network at the grid's resolution; a multiple of 8.",
        option="flow_width",
        least=8,
        most=1024,
        check=_check_eights,
    )
    guidance: float = setting(
        1.0,
        "Factor by which scenes drawn given views differ from those of the prior: 1 = as learned; "
        "with more they show what was given more clearly, and vary less.",
        least=0.0,
        most=100.0,
    )
    steps: int | None = setting(
        None,
        "Steps for which the flow of --prior flow is trained.",
        option="flow_steps",
        default_help="4/3 of --steps",
        least=1,
        most=STEPS,
    )
    details: int = setting(
        0,
        "Channels of the finest layer of a flow that draws the textures and noise of images, "
        "trained after the model; a multiple of 8; 0 = images are drawn as their means.",
        least=0,
        most=1024,
        check=_check_eights,
    )
    detail_steps: int | None = setting(
        None,
        "Steps for which the flow of --details is trained.",
        default_help="as many as --steps",
        least=1,
        most=STEPS,
    )
