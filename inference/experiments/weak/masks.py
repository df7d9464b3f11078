"""Masks from image-level labels in one call: classifier, cues, SEC, a dataset of pseudo-labels.

::

    runs/masks-NAME/
        classifier/  sec/   runs, as of `scene train`
        masks.json          which dataset and which photographs they are for
        masks/              masks of an interrupted call, until the dataset is complete
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data, splits_of
from scene.datasets.folders.scenes import FolderScenes
from scene.datasets.folders.writer import ABOUT, require_dataset_folder
from scene.discriminative import ClassifiedScene, CoarseScene
from scene.networks.feature_maps import Classifier
from scene.networks.segmentation import TrunkFCN
from scene.notices import Progress
from scene.storage.files import read_json
from scene.storage.locks import locked
from scene.storage.outputs import clear, require_free, unlike

from ...build import Assembly, assemble
from ...devices import Device, device_of
from ...interruption import resumable
from ...runs import run as runs
from ...runs.claims import is_started
from ...runs.run import CONFIG, SUMMARY, Run, home, write_json
from ...segmentation.cue_files import FILE as CUES
from ...segmentation.cue_files import Cues
from ...segmentation.segmenter import load
from ...settings.settings import Settings
from ..cache import digest, weights_digest
from ..mask_files import OVERLAYS, SHEET, MaskCache, MaskPictures
from ..pseudo_label import pseudo_label, require_numbers
from .masks_request import MasksRequest
from .pipeline import train_or_read

NOTE, CACHE = "masks.json", "masks"
"""What the folder of runs holds beside them."""

State = Literal["trained", "continued", "kept"]
"""Whether a run was trained, went on from a checkpoint, or was complete already."""

_SHARED = ("data", "classifier", "workers")
"""Settings that do not change the masks: where data and classifier lie, and processes."""


@dataclass(frozen=True)
class TrainedStage:
    """One network of the pipeline.

    Attributes:
        name: ``classifier`` or ``sec``.
        run: The folder of its run.
        state: What this call did for it.
        steps: Training steps.
        network: Name of the backbone or of the network.
        stages: Number of the backbone's stages; None = its stages are not counted.
        learning: How many of these learn, the last ones.
        split: The split that it was scored on.
        scores: ``map`` and ``macro_f1``, or ``miou``, in percent; empty without ground truth.
        cues: Of SEC, the share of all cells that are cues of each label.
    """

    name: str
    run: str
    state: State
    steps: int
    network: str
    stages: int | None
    learning: int | None
    split: str
    scores: dict[str, float]
    cues: dict[str, float]


@dataclass(frozen=True)
class Masks:
    """A dataset of weak masks, and the networks that made them.

    Attributes:
        folder: The dataset's folder.
        kept: Whether it was complete already.
        data: Name of the source.
        classifier: The classifier.
        sec: SEC's network.
        stage: The stage that the masks are of.
        scenes: Number of scenes of each split; those of ``train`` have weak masks.
        unlabelled: Photographs of other splits, which have no mask and are left out.
        void: Share of void pixels in the weak masks.
        overlays: The folder of overlays; None = there are none.
        sheet: The contact sheet.
    """

    folder: Path
    kept: bool
    data: str
    classifier: TrainedStage
    sec: TrainedStage
    stage: str
    scenes: dict[str, int]
    unlabelled: dict[str, int]
    void: float
    overlays: Path | None
    sheet: Path

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        paths = {"folder": str(self.folder), "sheet": str(self.sheet)}
        overlays = None if self.overlays is None else str(self.overlays)
        return {**asdict(self), **paths, "overlays": overlays}


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
    require_numbers(request.confidence, request.count)
    require_dataset_folder(folder, True)
    _require_apart(request.data, folder)
    dataset = _open_train(request)
    _require_labels(dataset)
    request = replace(request, background=dataset.schema.labels.background is not None)
    assembled = {
        "classifier": assemble(request.classifier_settings(), dataset.schema),
        "sec": assemble(request.sec_settings(), dataset.schema),
    }
    photographs = _photographs(dataset)
    asked = _plain({**_asked(request, photographs)})
    if not force and (earlier := _complete(folder, asked)) is not None:
        return earlier
    note = {"out": os.path.realpath(folder), "photographs": photographs}
    _require_place(place, note, force)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place), resumable():
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
            stages[name] = _trained(name, state, run, assembly)
            done(stages[name])
        write_masks(request, dataset, folder, run, stages, asked, force, device, watch)
        shutil.rmtree(place / CACHE, ignore_errors=True)
    result = _complete(folder, asked)
    assert result is not None
    return replace(result, kept=False)


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
    crf = {} if request.crf is None else {"crf": request.crf}
    segmenter = load(
        run, request.stage, device=device_of(device), engine=request.engine, **crf
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


def _complete(folder: Path, asked: Mapping[str, Any]) -> Masks | None:
    """Return the dataset that an earlier call completed; None if there is nothing.

    Raises:
        FileExistsError: If the folder holds another dataset, or one with other settings.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    about = read_json(folder / ABOUT)
    there = about.get("asked") if isinstance(about, dict) else None
    if not isinstance(there, dict):
        raise FileExistsError(
            f"{folder} holds a dataset that scene masks did not write; choose another --out, or "
            "--force to replace it."
        )
    if (difference := _difference(there, asked)) is not None:
        raise FileExistsError(f"{folder} was made with {difference}; {_OTHERWISE}")
    stages = {
        name: TrainedStage(**{**stage, "state": "kept"}) for name, stage in about["stages"].items()
    }
    overlays = folder / OVERLAYS
    return Masks(
        folder=folder,
        kept=True,
        data=about["name"],
        classifier=stages["classifier"],
        sec=stages["sec"],
        stage=about["stage"],
        scenes=about["scenes"],
        unlabelled=_unlabelled(about["data"], about["scenes"]),
        void=about["void"],
        overlays=overlays if overlays.is_dir() else None,
        sheet=folder / SHEET,
    )


