"""The report's table of generative models on one dataset, seed by seed, beside a segmenter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene.datasets.catalogue import evaluation_split, open_data, splits_of
from scene.figures.charts import Bars, draw_bars
from scene.storage.locks import locked
from scene.storage.outputs import clear, require_free, unlike

from ..devices import Device
from ..runs.run import CONFIG, home, write_json
from ..settings.recipes import recipe
from ..settings.settings import Settings
from .compare import SCORES, Direction, Row, Training, TrainingScores, train_and_score

FILES = ("table.json", "table.png")
"""What is written beside the runs."""

IMAGE, BOTH = "image → mask", "image + classes → mask"

DIRECTIONS: tuple[Direction, ...] = ((("image",), "mask"), (("image", "classes"), "mask"))


@dataclass(frozen=True)
class TableRow:
    """A row of the table.

    Attributes:
        row: What is trained.
        direction: Title of the direction that the report scored.
        report: The report's mIoU in % on the val split of PASCAL VOC 2012; None = it has none.
    """

    row: Row
    direction: str
    report: float | None


MODELS = {
    "cVAE": TableRow(Row("cvae"), IMAGE, 37.75),
    "cVAE, hybrid": TableRow(Row("cvae", {"prior": "learned", "hybrid": 0.5}), IMAGE, None),
    "j-VAE": TableRow(Row("jvae", {"encode": ("image", "classes")}), BOTH, 62.25),
    "TELBO, report's form": TableRow(
        Row("telbo", {"guide": "retrofit", "subsets": "report", "retrofit": "own"}), BOTH, 47.23
    ),
    "TELBO": TableRow(Row("telbo"), BOTH, None),
    "segmenter": TableRow(Row("segmenter"), IMAGE, None),
}
"""The report's models, in its form and as they are here; and a U-Net that masks alone train."""

STEPS = 720
"""Steps of each, unless others are asked for."""


@dataclass(frozen=True)
class SceneTable:
    """The results of all models.

    Attributes:
        data: Name of the dataset.
        scored: Name, split and number of the scenes of the scores, as text.
        seeds: Seeds of the trainings.
        reference: Whether the report's numbers are of these scenes.
        results: The scores of each training.
        files: The files that were written.
    """

    data: str
    scored: str
    seeds: tuple[int, ...]
    reference: bool
    results: tuple[TrainingScores, ...]
    files: tuple[Path, ...]

    def scores(self, model: str) -> dict[str, list[float | None]]:
        """Return the mIoU in % of each direction, seed by seed."""
        own = [result for result in self.results if result.row == model]
        return {title: [r.miou(title) for r in own] for title in (IMAGE, BOTH)}

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        models = {
            name: {
                "command": f"scene train {model.row.command}",
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
    watch: Callable[[TrainingScores], object] = lambda result: None,
) -> SceneTable:
    """Train each of `MODELS` with each seed, and score it; what is in the folder is used.

    Args:
        common: Settings of every row whose recipe takes them, as
            `inference.settings.recipes.Recipe.settings` does.
        seeds: Seeds of the trainings.
        split: The split to score on; None = test if there is one, else val.
        folder: Where runs, figures and a picture go; None = a folder named after the data.
        force: Remove an earlier table and start again.
        jobs: Processes.
        device: The device to compute on.
        watch: Called with each result as it is there.

    Raises:
        ValueError: If there is no such split, or ``force`` would remove what is no such table.
    """
    data = common["data"]
    known = splits_of(data)
    chosen = split or evaluation_split(data)
    if chosen not in known:
        raise ValueError(f"{data} has no split {chosen!r}, only {', '.join(known)}; choose one.")
    work = [
        Training(name, _settings(model.row, {"steps": STEPS, **common, "seed": seed}))
        for seed in seeds
        for name, model in MODELS.items()
    ]
    scenes = open_data(data, chosen, work[0][1].data.size)
    out = folder or home() / f"reproduce-scene-{scenes.name}"
    if force:
        require_free(out, True, folder="such a table", foreign=unlike(_is_part))
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if force:
            clear(out)
        results = train_and_score(
            work, out, split=chosen, directions=DIRECTIONS, jobs=jobs, device=device, watch=watch
        )
    labels = len(scenes.schema.labels.names)
    reference = chosen == "val" and (len(scenes), labels) == (1449, 21)  # PASCAL VOC 2012
    files = (out / FILES[0], out / FILES[1])
    table = SceneTable(data, results[0].dataset, tuple(seeds), reference, tuple(results), files)
    write_json(files[0], table.to_json())
    _draw(files[1], table)
    return table


def _settings(row: Row, common: Mapping[str, Any]) -> Settings:
    taken = recipe(row.recipe).takes
    return row.settings(**{name: value for name, value in common.items() if taken(name)})


def _is_part(path: Path) -> bool:
    scores = any(path.glob(SCORES.format(split="*")))
    return (path / CONFIG).is_file() or scores or path.name in FILES


def _draw(path: Path, table: SceneTable) -> None:
    series = {
        title: [[score or 0.0 for score in table.scores(name)[title]] or [0.0] for name in MODELS]
        for title in (IMAGE, BOTH)
    }
    marks = [model.report if table.reference else None for model in MODELS.values()]
    groups = tuple(name.replace(", ", "\n") for name in MODELS)
    bars = Bars(groups, series, marks, "the report")
    draw_bars(path, bars, scale="mIoU in %", title=table.scored)
