"""`scene evaluate --stage`: the masks of a stage against the ground truth, label by label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from inference.settings.settings import flag

from .console import console
from .crf_options import bar
from .stage_options import (
    CRF,
    STOCK,
    chosen_stage,
    class_maps_of,
    crf_of,
    found_run,
    require_stages,
)

if TYPE_CHECKING:
    from inference.api.segment import StageScore


def evaluate_stages(run: Path | None, stages: Sequence[str], given: dict[str, Any]) -> None:
    """Score stages of one run on a split, and print a table or JSON.

    Args:
        run: Which; None = the newest that has the first stage.
        stages: Of one network: a stage and its twin with the CRF, or one of them.
        given: The arguments of `cli.evaluate.evaluate` by name.
    """
    require_stages(stages)
    if given["draws"] is not None or given["at_mean"]:
        raise typer.BadParameter("--draws and --at-mean do not go with --stage; leave them out.")
    from inference import load
    from inference.api.segment import score_stages
    from scene.notices import against_weak

    found = found_run(run, stages[0])
    for name in stages:
        chosen_stage(found, name, False, False)
    crf, class_maps = crf_of(given), class_maps_of(given)
    fitted = load(found, device=given["device"], trust=given["trust"])
    dataset = fitted.dataset(
        given["split"], data=given["data"], download=given["download"], target="mask"
    )
    split = dataset.split
    with bar() as watch:
        watch("counting classes", 0, len(dataset))
        scores = score_stages(
            fitted,
            stages,
            dataset,
            crf=crf,
            class_maps=class_maps,
            engine=given["engine"],
            seed=given["seed"],
            watch=lambda done, total: watch(f"scoring {split}", done, total),
        )
    one = next(iter(scores.values()))
    about = {
        "run": str(found.folder),
        "recipe": found.settings.title,
        "data": dataset.name,
        "split": split,
        "scenes": one.scenes,
        "weak": one.weak,
    }
    if given["json"]:
        stages_json = {name: score.to_json() for name, score in scores.items()}
        console.print_json(data={**about, "stages": stages_json})
        return
    scenes = f"{one.scenes} scenes{against_weak(one.weak, one.scenes)}"
    console.print(f"{about['run']}: {about['recipe']} on {about['data']} ({split}, {scenes})")
    _show(scores)


def refuse_without_stage(given: dict[str, Any]) -> None:
    """Refuse options that only a stage has, where no stage is named."""
    stock: dict[str, Any] = {**dict.fromkeys(("params", *CRF)), **STOCK}
    for name, value in stock.items():
        if given[name] != value:
            raise typer.BadParameter(f"{flag(name)} goes with --stage; name one.")


def _show(scores: dict[str, StageScore]) -> None:
    from rich.table import Table

    table = Table("IoU, %")
    for name in scores:
        table.add_column(name, justify="right")
    one, *_ = scores.values()
    for label in one.score.iou:
        table.add_row(label, *(_number(s.score.iou[label]) for s in scores.values()))
    table.add_section()
    table.add_row("mean", *(_number(s.score.miou) for s in scores.values()), style="bold")
    if one.common:
        table.add_row("mean of the uncommon", *(_number(s.uncommon) for s in scores.values()))
    console.print(table)
    if one.common:
        console.print(f"Common, in 90 % of training images or more: {', '.join(one.common)}.")
    counts = {name: len(score.absent) for name, score in scores.items() if score.absent}
    if counts:
        absent = ", ".join(f"{count} with {name}" for name, count in counts.items())
        console.print(
            f"– in neither ground truth nor prediction, so left out of the mean: {absent}."
        )


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.1f}"
