"""Ablation of the dense CRF: its score with each kernel, and on a grid of the kernel's widths.

The rows are those of a familiar table: unaries alone, smoothness only, appearance only, both. The
grid is the appearance kernel's two widths against each other, θα in pixels and θβ in colours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scene.figures.charts import draw_heatmap
from scene.labels import Labels
from scene.notices import Progress, against_weak
from scene.storage.files import replace_file

from ...crf.parameters import Parameters
from .measure import Result, measure
from .unaries import Scenes

ALPHAS = (20.0, 40.0, 80.0)
"""Widths θα of the grid, in pixels by default."""

BETAS = (3.0, 5.0, 10.0, 13.0, 20.0)
"""Widths θβ of the grid, on the scale 0-255 by default."""


@dataclass(frozen=True)
class Ablation:
    """The result of an ablation.

    Attributes:
        scenes: What the rows were measured on.
        labels: Labels of the data.
        rows: The results of ``unary``, ``smoothness``, ``appearance`` and ``both``; and of
            ``chosen``, the grid's best, if the grid was measured on other scenes.
        alphas: θα of the grid's rows.
        betas: θβ of its columns.
        grid: Its results, row by row; empty without a grid.
        grid_split: The split they were measured on.
        engine: The engine of the CRF.
        weak: Number of masks of the split that are pseudo-labels.
    """

    scenes: Scenes
    labels: Labels
    rows: dict[str, Result]
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    grid: tuple[tuple[Result, ...], ...]
    grid_split: str
    engine: str
    weak: int = 0

    @property
    def miou(self) -> list[list[float]]:
        """Mean IoU of every cell of the grid, in percent."""
        return [[cell.score(self.labels).miou for cell in row] for row in self.grid]

    @property
    def best(self) -> Parameters | None:
        """The setting of the grid's best cell; the first of several that are equal."""
        cells = [cell for row in self.grid for cell in row]
        if not cells:
            return None
        return max(cells, key=lambda cell: cell.score(self.labels).miou).parameters

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "data": self.scenes.data,
            "split": self.scenes.split,
            "scenes": self.rows["unary"].scenes,
            "weak": self.weak,
            "unaries": self.scenes.unaries.title,
            "engine": self.engine,
            "rows": {name: row.to_json(self.labels) for name, row in self.rows.items()},
            "grid": {
                "split": self.grid_split,
                "alphas": self.alphas,
                "betas": self.betas,
                "miou": self.miou,
            },
        }


def ablate(
    scenes: Scenes,
    base: Parameters | None = None,
    *,
    alphas: Sequence[float] = ALPHAS,
    betas: Sequence[float] = BETAS,
    tune: Scenes | None = None,
    engine: str = "auto",
    jobs: int = 1,
    folder: Path | None = None,
    watch: Progress = lambda title, done, total: None,
) -> Ablation:
    """Measure each kernel's part, and a grid of widths.

    Settings are to be chosen on scenes other than those reported. If ``tune`` gives some, the
    grid is measured there only, and its best cell once on ``scenes``; else the grid is measured
    on ``scenes`` themselves, to be looked at but not chosen from.

    Args:
        scenes: The scenes to report on.
        base: The settings that are varied; by default those everybody starts from.
        alphas: Widths θα, in pixels; none = no grid.
        betas: Widths θβ, on the scale 0-255.
        tune: The scenes to select on.
        engine: As in `inference.crf.meanfield.refine`.
        jobs: Processes, as in `inference.experiments.crf.measure.measure`.
        folder: Where results are kept and found again, as there.
        watch: Called with the progress.

    Raises:
        ValueError: If ``tune`` is the split reported, a width is not positive, or unaries do not
            fit.
    """
    base = base or Parameters()
    if tune is not None and (tune.data, tune.split) == (scenes.data, scenes.split):
        raise ValueError(
            f"Settings chosen on {tune.split} cannot be reported on {tune.split}; choose on "
            "another split, or on none."
        )
    for probed in (scenes, *([] if tune is None else [tune])):
        dataset = probed.open()
        probed.example(dataset, probed.rows(dataset)[0])  # fails now, not after an hour
    kinds = variants(base)
    cells = [
        replace(base, appearance_sigma_xy=float(alpha), appearance_sigma_rgb=float(beta))
        for alpha in alphas
        for beta in betas
    ]
    ask = partial(measure, engine=engine, jobs=jobs, folder=folder)
    results = ask(scenes, list(kinds.values()), watch=partial(watch, f"kernels on {scenes.split}"))
    ground = tune or scenes
    grid = ask(ground, cells, watch=partial(watch, f"grid on {ground.split}")) if cells else []
    wide, opened = max(1, len(betas)), scenes.open()
    ablation = Ablation(
        scenes=scenes,
        labels=opened.schema.labels,
        rows=dict(zip(kinds, results, strict=True)),
        alphas=tuple(map(float, alphas)),
        betas=tuple(map(float, betas)),
        grid=tuple(tuple(grid[i : i + wide]) for i in range(0, len(grid), wide)),
        grid_split=ground.split,
        engine=engine,
        weak=opened.weak,
    )
    if tune is None or (best := ablation.best) is None:
        return ablation
    (chosen,) = ask(scenes, [best], watch=partial(watch, f"chosen on {scenes.split}"))
    return replace(ablation, rows={**ablation.rows, "chosen": chosen})


def variants(base: Parameters) -> dict[str, Parameters]:
    """Take kernels away: none, one or the other, both."""
    return {
        "unary": replace(base, smoothness_weight=0.0, appearance_weight=0.0),
        "smoothness": replace(base, appearance_weight=0.0),
        "appearance": replace(base, smoothness_weight=0.0),
        "both": base,
    }


def write(ablation: Ablation, folder: Path) -> tuple[Path, Path | None]:
    """Write ``ablation.json``, and ``grid.png`` if there is a grid; give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(ablation.to_json(), indent=2) + "\n"
    replace_file(folder / "ablation.json", lambda part: part.write_text(text))
    if not ablation.grid:
        return folder / "ablation.json", None
    scenes = ablation.scenes
    draw_heatmap(
        folder / "grid.png",
        ablation.miou,
        rows=ablation.alphas,
        columns=ablation.betas,
        down="θα, pixels",
        across="θβ, colour (0-255)",
        scale="mIoU, %",
        title=f"{Path(scenes.data).name} {ablation.grid_split}, {scenes.unaries.title}"
        + against_weak(ablation.weak, ablation.rows["unary"].scenes),
    )
    return folder / "ablation.json", folder / "grid.png"
