"""Grids of images, masks and classes of scenes, with a legend of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from ..datasets.base import Readings
from ..labels import Labels
from ..views import Scene, Views
from .fonts import save_figure, set_title

_WIDTH = 1.25
"""Of a panel, in inches."""

_BELOW: dict[str, Any] = {"ha": "center", "va": "top"}
_ABOVE: dict[str, Any] = {"ha": "center", "va": "bottom"}
_BESIDE: dict[str, Any] = {"ha": "right", "va": "center", "rotation": "vertical"}


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
    tall = _WIDTH * shape[-2] / shape[-1]
    step = (_WIDTH + 0.05, tall + 0.22)  # from panel to panel; below each there is a caption
    figure = Figure(
        figsize=(step[0] * wide + 1.2, step[1] * high + 1.0), dpi=110, layout="constrained"
    )
    axis = figure.subplots()  # of all panels: one for each takes ten times as long
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            left, top = step[0] * column, step[1] * row
            if panel.picture is not None:
                extent = _fitted(panel.picture, left, top, tall)
                axis.imshow(_pixels(panel.picture, labels), interpolation="nearest", extent=extent)
            axis.text(left + _WIDTH / 2, top + tall + 0.04, panel.caption, size=7, **_BELOW)
    for column, text in enumerate(columns):
        axis.text(step[0] * column + _WIDTH / 2, -0.05, text, size=8, **_ABOVE)
    for row, text in enumerate(rows):
        axis.text(-0.05, step[1] * row + tall / 2, text, size=8, **_BESIDE)
    axis.set(xlim=(0, step[0] * wide), ylim=(step[1] * high, 0), aspect="equal")
    axis.set_axis_off()
    set_title(figure, title)
    longest = max(map(len, labels.names))
    fit = int(figure.get_figwidth() / (0.42 + 0.06 * longest))  # inches of a swatch and a letter
    figure.legend(
        handles=_legend(labels), loc="outside lower center", ncols=min(8, max(1, fit)), fontsize=7
    )
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


def draw_readings(
    path: Path,
    scenes: Sequence[Scene],
    readings: Sequence[Readings],
    labels: Labels,
    *,
    wide: int = 2,
) -> None:
    """Plot images, and beside each every mask that it may have, with class and probability."""
    most = max(len(known.masks) for known in readings)
    lines: list[list[Panel]] = []
    for scene, known in zip(scenes, readings, strict=True):
        panels = [Panel(None if scene.image is None else scene.image.float() / 255)]
        for mask, p in zip(known.masks, known.probabilities.tolist(), strict=True):
            names = ", ".join(labels.decode(labels.vector(mask))) or "none"
            panels.append(Panel(mask, f"{names} {p:.0%}"))
        lines.append(panels + [Panel()] * (1 + most - len(panels)))
    lines += [[Panel()] * (1 + most)] * (-len(lines) % wide)
    rows = [
        [panel for line in lines[k : k + wide] for panel in line]
        for k in range(0, len(lines), wide)
    ]
    draw_grid(path, rows, labels)


def _pixels(picture: Tensor, labels: Labels) -> np.ndarray:
    if picture.ndim == 2:
        return coloured(picture, labels)
    rgb = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    pixels: np.ndarray = rgb.permute(1, 2, 0).numpy()
    return pixels


def _fitted(
    picture: Tensor, left: float, top: float, tall: float
) -> tuple[float, float, float, float]:
    """Return where a picture lies in its panel, as large as fits: left, right, bottom, top."""
    high, wide = picture.shape[-2:]
    scale = min(_WIDTH / wide, tall / high)
    across, down = (_WIDTH - scale * wide) / 2, (tall - scale * high) / 2
    return left + across, left + _WIDTH - across, top + tall - down, top + down


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
