"""`scene evaluate`: score a run in every direction of inference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import console, notes
from cli.options import Data, Device, Download, Json, Seed, Trust, chosen

if TYPE_CHECKING:
    from inference.evaluate import Cell


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run; the newest if left out.")] = None,
    data: Data = None,
    split: Annotated[str | None, typer.Option(help="test, else val, if left out.")] = None,
    draws: Annotated[int | None, typer.Option(help="Also score with this many draws.")] = None,
    at_mean: Annotated[bool, typer.Option("--at-mean", help="Also score at the mean.")] = False,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Score RUN: masks and classes, each from several sets of views.

    A prediction is the argmax of probabilities averaged over 8 seeded draws of z.
    """
    from inference.evaluate import DRAWS
    from inference.evaluate import evaluate as score
    from inference.restore import restore
    from inference.train import launch
    from scene.datasets.catalogue import evaluation_split, open_data

    if draws is not None and draws < 1:
        raise ValueError(f"--draws must be 1 or more, not {draws}.")
    found = chosen(run, "any recipe")
    source = data or found.settings.data
    split = split or evaluation_split(source, download=download)
    dataset = open_data(source, split, found.settings.size, download=download)
    if dataset.schema.labels.names != found.schema.labels.names:
        raise ValueError(
            f"{found.folder} was trained on other labels than those of {dataset.name}; "
            "evaluate it on data of its own labels."
        )
    assembly = restore(found, device=launch(device).device, trust=trust)
    protocols: dict[str, dict[str, Any]] = {f"{DRAWS} draws": {"draws": DRAWS}}
    if draws is not None and draws != DRAWS:
        protocols[f"{draws} draws"] = {"draws": draws}
    if at_mean:
        protocols["at mean"] = {"at_mean": True}
    with notes.status("scoring") as status:
        results = {
            name: score(
                assembly,
                dataset,
                seed=seed,
                watch=lambda title: status.update(f"scoring {title}"),
                **options,
            )
            for name, options in protocols.items()
        }
    height, width = found.settings.size
    about = {
        "run": str(found.folder),
        "recipe": found.settings.recipe,
        "data": dataset.name,
        "split": split,
        "scenes": len(dataset),
        "size": f"{height}x{width}",
        "covered": _covered(dataset),
    }
    if json:
        cells = {name: [cell.to_json() for cell in cells] for name, cells in results.items()}
        console.print_json(data={**about, "results": cells})
        return
    _show(about, results, dataset.schema.labels)


def _covered(dataset: Any) -> float:
    """Give the share of the first scene's pixels that the crop covers."""
    import torch

    height, width = dataset.schema.size
    _, covered = dataset.restore(torch.zeros(1, height, width), 0)
    return float(covered.float().mean())


def _show(about: dict[str, Any], results: dict[str, list[Cell]], labels: Any) -> None:
    from rich.table import Table

    from scene.metrics import ClassScore, MaskScore

    titles = list(results)
    cells = list(zip(*results.values(), strict=True))
    masks = Table(title="Masks: IoU, %", title_justify="left")
    for column in ("direction", "scenes", *(f"mIoU, {t}" for t in titles), *labels.names):
        masks.add_column(column, justify="left" if column == "direction" else "right")
    classes = Table(title="Classes, %", title_justify="left")
    for column in ("direction", "scenes", *(f"{s}, {t}" for t in titles for s in ("F1", "AP"))):
        classes.add_column(column, justify="left" if column == "direction" else "right")
    marked = False
    for row in cells:
        first, scores = row[0], [cell.score for cell in row]
        mark = "" if first.trained or first.score is None else " †"
        marked |= bool(mark)
        count = str(first.scenes) if first.score is not None else "–"
        if first.target == "mask":
            means = [f"{s.miou:.1f}" if isinstance(s, MaskScore) else "–" for s in scores]
            each = first.score.iou if isinstance(first.score, MaskScore) else {}
            masks.add_row(
                first.title + mark, count, *means, *(_number(each.get(n)) for n in labels.names)
            )
        else:
            means = []
            for s in scores:
                known = isinstance(s, ClassScore)
                means += [
                    _number(s.macro_f1 if known else None),
                    _number(s.map if known else None),
                ]  # type: ignore[union-attr]
            classes.add_row(first.title + mark, count, *means)
    console.print(
        f"{about['run']}: {about['recipe']} on {about['data']} ({about['split']}, "
        f"{about['scenes']} scenes, {about['size']})"
    )
    console.print(masks)
    console.print(classes)
    if about["covered"] < 0.995:
        console.print(
            f"Scored at the stored pixels; the crop to {about['size']} covers "
            f"{about['covered']:.0%} of them, and the rest is left out."
        )
    if marked:
        console.print("† no term of the objective trained this posterior on its own.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
