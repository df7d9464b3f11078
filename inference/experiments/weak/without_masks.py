"""Weak supervision on data without masks: networks are trained and drawn, but not scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scene.datasets.catalogue import open_data, splits_of
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.folders.writer import Progress

from ...crf.parameters import Parameters
from ...devices import Device
from ...runs.run import home, write_json
from ...segmentation.segmenter import load
from ...segmentation.stage_figures import draw_stages
from .pipeline import DRAWN, train_or_read
from .reproduce import FILE, claim, titled
from .request import TUNE_SPLIT, Request


@dataclass(frozen=True)
class TrainedWithoutMasks:
    """The runs of weak supervision on data without masks.

    Attributes:
        data: Name of the dataset.
        lacking: The splits without masks.
        runs: Folders of a classifier and of SEC for each seed.
        files: ``reproduce.json`` and a picture of each seed.
    """

    data: str
    lacking: tuple[str, ...]
    runs: tuple[Path, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        runs = [str(run) for run in self.runs]
        return {"data": self.data, "scored": False, "lacking": list(self.lacking), "runs": runs}


def splits_without_masks(request: Request) -> tuple[str, ...]:
    """Return the splits without masks, of those for the twin, for selection and for scores.

    Raises:
        LookupError: If the data or a split is not there.
    """
    size, known = request.classifier(0).data.size, splits_of(request.data)
    reported = request.split or next((s for s in ("val", "test") if s in known), None)
    without = []
    for split in dict.fromkeys(("train", TUNE_SPLIT, reported)):
        if split is None or (split not in known and split == TUNE_SPLIT):
            continue
        dataset = open_data(request.data, split, size)
        if isinstance(dataset, VOCScenes) and not any(e.mask for e in dataset.entries):
            without.append(split)
    return tuple(without)


def train_without_masks(
    request: Request,
    *,
    seeds: Sequence[int] = (0,),
    folder: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    watch: Progress = lambda title, done, total: None,
) -> TrainedWithoutMasks:
    """Train a classifier and SEC for each seed with the recipes' settings, and draw their masks.

    Runs that are there are used or continued. Without masks no settings are selected, and the
    twin is not trained.

    Args:
        request: What to reproduce.
        seeds: Of all trainings.
        folder: Where runs and pictures go; None = as in `reproduce`.
        force: Remove an earlier reproduction and start anew.
        device: Where networks compute.
        watch: Told how far the work is.

    Raises:
        LookupError: If the data or weights are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    splits = splits_of(request.data)
    shown = next(
        split for split in (request.reported, "test", TUNE_SPLIT, "train") if split in splits
    )
    dataset = open_data(request.data, shown, request.classifier(0).data.size)
    folder = folder or home() / f"reproduce-{dataset.name}"
    claim(folder, force)
    runs, pictures = list[Path](), list[Path]()
    for seed in seeds:
        place, seen = folder / f"seed-{seed}", partial(titled, seed, watch)
        classifier = train_or_read(place / "classifier", request.classifier(seed), device, seen)
        settings = request.sec(seed, classifier.folder)
        sec = train_or_read(place / "report" / "sec", settings, device, seen)
        networks = {
            "Grad-CAM": (load(classifier, "gradcam", engine=request.engine), Parameters()),
            "SEC": (load(sec, "sec", engine=request.engine), Parameters()),
        }
        picture = place / "report" / "masks.png"
        draw_stages(picture, dataset, range(min(DRAWN, len(dataset))), networks)
        runs += [classifier.folder, sec.folder]
        pictures.append(picture)
    result = TrainedWithoutMasks(
        dataset.name, splits_without_masks(request), tuple(runs), (folder / FILE, *pictures)
    )
    write_json(folder / FILE, {"request": request.to_json(), **result.to_json()})
    return result
