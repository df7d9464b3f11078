"""Masks from image-level labels in one call: classifier, cues, SEC, a dataset of pseudo-labels.

::

    runs/masks-NAME/
        classifier/  sec/   runs, as of `scene train`
        masks.json          which dataset and which photographs they are for
        masks/              masks of an interrupted call, until the dataset is complete
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.scenes import FolderScenes
from scene.datasets.folders.writer import require_dataset_folder
from scene.networks.memory import remembering
from scene.notices import Progress
from scene.storage.files import read_json
from scene.storage.locks import locked
from scene.storage.outputs import clear, require_free, unlike

from ...build import assemble
from ...crf.meanfield import refine
from ...crf.parameters import USUAL
from ...devices import Device, device_of
from ...interruption import resumable
from ...runs import run as runs
from ...runs.claims import is_started
from ...runs.run import CONFIG, Run, home, write_json
from ...segmentation.segmenter import load
from ..cache import digest, weights_digest
from ..mask_files import MaskCache, MaskPictures
from ..pseudo_label import pseudo_label, require_numbers
from .masks_request import MasksRequest
from .masks_result import (
    OTHERWISE,
    Masks,
    State,
    TrainedStage,
    everything_asked,
    read_masks,
    trained_stage,
)
from .pipeline import train_or_read

NOTE, CACHE = "masks.json", "masks"
"""What the folder of runs holds beside them."""


def make_masks(
    request: MasksRequest,
    folder: Path,
    *,
    place: Path | None = None,
    force: bool = False,
    device: Device = "auto",
    begin: Callable[[str, State], None] = lambda name, state: None,
    done: Callable[[TrainedStage], None] = lambda stage: None,
    watch: Progress = lambda title, done, total: None,
) -> Masks:
    """Train a classifier and SEC on image-level labels, and write weak masks of ``train``.

    Masks that the data have are not used. A second call continues an interrupted one: complete
    runs and masks are kept, and a training goes on from its last checkpoint. Invalid requests
    are refused before anything is written.

    Args:
        request: Data and settings of all stages.
        folder: The new dataset, in VOC layout; it appears when it is complete.
        place: Where the runs go; None = ``masks-NAME`` under `inference.runs.run.home`, with the
            name of ``folder``.
        force: Remove runs and dataset of an earlier call, and begin again.
        device: Where networks compute.
        begin: Called with the name of a stage, and with what will be done for it.
        done: Called with each network when it is complete.
        watch: Called with the progress.

    Raises:
        FileExistsError: If the folder holds another dataset.
        LookupError: If the data or weights are not there.
        ValueError: If something does not fit, or a folder holds something else.
    """
    place = place or home() / f"masks-{folder.name}"
    device_of(device)
    require_numbers(request.confidence)
    require_dataset_folder(folder, True)
    _require_apart(request.data, folder)
    dataset = _open_train(request)
    _require_labels(dataset)
    request = replace(request, background=dataset.schema.labels.background is not None)
    photographs = _photographs(dataset)
    asked = everything_asked(request, photographs)
    if not force and (earlier := read_masks(folder, request.data, asked)) is not None:
        return earlier
    _require_crf(request, dataset)
    assembled = {
        "classifier": assemble(request.classifier_settings(), dataset.schema),
        "sec": assemble(request.sec_settings(), dataset.schema),
    }
    note = {"out": os.path.realpath(folder), "photographs": photographs}
    _require_place(place, note, force)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place), resumable(), remembering():
        _require_place(place, note, force)
        if force:
            clear(place)
        write_json(place / NOTE, note)
        stages = dict[str, TrainedStage]()
        for name, assembly in assembled.items():
            settings = (
                request.classifier_settings()
                if name == "classifier"
                else request.sec_settings(place / "classifier")
            )
            state = _state(place / name)
            begin(name, state)
            run = train_or_read(place / name, settings, device, watch)
            stages[name] = trained_stage(name, state, run, assembly)
            done(stages[name])
        begin("masks", "continued" if (place / CACHE).is_dir() else "trained")
        write_masks(request, dataset, folder, run, stages, asked, force, device, watch)
        shutil.rmtree(place / CACHE, ignore_errors=True)
    result = read_masks(folder, request.data, asked)
    assert result is not None
    return replace(result, kept=False, classifier=stages["classifier"], sec=stages["sec"])


def write_masks(
    request: MasksRequest,
    dataset: SceneDataset,
    folder: Path,
    run: Run,
    stages: Mapping[str, TrainedStage],
    asked: Mapping[str, Any],
    force: bool,
    device: Device,
    watch: Progress,
) -> None:
    """Write the dataset, with overlays and a contact sheet.

    Args:
        request: Data and settings of all stages.
        dataset: The training scenes.
        folder: The new dataset.
        run: The run of SEC.
        stages: Both networks, by name.
        asked: Everything that the masks depend on, as plain data.
        force: Replace an earlier dataset.
        device: Where networks compute.
        watch: Called with the progress.
    """
    labels = dataset.schema.labels
    segmenter = load(
        run,
        request.stage,
        crf=request.crf or USUAL,
        device=device_of(device),
        engine=request.engine,
    )
    key = digest(version("scene-suite"), weights_digest(run), asked["masks"])
    shown = min(request.shown, len(dataset))
    title = f"{dataset.name}: weak masks of {shown} of {len(dataset)} photographs"
    pictures = MaskPictures(
        labels, len(dataset), shown, request.seed, f"{title}; void pixels keep their colours",
        request.overlays,
    )  # fmt: skip
    pseudo_label(
        segmenter,
        request.data,
        folder,
        limit=len(dataset),
        confidence=request.confidence,
        seed=request.seed,
        copy=request.copy,
        force=force,
        about={
            "run": str(run.folder),
            "asked": dict(asked),
            "name": dataset.name,
            "stages": {name: asdict(stage) for name, stage in stages.items()},
        },
        cache=MaskCache(run.folder.parent / CACHE, labels, key),
        pictures=pictures,
        watch=watch,
    )


def _open_train(request: MasksRequest) -> SceneDataset:
    settings = request.classifier_settings()
    return open_data(request.data, "train", settings.data.size, count=request.count)


def _photographs(dataset: SceneDataset) -> str:
    """Return the digest of the scenes' names and of their image-level labels."""
    names: list[str] = []
    if isinstance(dataset, FolderScenes):
        names = [f"{e.name!r} {e.classes!r}" for e in dataset.entries]
    return digest(dataset.schema.labels.names, len(dataset), names)


