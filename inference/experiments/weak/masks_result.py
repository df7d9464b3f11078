"""Results of making masks: the networks, the dataset, and whether a folder holds what is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from scene.datasets.catalogue import open_data, splits_of
from scene.datasets.folders.writer import ABOUT
from scene.discriminative import ClassifiedScene, CoarseScene
from scene.networks.feature_maps import Classifier
from scene.networks.segmentation import TrunkFCN
from scene.storage.files import read_json

from ...build import Assembly
from ...runs.run import SUMMARY, Run
from ...segmentation.cue_files import FILE as CUES
from ...segmentation.cue_files import Cues
from ..mask_files import OVERLAYS, SHEET
from .masks_request import MasksRequest

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


def read_masks(folder: Path, source: str, asked: Mapping[str, Any]) -> Masks | None:
    """Return the dataset that an earlier call completed; None if there is nothing.

    Args:
        folder: The dataset's folder.
        source: The photographs, as for ``--data``.
        asked: From `everything_asked`.

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
        raise FileExistsError(f"{folder} was made with {difference}; {OTHERWISE}")
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
        unlabelled=_unlabelled(source, about["scenes"]),
        void=about["void"],
        overlays=overlays if overlays.is_dir() else None,
        sheet=folder / SHEET,
    )


OTHERWISE = "choose another --out, or --force to begin again."


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """Name the first setting that differs, with both values; None = none does."""
    for group in ours:
        there, here = theirs.get(group), ours[group]
        if there == here:
            continue
        if not isinstance(there, dict) or not isinstance(here, dict):
            return f"other {group}" if group == "photographs" else f"{group} {there}, not {here}"
        for name in (
            key for key in here if key in there
        ):  # a newer version may have further settings
            if there[name] != here[name]:
                option = name if group == "masks" else f"{group} {name.replace('_', '-')}"
                return f"{option} {there[name]}, not {here[name]}"
    return None


def everything_asked(request: MasksRequest, photographs: str) -> dict[str, Any]:
    """Return everything that the masks depend on, as plain data.

    Args:
        request: Data and settings of all stages.
        photographs: The digest of the training photographs.
    """
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
    asked: dict[str, Any] = {**own, "masks": masks, "photographs": photographs}
    return dict(json.loads(json.dumps(asked)))  # as it is read back


def trained_stage(name: str, state: State, run: Run, assembly: Assembly) -> TrainedStage:
    """Describe a complete run of the pipeline.

    Args:
        name: ``classifier`` or ``sec``.
        state: What this call did for it.
        run: The run.
        assembly: A model of its settings, for the stages that learn.
    """
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
