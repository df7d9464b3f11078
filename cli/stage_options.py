"""Options of segmentation: the run, its stage, class maps and CRF."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.segmentation.stages import STAGES, Name, stage_of
from scene.registry import unknown

from .console import notes

if TYPE_CHECKING:
    from inference.api.runs import Run as RunFolder
    from inference.api.segment import CueSettings, Parameters, Segmenter

_STAGE_HELP = f"Stage that makes the masks: {', '.join(STAGES)}."

Stage = Annotated[
    Name | None,
    typer.Option("--stage", metavar="STAGE", help=_STAGE_HELP, show_default="the run's last"),
]
Stages = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        metavar="STAGE",
        help="Score the masks of a stage, at all stored pixels, in place of every direction: "
        f"{', '.join(STAGES)}. Repeatable.",
    ),
]
NoCrf = Annotated[
    bool, typer.Option("--no-crf", help="Leave the dense CRF out.", rich_help_panel="Kernels")
]


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Class maps", **more)


Layer = Annotated[
    str | None,
    _option("Layer of the classifier whose class maps are taken.", show_default="its last"),
]
Scales = Annotated[
    str, _option("Scales at which the classifier reads images, as 1,1.5: above 0, at most 8.")
]
Flip = Annotated[bool, _option("Average class maps with those of the mirrored image.", "--flip")]
BackgroundMap = Annotated[
    Literal["sum", "power", "max", "none"],
    _option(
        "Background map: 1 − Σ maps (sum), a power of that, 1 − the largest map (max), or none."
    ),
]
Exponent = Annotated[float, _option("Exponent of --background-map power, above 0.")]

CRF = (
    "appearance_weight", "appearance_sigma_xy", "appearance_sigma_rgb", "smoothness_weight",
    "smoothness_sigma", "iterations",
)  # fmt: skip
"""Options of the CRF, by their names in commands and among its parameters."""

STOCK = {
    "engine": "auto", "layer": None, "scales": "1", "flip": False, "background_map": "sum",
    "exponent": 2.0,
}  # fmt: skip
"""Defaults of the other options of a stage."""


def found_run(run: Path | None, stage: str | None = None) -> RunFolder:
    """Read the run named, or take the newest to segment with and say which."""
    from inference.api.runs import find_run

    found = find_run(run, "segment", stage=stage)
    if run is not None:
        return found
    recipe = found.settings.title
    instead = {"sec": "", "classifier": ": no run of sec, so class maps"}
    other = f": no run of sec or of a classifier, so masks of {recipe}"
    why = "" if stage else instead.get(recipe, other)
    notes.print(f"run {found.folder}{why}", style="dim")
    return found


def chosen_stage(run: RunFolder, stage: str | None, no_crf: bool, crf_asked: bool) -> str:
    """Choose the stage of a run; asking for the CRF and for none is a mistake of usage."""
    if no_crf and (crf_asked or (stage is not None and STAGES[stage].crf)):
        asked = f"--stage {stage}" if stage is not None else "--params and settings of the CRF"
        raise typer.BadParameter(f"--no-crf contradicts {asked}; leave one out.")
    return stage_of(run, stage, crf=False if no_crf else True if crf_asked else None)


def loaded(run: RunFolder, stage: str, given: dict[str, Any]) -> Segmenter:
    """Load a run with the options of a command.

    Args:
        run: Which.
        stage: As `chosen_stage` gave it.
        given: The command's arguments by name: those of `CRF`, ``params``, ``layer``, ``scales``,
            ``flip``, ``background_map``, ``exponent``, ``device``, ``trust``, and perhaps
            ``pixels``, ``seed`` and ``engine``.
    """
    from inference import load
    from inference.api.segment import segmenter

    crf = STAGES[stage].crf and crf_of(given)  # read, and refused, before the run is loaded
    more = {k: given[k] for k in ("pixels", "seed", "engine") if given.get(k) is not None}
    class_maps = class_maps_of(given)
    fitted = load(run, device=given["device"], trust=given["trust"])
    return segmenter(fitted, stage, crf, class_maps=class_maps, **more)


def crf_of(given: dict[str, Any]) -> Parameters:
    """Make the CRF's parameters of a command's arguments."""
    from inference.api.segment import crf_parameters

    return crf_parameters(given["params"], **{name: given[name] for name in CRF})


def class_maps_of(given: dict[str, Any]) -> CueSettings:
    """Make of a command's arguments how a classifier's maps are made."""
    from inference.api.segment import CueSettings

    return CueSettings(
        layer=given["layer"],
        scales=_scales(given["scales"]),
        flip=given["flip"],
        background_map=given["background_map"],
        exponent=given["exponent"],
    )


def require_stages(names: Iterable[str]) -> None:
    """Refuse names of no stage; it takes a mistake of usage to give one."""
    for name in names:
        if name not in STAGES:
            raise typer.BadParameter(unknown(name, STAGES, "stage") + ".")


def crf_asked(given: dict[str, Any]) -> bool:
    """Say whether anything about the CRF was asked for."""
    return any(given[name] is not None for name in ("params", *CRF))


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--scales takes numbers such as 1,1.5, not {text!r}.") from None
