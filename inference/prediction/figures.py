"""Pictures of predictions beside the ground truth, and of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.figures.grid import Panel, draw_grid, named
from scene.labels import Labels
from scene.seeds import seeded
from scene.views import VIEWS, Views

from ..build import Assembly
from .predict import able, draw, drawing, drawn, expected, predict

DIRECTIONS = (
    (("image",), "mask"),
    (("image", "classes"), "mask"),
    (("mask",), "mask"),
    (("mask",), "image"),
    (("classes",), "image"),
    (VIEWS, "image"),
)
"""What the picture of a run shows, where its model can."""

_SEEN = (VIEWS, ("image", "classes"), ("image",))  # views of the scenes drawn, if there are any

NOTHING: Mapping[str, Tensor] = MappingProxyType({})


def draw_predictions(
    path: Path, assembly: Assembly, dataset: SceneDataset, *, scenes: int = 8, seed: int = 0
) -> None:
    """Draw the first scenes of a dataset, and each view as predicted from others.

    Args:
        path: Where the PNG goes.
        assembly: Model and guide, in evaluation mode.
        dataset: Scenes that have every view are drawn; where none has, those without masks.
        scenes: Number of scenes, at most.
        seed: Seed of the draws of z.
    """
    labels = dataset.schema.labels
    views = dataset.views(range(min(len(dataset), 4 * scenes)))
    seen = next((some for some in _SEEN if views.having(some).any()), None)
    if seen is None:
        return
    complete = views.rows(views.having(seen).nonzero().squeeze(-1)[:scenes])
    complete = complete.to(assembly.device)
    titles = [name for name in ("image", "mask") if name in seen]
    columns = [list(complete[name]) for name in titles]
    with seeded(seed, assembly.device):
        for given, target in DIRECTIONS:
            if set(given) <= set(seen) and able(assembly, given, target):
                prediction = predict(assembly, complete.only(given), [target])
                mask = target == "mask"
                columns.append(list(prediction.mask if mask else prediction.views[target]))
                source = "all" if len(given) == len(VIEWS) else "+".join(given)
                titles.append(f"{source} → {target}")
    vectors = complete["classes"] if "classes" in seen else [None] * len(complete)
    rows = [
        [
            Panel(picture, named(labels, vector) if i == 1 and vector is not None else "")
            for i, picture in enumerate(line)
        ]
        for line, vector in zip(zip(*columns, strict=True), vectors, strict=True)
    ]
    draw_grid(path, rows, labels, columns=titles)


def draw_drawn(
    path: Path, assembly: Assembly, dataset: SceneDataset, *, scenes: int = 8, seed: int = 0
) -> None:
    """Draw scenes as `sample` does: from the prior, and given views of the first of a dataset.

    Args:
        path: Where the PNG goes.
        assembly: A model of images and masks, and its guide, in evaluation mode.
        dataset: Its first complete scenes are what is given.
        scenes: Draws in each line.
        seed: Seed of the draws of z.
    """
    labels = dataset.schema.labels
    views = dataset.views(range(min(len(dataset), 4 * scenes)))
    complete = views.rows(views.having(VIEWS).nonzero().squeeze(-1)[:1]).to(assembly.device)
    source, rows, names = drawing(assembly), [], []
    known: list[tuple[str, ...]] = [
        given for given in _GIVEN if len(complete) and source.guide.accepts(given)
    ]
    with seeded(seed, assembly.device), torch.no_grad():
        for given in ((), *known):
            observed = complete.only(given) if given else None
            z = draw(source, observed, scenes, 1)
            decoded = source.model.compose(z, observed)
            images, masks = drawn(decoded["image"]), expected(decoded["mask"]).argmax(-3)
            rows.append([_given(complete, given, labels), *map(Panel, images[:, 0].cpu())])
            rows.append([Panel(), *map(Panel, masks[:, 0].cpu())])
            names += [f"given {given[0]}" if given else "prior", ""]
    draw_grid(path, rows, labels, rows=names)


def _given(complete: Views, given: tuple[str, ...], labels: Labels) -> Panel:
    """Show what draws were given."""
    if not given:
        return Panel()
    if given == ("classes",):
        return Panel(None, named(labels, complete["classes"][0]))
    return Panel(complete[given[0]][0], "given")


_GIVEN = (("mask",), ("classes",), ("image",))
"""What scenes are drawn given in `draw_drawn`, beside nothing."""


def draw_samples(
    path: Path,
    observed: Views | None,
    samples: dict[str, Tensor],
    labels: Labels,
    title: str,
    means: Mapping[str, Tensor] = NOTHING,
) -> None:
    """Draw samples of a scene in a grid; above them the observed views, and the averages.

    Args:
        path: Where the PNG goes.
        observed: One scene's views that were conditioned on, or None.
        samples: Of N samples: images ``(N, 3, H, W)``, class probabilities ``(N, C)``, masks
            ``(N, H, W)``, whichever there are.
        labels: The vocabulary.
        title: Above everything.
        means: Their averages: ``image``, ``classes``, ``mask``, and its ``entropy``.
    """
    count = len(next(iter(samples.values())))
    conditions = [n for n in ("image", "mask") if observed is not None and n in observed]
    first = [Panel(observed[n][0], "given") for n in conditions if observed is not None]
    first += _means(means, labels)
    wide = max(min(8, count), len(first))
    rows: list[list[Panel]] = []
    names: list[str] = []
    if first:
        rows.append(_filled(first, wide))
        names.append("given, mean" if conditions and means else "given" if conditions else "mean")
    for start in range(0, count, wide):
        for name in ("image", "mask"):
            if name in samples:
                caption = name == "mask" or "mask" not in samples
                rows.append(_line(name, samples, start, wide, labels, caption))
                names.append(name)
    draw_grid(path, rows, labels, rows=names, title=title)


def _means(means: Mapping[str, Tensor], labels: Labels) -> list[Panel]:
    """Draw averages of samples; entropy as grey, white where all labels are equally likely."""
    says = f"mean: {named(labels, means['classes'])}" if "classes" in means else "mean"
    panels = [Panel(means["image"], "mean")] if "image" in means else []
    if "mask" in means:
        panels.append(Panel(means["mask"], says))
        panels.append(Panel(means["entropy"].expand(3, -1, -1), "entropy"))
    return panels


def _line(
    name: str,
    samples: dict[str, Tensor],
    start: int,
    wide: int,
    labels: Labels,
    caption: bool,
) -> list[Panel]:
    pictures: Sequence[Tensor] = list(samples[name][start : start + wide])
    captions = [""] * len(pictures)
    if caption and "classes" in samples:
        captions = [named(labels, v) for v in samples["classes"][start : start + wide]]
    return _filled([Panel(p, text) for p, text in zip(pictures, captions, strict=True)], wide)


def _filled(line: list[Panel], wide: int) -> list[Panel]:
    return [*line, *[Panel()] * (wide - len(line))]