_OTHERWISE = "choose another --out, or --force to begin again."


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """Name the first setting that differs, with both values; None = none does."""
    for group in ours:
        there, here = theirs.get(group), ours[group]
        if there == here:
            continue
        if not isinstance(there, dict) or not isinstance(here, dict):
            return f"other {group}" if group == "photographs" else f"{group} {there}, not {here}"
        name = next(key for key in here if there.get(key) != here[key])
        option = f"{group} {name.replace('_', '-')}" if group != "masks" else name
        return f"{option} {there.get(name)}, not {here[name]}"
    return None


def _asked(request: MasksRequest, photographs: str) -> dict[str, Any]:
    """Return everything that the masks depend on."""
    networks = {
        "classifier": request.classifier_settings().values(),
        "sec": request.sec_settings().values(),
    }
    own = {
        group: {name: value for name, value in values.items() if name not in _SHARED}
        for group, values in networks.items()
    }
    masks = {
        "stage": request.stage,
        "confidence": request.confidence,
        "overlays": request.overlays,
        "crf": None if request.crf is None else request.crf.to_json(),
    }
    return {**own, "masks": masks, "photographs": photographs}


def _plain(data: Any) -> Any:
    """Return data as they are read back from JSON."""
    return json.loads(json.dumps(data))


def _open_train(request: MasksRequest) -> SceneDataset:
    settings = request.classifier_settings()
    return open_data(request.data, "train", settings.data.size, count=request.count)


def _photographs(dataset: SceneDataset) -> str:
    """Return the digest of the names of scenes and labels."""
    names: list[str] = []
    if isinstance(dataset, FolderScenes):
        names = [entry.name for entry in dataset.entries]
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
            f"renamed since; {_OTHERWISE}"
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


def _trained(name: str, state: State, run: Run, assembly: Assembly) -> TrainedStage:
    settings, summary = run.settings, read_json(run.path(SUMMARY))
    score = summary["headline"]["score"] or {}
    scores = {key: score[key] for key in ("map", "macro_f1", "miou") if score.get(key) is not None}
    stages, learning = _learning(assembly)
    return TrainedStage(
        name=name,
        run=str(run.folder),
        state=state,
        steps=settings.training.steps,
        network=settings.model.backbone if name == "classifier" else settings.model.net,
        stages=stages,
        learning=learning,
        split=summary["split"],
        scores=scores,
        cues=_cue_shares(run) if name == "sec" else {},
    )


def _learning(assembly: Assembly) -> tuple[int | None, int | None]:
    """Return the number of a backbone's stages, and how many of these learn."""
    model, net = assembly.model, None
    if isinstance(model, ClassifiedScene):
        net = model.net
    elif isinstance(model, CoarseScene) and isinstance(model.net, TrunkFCN):
        net = model.net.trunk
    if not isinstance(net, Classifier):
        return None, None
    frozen = 0 if net.frozen is None else len(net.frozen)
    return len(net.stages), len(net.stages) - frozen


def _cue_shares(run: Run) -> dict[str, float]:
    """Return the share of the cells of all scenes that are cues of each label."""
    cues, names = Cues.load(run.path(CUES)), run.schema.labels.names
    counts = sum(cues.of([i])[0].sum((1, 2)) for i in range(len(cues)))
    cells = len(cues) * cues.shape[1] * cues.shape[2]
    assert not isinstance(counts, int)
    return dict(zip(names, (counts / cells).tolist(), strict=True))


def _unlabelled(source: str, scenes: Mapping[str, int]) -> dict[str, int]:
    """Count the photographs of the splits that were not written."""
    left = [split for split in splits_of(source) if split not in scenes]
    return {split: len(open_data(source, split)) for split in left}


def settings_of(request: MasksRequest) -> dict[str, Settings]:
    """Return the settings of both networks, by the names of their stages."""
    return {"classifier": request.classifier_settings(), "sec": request.sec_settings()}