def _require_apart(source: str, folder: Path) -> None:
    """Refuse a new dataset in the folder of the photographs, or around it."""
    data, new = (Path(os.path.realpath(path)) for path in (source, folder))
    if data.exists() and (new.is_relative_to(data) or data.is_relative_to(new)):
        raise ValueError(
            f"{folder} and the photographs {source} lie in each other; choose another --out."
        )


def _require_labels(dataset: SceneDataset) -> None:
    """Refuse photographs without image-level labels, or whose labels are all the same."""
    if not isinstance(dataset, FolderScenes):
        return
    labels = dataset.schema.labels
    known = [entry.classes for entry in dataset.entries if entry.classes is not None]
    read_from_masks = any(e.classes is None and e.mask is not None for e in dataset.entries)
    if read_from_masks:
        return
    if not known:
        raise ValueError(
            f"{dataset.source} has no image-level labels: put the photographs of each class into "
            "a folder of its name, or write a labels.csv with lines such as a.jpg,cat;dog."
        )
    if all(classes.equal(known[0]) for classes in known):
        names = " and ".join(labels.decode(known[0])) or "no class"
        raise ValueError(
            f"Every training photograph of {dataset.source} shows {names}, so a classifier has "
            "nothing to tell apart; add photographs without it, such as in a folder background/."
        )


def _require_crf(request: MasksRequest, dataset: SceneDataset) -> None:
    """Refuse a CRF of other labels, or an engine that there is not."""
    if request.crf is not None:
        count = len(dataset.schema.labels.names)
        request.crf.require(count)
        probs, image = torch.full((count, 4, 4), 1 / count), torch.zeros(4, 4, 3)
        refine(probs, image, kernels=request.crf.kernels(), engine=request.engine)


def _require_place(place: Path, note: Mapping[str, Any], force: bool) -> None:
    """Refuse a folder of runs that is of other photographs, or of another dataset."""
    require_free(place, True, folder="the runs of scene masks", foreign=unlike(_is_part))
    if not (place / NOTE).is_file():
        return
    there = read_json(place / NOTE)
    other = there.get("out") if isinstance(there, dict) else None
    if other != note["out"]:
        raise ValueError(
            f"{place} holds the runs of the dataset {other}; choose another --runs, or remove it."
        )
    if not force and there.get("photographs") != note["photographs"]:
        raise ValueError(
            f"{place} was trained on other photographs, of which some were added, removed or "
            f"renamed since; {OTHERWISE}"
        )


def _is_part(path: Path) -> bool:
    return path.name in (NOTE, CACHE, "classifier", "sec")


def _state(folder: Path) -> State:
    """Return what a call does for the run in a folder."""
    if not (folder / CONFIG).is_file():
        return "trained"
    if runs.read(folder).concluded:
        return "kept"
    return "continued" if is_started(folder) else "trained"
