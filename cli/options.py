"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.segmentation.stages import STAGES, Name
from scene.registry import unknown

from .completion import complete_data, complete_run
from .console import notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference import Fitted
    from inference.api.load import Run as RunFolder
    from inference.api.load import Task
    from inference.api.segment import CueSettings, ImageNetSegmenter, Parameters, Segmenter

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Device to compute on; auto uses a GPU if there is one."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="Dataset: synthetic, synthetic:confounded, synthetic:ambiguous, voc2012, a folder "
        "(in VOC layout, an export of a labelling tool, or a folder per class), or a file of "
        "labels or annotations (.csv, .tsv, .json, .xml).",
        autocompletion=complete_data,
        show_default="the run's own, or synthetic",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(help="Height x width of scenes in pixels.", metavar="HxW", show_default="64x64"),
]
_RUN: dict[str, Any] = {
    "metavar": "RUN",
    "show_default": "the newest suitable run",
    "autocompletion": complete_run,
}
_RUN_HELP = "The folder of a run; demo: the one that ships with scene."
RunArgument = Annotated[Path | None, typer.Argument(help=_RUN_HELP, **_RUN)]
Run = Annotated[Path | None, typer.Option("--run", help=_RUN_HELP, **_RUN)]
NamedRun = Annotated[
    Path | None,
    typer.Option(
        "--run", help="The folder of a run, or demo; the same as the argument RUN.", **_RUN
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(help="Take the first N scenes only, 1 or more.", metavar="N", show_default="all"),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split of the data: train, tune, val or test.", show_default="test, else val"
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Execute the code stored in a run that was trained on another "
        "machine; read it first.",
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Download voc2012 (2 GB) if it is missing.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace the output that an earlier call wrote to --out.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of lines and tables.")
]
Seed = Annotated[
    int, typer.Option(help="Seed of every random draw, 0 to 4294967295.", min=0, max=2**32 - 1)
]
Guidance = Annotated[
    float | None,
    typer.Option(
        help="Factor by which draws of a flow given views differ from those of the prior: 1 = as "
        "learned; with more they show what was given more clearly, and vary less.",
        show_default="the run's",
    ),
]


_FILES = {".png", ".jpg", ".jpeg", ".json", ".npz", ".npy", ".csv", ".txt", ".pdf", ".svg", ".zip"}


def require_folder(out: Path | None) -> None:
    """Refuse a --out that names a file where a folder is written: its suffix says so.

    Raises:
        ValueError: If it ends as files do that are written here.
    """
    if out is not None and out.suffix.lower() in _FILES and not out.is_dir():
        raise ValueError(
            f"--out must be a folder here, but {out} has the suffix of a file; leave out "
            f"{out.suffix}, as in --out {out.with_suffix('')}."
        )


def file_in(out: Path, name: str) -> Path:
    """Return the file that --out means: itself, or if it is a folder, ``name`` in it.

    >>> file_in(Path("a.png"), "preview.png"), file_in(Path("out"), "preview.png")
    (PosixPath('a.png'), PosixPath('out/preview.png'))
    """
    return out / name if out.is_dir() or not out.suffix else out


def one_of(place: Path | None, named: Path | None) -> Path | None:
    """Return the run named by the argument RUN or by --run; None = neither."""
    if place is not None and named is not None and place != named:
        raise typer.BadParameter(f"RUN is {place}, but --run is {named}; give one of them.")
    return named if place is None else place


def choose_run(
    folder: Path | None, task: Task = "any", observed: Sequence[str] = (), *, demo: bool = False
) -> RunFolder:
    """Read the run that is named, or the newest for a task (or the ``demo``), and say which."""
    from inference.api.load import find_run

    run = find_run(folder, task, observed=observed, demo=demo)
    if folder is None:
        notes.print(f"run {run.folder}", style="dim")
    return run


def fitted(
    folder: Path | None,
    task: Task = "any",
    observed: Sequence[str] = (),
    *,
    device: Any = "auto",
    trust: bool = False,
    demo: bool = False,
) -> Fitted:
    """Load the run that is named, or the newest complete one for a task, see `choose_run`."""
    from inference import load

    return load(choose_run(folder, task, observed, demo=demo), device=device, trust=trust)


_STAGE_HELP = f"Stage that makes the masks: {', '.join(STAGES)}."

Stage = Annotated[
    Name | None,
    typer.Option(
        "--stage",
        metavar="STAGE",
        help=_STAGE_HELP,
        show_default="the last stage of the run's recipe, as sec+crf for sec",
    ),
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
    _option(
        "Layer of the classifier for class maps, as stride4; stride8+stride4 averages two.",
        show_default="its last",
    ),
]
Scales = Annotated[
    str | None,
    _option(
        "Scales at which the classifier reads images, as multiples of their size: 0.5,1,1.5; "
        "above 0, at most 8.",
        show_default="1",
    ),
]
_OWN = "as the run's network has them best"

Flip = Annotated[
    bool | None,
    _option(
        "Average class maps with those of the mirrored image.",
        "--flip/--no-flip",
        show_default=_OWN,
    ),
]
Affinity = Annotated[
    float | None,
    _option(
        "Exponent with which class maps spread over cells that look alike to the backbone; 0 = "
        "they do not.",
        show_default=_OWN,
    ),
]
ImageNetMaps = Annotated[
    bool | None,
    _option(
        "Average class maps with those of ImageNet's classes of the same names.",
        "--imagenet-maps/--no-imagenet-maps",
        show_default=_OWN,
    ),
]
BackgroundMap = Annotated[
    Literal["sum", "max", "none"] | None,
    _option(
        "Background map: 1 − Σ maps (sum), 1 − the largest map (max), or none.",
        show_default=_OWN,
    ),
]
Exponent = Annotated[
    float | None, _option("Exponent of the background map, above 0.", show_default=_OWN)
]
Certainty = Annotated[
    float | None,
    _option(
        "Multiply class maps by the classifier's p of their class to this power.",
        show_default=_OWN,
    ),
]

CRF = (
    "appearance_weight", "appearance_sigma_xy", "appearance_sigma_rgb", "smoothness_weight",
    "smoothness_sigma", "iterations",
)  # fmt: skip
"""Options of the CRF, by their names in commands and among its parameters."""

CLASS_MAPS = {
    "layer": "layer", "scales": "scales", "flip": "flip", "background_map": "background_map",
    "exponent": "exponent", "certainty": "certainty", "affinity": "affinity",
    "imagenet_maps": "imagenet",
}  # fmt: skip
"""Options of class maps by their names in commands, and the names of their settings."""


def segmentation_run(run: Path | None, stage: str | None = None) -> RunFolder:
    """Read the named run, or the newest suitable for segmentation and print which."""
    from inference.api.load import find_run

    selected_run = find_run(run, "segment", stage=stage)
    if run is not None:
        return selected_run
    recipe = selected_run.settings.title
    instead = {"sec": "", "classifier": ": no run of sec, so class maps"}
    other = f": no run of sec or of a classifier, so masks of {recipe}"
    why = "" if stage else instead.get(recipe, other)
    notes.print(f"run {selected_run.folder}{why}", style="dim")
    return selected_run


def chosen_stage(
    run: RunFolder, stage: str | None, arguments: dict[str, Any], *, no_crf: bool = False
) -> str:
    """Choose the stage of a run, and print what the CRF fitted to it decides.

    Asking for the CRF and for none is a mistake of usage.

    Args:
        run: The run.
        stage: The stage that is named; None = none is.
        arguments: The command's arguments by name, those of `CRF` and ``params``.
        no_crf: Leave the CRF out.
    """
    with_crf = crf_requested(arguments)
    if no_crf and (with_crf or (stage is not None and STAGES[stage].crf)):
        option = f"--stage {stage}" if stage is not None else "--params and settings of the CRF"
        raise typer.BadParameter(f"--no-crf contradicts {option}; leave one out.")
    from inference.api.segment import run_stage

    name, line = run_stage(run, stage, crf=False if no_crf else True if with_crf else None)
    if line and arguments["params"] is None:
        notes.print(line, style="dim")
    return name


def load_segmenter(run: RunFolder, stage: str, arguments: dict[str, Any]) -> Segmenter:
    """Load a run with the options of a command.

    Args:
        run: The run.
        stage: From `chosen_stage`.
        arguments: The command's arguments by name: those of `CRF` and `CLASS_MAPS`, ``params``,
            ``device``, ``trust``, and perhaps ``pixels``, ``seed`` and ``engine``.
    """
    from inference import load
    from inference.api.segment import segmenter

    crf = STAGES[stage].crf and crf_of(arguments, run)  # read before the run is loaded
    more = {k: arguments[k] for k in ("pixels", "seed", "engine") if arguments.get(k) is not None}
    class_maps = class_maps_of(arguments, run)
    fitted = load(run, device=arguments["device"], trust=arguments["trust"])
    return segmenter(fitted, stage, crf, class_maps=class_maps, **more)


def load_imagenet(net: str, arguments: dict[str, Any]) -> ImageNetSegmenter:
    """Load a classifier of ImageNet with the options of a command, those of `load_segmenter`.

    Args:
        net: A network of timm.
        arguments: Also ``names``, ``top``, ``threshold`` and ``backbone_weights``.
    """
    from dataclasses import replace

    from inference.api.segment import imagenet_segmenter

    words = [name for name in (arguments["names"] or "").split(",") if name.strip()]
    usual = {
        "threshold": arguments["threshold"],
        "top": arguments["top"],
        "weights": arguments["backbone_weights"],
        "pixels": arguments["pixels"],
    }
    made = imagenet_segmenter(
        None if arguments["names"] is None else words,
        net=net,
        crf=None if arguments["no_crf"] else crf_of(arguments),
        engine=arguments["engine"],
        device=arguments["device"],
        **{name: value for name, value in usual.items() if value is not None},
    )
    changes = _changed_maps(arguments)
    return replace(made, class_maps=replace(made.class_maps, **changes))


def crf_of(arguments: dict[str, Any], run: RunFolder | None = None) -> Parameters:
    """Make the CRF's parameters of a command's arguments, and of what was fitted to a run."""
    from inference.api.segment import crf_parameters

    return crf_parameters(arguments["params"], run, **{name: arguments[name] for name in CRF})


def class_maps_of(arguments: dict[str, Any], run: RunFolder) -> CueSettings:
    """Make of a command's arguments how the class maps of a run's classifier are made."""
    from dataclasses import replace

    from inference.api.segment import usual_class_maps

    return replace(usual_class_maps(run.settings), **_changed_maps(arguments))


def _changed_maps(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of class maps that a command's arguments change."""
    changes = {field: arguments[name] for name, field in CLASS_MAPS.items()}
    changes["scales"] = None if changes["scales"] is None else _scales(changes["scales"])
    return {field: value for field, value in changes.items() if value is not None}


def require_stages(names: Iterable[str]) -> None:
    """Refuse names of no stage; it takes a mistake of usage to give one."""
    for name in names:
        if name not in STAGES:
            raise typer.BadParameter(unknown(name, STAGES, "stage") + ".")


def crf_requested(arguments: dict[str, Any]) -> bool:
    """Return whether any option of the CRF was set."""
    return any(arguments[name] is not None for name in ("params", *CRF))


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--scales takes numbers such as 1,1.5, not {text!r}.") from None
