"""The report's table of generative models: cVAE, j-VAE and TELBO on one dataset, seed by seed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene.datasets.catalogue import evaluation_split, open_data, splits_of
from scene.figures.bars import Bars, draw_bars
from scene.storage.locks import contents, locked

from ..devices import Device
from ..runs.run import CONFIG, home, write_json
from .compare import SCORES, Result, Row, results

FILES = ("table.json", "table.png")
"""What is written beside the runs."""

IMAGE, BOTH = "image → mask", "image + classes → mask"

DIRECTIONS = ((("image",), "mask"), (("image", "classes"), "mask"))


@dataclass(frozen=True)
class Model:
    """A line of the table.

    Attributes:
        row: What is trained.
        direction: The title of the direction that the report scored.
        report: The report's mIoU in % on the val split of PASCAL VOC 2012; None = it had none.
    """

    row: Row
    direction: str
    report: float | None


MODELS = {
    "cVAE": Model(Row("cvae"), IMAGE, 37.75),
    "cVAE, hybrid": Model(Row("cvae", {"prior": "learned", "hybrid": 0.5}), IMAGE, None),
    "j-VAE": Model(Row("jvae", {"encode": ("image", "classes")}), BOTH, 62.25),
    "TELBO, report's form": Model(
        Row("telbo", {"guide": "retrofit", "subsets": "report", "retrofit": "own"}), BOTH, 47.23
    ),
    "TELBO": Model(Row("telbo"), BOTH, None),
}
"""The report's models, and what became of them."""


@dataclass(frozen=True)
class Table:
    """What came of it.

    Attributes:
        data: Name of the dataset.
        scored: What was scored, in words.
        seeds: Of the trainings.
        reference: Whether the report's numbers are of these scenes.
        found: Every result.
        files: What was written.
    """

    data: str
    scored: str
    seeds: tuple[int, ...]
    reference: bool
    found: tuple[Result, ...]
    files: tuple[Path, ...]

    def scores(self, model: str) -> dict[str, list[float | None]]:
        """Give the mIoU in % of each direction, seed by seed."""
        own = [result for result in self.found if result.row == model]
        return {title: [r.miou(title) for r in own] for title in (IMAGE, BOTH)}

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        models = {
            name: {
                "command": f"scene train {model.row.words}",
                "scores": self.scores(name),
                "report": model.report if self.reference else None,
            }
            for name, model in MODELS.items()
        }
        return {"scored": self.scored, "seeds": list(self.seeds), "models": models}


def scene_table(
    common: dict[str, Any],
    *,
    seeds: Sequence[int] = (0,),
    split: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    jobs: int = 1,
    device: Device = "auto",
    told: Callable[[Result], object] = lambda result: None,
) -> Table:
    """Train each of `MODELS` once per seed, and score it; go on with what is in the folder.

    Args:
        common: Settings of every row, as `inference.settings.recipes.Recipe.settings` takes them.
        seeds: Of the trainings.
        split: What is scored; None = the test scenes if there are any, else val.
        folder: Where runs, figures and a picture go.
        force: Begin anew, whatever is there of this table.
        jobs: Processes.
        device: Where to compute.
        told: Called with each result when it is there.

    Raises:
        ValueError: If there is no such split, or ``force`` would remove what is no such table.
    """
    data = common["data"]
    known = splits_of(data)
    chosen = split or evaluation_split(data)
    if chosen not in known:
        raise ValueError(f"{data} has no split {chosen!r}, only {', '.join(known)}; choose one.")
    work = [
        (name, model.row.settings(**common, seed=seed))
        for seed in seeds
        for name, model in MODELS.items()
    ]
    scenes = open_data(data, chosen, work[0][1].data.size)
    out = folder or home() / f"reproduce-scene-{scenes.name}"
    if force:
        _require_ours(out)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if force:
            _clear(out)
        found = results(
            work, out, split=chosen, directions=DIRECTIONS, at_once=jobs, device=device, told=told
        )
    labels = len(scenes.schema.labels.names)
    reference = chosen == "val" and (len(scenes), labels) == (1449, 21)  # PASCAL VOC 2012
    files = (out / FILES[0], out / FILES[1])
    table = Table(data, found[0].scored, tuple(seeds), reference, tuple(found), files)
    write_json(files[0], table.to_json())
    _draw(files[1], table)
    return table


def _require_ours(folder: Path) -> None:
    strange = [p.name for p in contents(folder) if not _ours(p)]
    if strange:
        raise ValueError(
            f"{folder} holds {strange[0]}, which is no part of such a table, so --force will not "
            "remove it; choose another --out."
        )


def _clear(folder: Path) -> None:
    for path in contents(folder):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _ours(path: Path) -> bool:
    return (path / CONFIG).is_file() or (path / SCORES).is_file() or path.name in FILES


def _draw(path: Path, table: Table) -> None:
    series = {
        title: [[score or 0.0 for score in table.scores(name)[title]] or [0.0] for name in MODELS]
        for title in (IMAGE, BOTH)
    }
    marks = [model.report if table.reference else None for model in MODELS.values()]
    groups = tuple(name.replace(", ", "\n") for name in MODELS)
    bars = Bars(groups, series, marks, "the report")
    draw_bars(path, bars, scale="mIoU in %", title=table.scored)
