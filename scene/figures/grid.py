"""Grids of images, masks and classes of scenes, with a legend of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from ..labels import Labels
from ..views import Scene, Views
from .fonts import save_figure, set_title


@dataclass(frozen=True)
class Panel:
    """One panel of a grid.

    Attributes:
        picture: An image ``(3, H, W)`` float in [0, 1], a mask ``(H, W)`` integer, or None for an
            empty panel.
        caption: A line below it.
    """

    picture: Tensor | None = None
    caption: str = ""


def coloured(mask: Tensor, labels: Labels) -> np.ndarray:
    """Return a mask in its labels' colours, void in VOC's: ``(H, W)`` to ``(H, W, 3)`` uint8."""
    return labels.palette[mask.cpu().numpy().astype(np.uint8)]


@rc_context({"text.parse_math": False})  # a label such as a$b is no formula
def draw_grid(
    path: Path,
    panels: Sequence[Sequence[Panel]],
    labels: Labels,
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    title: str = "",
) -> None:
    """Plot rows of panels, with titles and a legend of the labels, as a PNG.

    Args:
        path: The PNG; replaced if it exists.
        panels: Rows of panels, all of the same length.
        labels: For colours and the legend.
        columns: Titles of the columns.
        rows: Titles of the rows.
        title: Title of the figure.
    """
    high, wide = len(panels), max(map(len, panels))
    shape = next(p.picture.shape for row in panels for p in row if p.picture is not None)
    tall = 1.25 * shape[-2] / shape[-1] + 0.22
    figure = Figure(figsize=(1.3 * wide + 1.2, tall * high + 1.0), dpi=110, layout="constrained")
    axes = figure.subplots(high, wide, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            axis = axes[row, column]
            if panel.picture is not None:
                axis.imshow(_pixels(panel.picture, labels), interpolation="nearest")
            axis.set_xlabel(panel.caption, fontsize=7)
    for column, text in enumerate(columns):
        axes[0, column].set_title(text, fontsize=8)
    for row, text in enumerate(rows):
        axes[row, 0].set_ylabel(text, fontsize=8)
    set_title(figure, title)
    figure.legend(handles=_legend(labels), loc="outside lower center", ncols=8, fontsize=7)
    save_figure(figure, path)


def draw_scenes(path: Path, scenes: Sequence[Scene], labels: Labels, *, wide: int = 8) -> None:
    """Plot scenes of a dataset: each image above its mask, with the names of its classes."""
    rows: list[list[Panel]] = []
    for start in range(0, len(scenes), wide):
        part = scenes[start : start + wide]
        gap = [Panel()] * (min(wide, len(scenes)) - len(part))
        images = [None if scene.image is None else scene.image.float() / 255 for scene in part]
        captions = [
            "?" if scene.classes is None else ", ".join(labels.decode(scene.classes)) or "none"
            for scene in part
        ]
        rows.append([*map(Panel, images), *gap])
        masks = [Panel(s.mask, text) for s, text in zip(part, captions, strict=True)]
        rows.append([*masks, *gap])
    draw_grid(path, rows, labels)


def _pixels(picture: Tensor, labels: Labels) -> np.ndarray:
    if picture.ndim == 2:
        return coloured(picture, labels)
    rgb = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    pixels: np.ndarray = rgb.permute(1, 2, 0).numpy()
    return pixels


def _legend(labels: Labels) -> list[Patch]:
    rows = zip(labels.names, labels.colours, strict=True)
    return [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor="grey", label=name)
        for name, (red, green, blue) in rows
    ]


def draw_prediction(
    path: Path, observed: Views | None, views: Mapping[str, Tensor], labels: Labels
) -> None:
    """Draw predicted views of scenes, one a row, behind the views they were predicted from.

    Args:
        path: Where the PNG goes.
        observed: B scenes' views that were conditioned on, or None.
        views: Images ``(B, 3, H, W)``, masks ``(B, H, W)``, class probabilities ``(B, C)``.
        labels: The vocabulary.
    """
    columns, titles = [], []
    for name in ("image", "mask"):
        if observed is not None and name in observed:
            columns.append([Panel(view) for view in observed[name].cpu()])
            titles.append(name)
    for name in ("image", "mask"):
        if name in views:
            columns.append([Panel(view) for view in views[name]])
            titles.append(f"→ {name}")
    if "classes" in views:
        captions = [named(labels, vector) for vector in views["classes"]]
        if not columns:
            columns.append([Panel(torch.ones(3, 8, 8)) for _ in captions])
            titles.append("→ classes")
        columns[-1] = [
            Panel(panel.picture, caption)
            for panel, caption in zip(columns[-1], captions, strict=True)
        ]
    draw_grid(path, list(zip(*columns, strict=True)), labels, columns=titles)


def named(labels: Labels, vector: Tensor) -> str:
    """Name the classes of a vector ``(C,)``, for a caption."""
    return ", ".join(labels.decode(vector)) or "none"
