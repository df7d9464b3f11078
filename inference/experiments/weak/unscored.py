"""Weak supervision where masks are missing: its networks are trained and drawn, and not scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scene.datasets.catalogue import open_data, splits_of
from scene.datasets.folders.voc import VOCScenes

from ...crf.parameters import Parameters
from ...devices import Device
from ...runs.run import Run, home, write_json
from ...segmentation.segmenter import load
from ...segmentation.stage_figures import draw_stages
from ...settings.settings import Settings
from ...training.log import Report
from ...training.obtain import obtain
from .bench import Watch
from .plan import CHOOSING, Request
from .reproduce import FILE, claim

_DRAWN = 8


@dataclass(frozen=True)
class Unscored:
    """What was trained.

    Attributes:
        data: Name of the dataset.
        lacking: The splits that hold no masks.
        runs: A classifier and a run of SEC of each seed.
        files: ``reproduce.json`` and a picture of each seed.
    """

    data: str
    lacking: tuple[str, ...]
    runs: tuple[Path, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        runs = [str(run) for run in self.runs]
        return {"data": self.data, "scored": False, "lacking": list(self.lacking), "runs": runs}


def lacking(request: Request) -> tuple[str, ...]:
    """Name the splits without masks, of those that a twin is trained, or SEC chosen or scored on.

    Raises:
        LookupError: If the data or a split is not there.
    """
    size, known = request.classifier(0).data.size, splits_of(request.data)
    reported = request.split or next((s for s in ("val", "test") if s in known), None)
    found = []
    for split in dict.fromkeys(("train", CHOOSING, reported)):
        if split is None or (split not in known and split == CHOOSING):
            continue
        dataset = open_data(request.data, split, size)
        if isinstance(dataset, VOCScenes) and not any(e.mask for e in dataset.entries):
            found.append(split)
    return tuple(found)


def train_unscored(
    request: Request,
    *,
    seeds: Sequence[int] = (0,),
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    watch: Watch = lambda title, done, total: None,
) -> Unscored:
    """Train a classifier and SEC of each seed, as their recipes say, and draw their stages.

    Runs that are there are gone on with. Nothing is chosen, and no twin trained, for want of
    masks.

    Args:
        request: What to do.
        seeds: Of all training, each once.
        folder: Where everything goes; by default as `reproduce` has it.
        force: Begin anew, whatever is there.
        device: Where networks compute.
        watch: Told how far it has come.

    Raises:
        LookupError: If the data or weights are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    splits = splits_of(request.data)
    shown = next(
        split for split in (request.reported, "test", CHOOSING, "train") if split in splits
    )
    dataset = open_data(request.data, shown, request.classifier(0).data.size)
    folder = folder or home() / f"reproduce-{dataset.name}"
    claim(folder, force)
    runs, pictures = list[Path](), list[Path]()
    for seed in seeds:
        place, said = folder / f"seed-{seed}", partial(_named, seed, watch)
        classifier = _learned(place / "classifier", request.classifier(seed), device, said)
        settings = request.sec(seed, classifier.folder)
        sec = _learned(place / "report" / "sec", settings, device, said)
        networks = {
            "Grad-CAM": (load(classifier, "gradcam", engine=request.engine), Parameters()),
            "SEC": (load(sec, "sec", engine=request.engine), Parameters()),
        }
        picture = place / "report" / "masks.png"
        draw_stages(picture, dataset, range(min(_DRAWN, len(dataset))), networks)
        runs += [classifier.folder, sec.folder]
        pictures.append(picture)
    made = Unscored(dataset.name, lacking(request), tuple(runs), (folder / FILE, *pictures))
    write_json(folder / FILE, {"request": request.to_json(), **made.to_json()})
    return made


def _learned(folder: Path, settings: Settings, device: Device, watch: Watch) -> Run:
    def seen(report: Report) -> None:
        watch(f"training {settings.recipe}", report.step, report.steps)

    return obtain(settings, folder, device=device, watch=seen)


def _named(seed: int, watch: Watch, title: str, done: int, total: int) -> None:
    watch(f"seed {seed}: {title}", done, total)
