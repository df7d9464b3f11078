"""What a search needs, looked at before any of it begins: data, models, directions."""

from __future__ import annotations

import torch

from scene.datasets.augment import augmenter
from scene.datasets.catalogue import open_data, splits_of

from ...build import Assembly, assemble
from ...devices import Device, device_of
from ...prediction.predict import able
from ...segmentation.classifier import find_classifier
from ...training.session import HEADLINES
from ..crf.unaries import rows
from .plan import Plan
from .space import Point

Direction = tuple[tuple[str, ...], str]


def checked(plan: Plan, device: Device, download: bool) -> tuple[Direction, str]:
    """Refuse what could not be trained or scored.

    Args:
        plan: What is asked for. Each value that an option may take is tried with the first of
            all others.
        device: Where to compute.
        download: Let data be fetched.

    Returns:
        What sums up each run, and the name of the data.

    Raises:
        LookupError: If the data, a split or a name is not there.
        ValueError: If something does not fit.
    """
    settings = plan.settings(next(plan.corners()))
    device_of(device)
    known = splits_of(settings.data.source, download=download)
    for split in ("train", plan.split):
        dataset = open_data(settings.data.source, split, settings.data.size)
        if not len(dataset):
            raise ValueError(f"The split {split!r} of {dataset.name} is empty.")
    if "val" not in known and (plan.prune or plan.metric == "loss"):
        what = "--metric loss" if plan.metric == "loss" else "--prune"
        raise ValueError(f"{dataset.name} has no split val, which {what} needs.")
    ways: list[Direction] | None = None
    for point in plan.corners():
        assembly = _assembled(plan, point)
        ways = _directions(plan, assembly) if ways is None else ways
        ways = _require(assembly, ways, plan, point)
    assert ways
    if plan.metric == "miou":
        rows(dataset, None, None)  # one that has no mask cannot be scored
    return ways[0], dataset.name


def _assembled(plan: Plan, point: Point) -> Assembly:
    settings = plan.settings(point)
    dataset = open_data(
        settings.data.source,
        "train",
        settings.data.size,
        count=settings.data.count,
    )
    augmenter(settings.data.augment or dataset.augmentation, dataset.schema.labels)
    assembly = assemble(settings, dataset.schema)
    find_classifier(settings, dataset, torch.device("cpu"))
    return assembly


def _directions(plan: Plan, assembly: Assembly) -> list[Direction]:
    """List what could sum up all runs: what is asked for, else ways the first model can go."""
    target = {"miou": "mask", "f1": "classes", "map": "classes"}.get(plan.metric)
    if plan.views is not None and target is not None:
        return [(plan.views, target)]
    ways: tuple[Direction, ...] = (
        *HEADLINES, (("mask",), "classes"), (("image", "classes"), "classes")
    )  # fmt: skip
    able_to = [way for way in ways if able(assembly, *way)]
    found = [way for way in able_to if target in (None, way[1])] or [ways[0]]
    if target is not None and target not in assembly.model.views:
        others = " or ".join(sorted(set(assembly.model.views) & {"mask", "classes"}))
        metrics = {"mask": "miou", "classes": "f1"}
        raise ValueError(
            f"{plan.recipe} predicts no {target}, which --metric {plan.metric} is of; choose "
            f"--metric {metrics.get(others, 'loss')}."
        )
    return found


def _require(
    assembly: Assembly, ways: list[Direction], plan: Plan, point: Point
) -> list[Direction]:
    """Keep the ways that this model can go, too; refuse it if there is none."""
    kept = [way for way in ways if able(assembly, *way)]
    if not kept:
        views, target = ways[0]
        reads = "--guide poe, which reads any of the views of --encode, "
        raise ValueError(
            f"`{plan.command(point)}` makes no model that predicts {target} given "
            f"{','.join(views)}, by which all are compared; choose "
            f"{reads if 'encode' in point else ''}other views with --given, or other values."
        )
    return kept
