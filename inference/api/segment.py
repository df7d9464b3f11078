"""Segmenting with a fitted model: stage and CRF as one asks for them, one photograph or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import splits_of
from scene.datasets.observations import Picture, photograph
from scene.notices import SceneCount
from scene.registry import unknown

from ..crf.parameters import USUAL
from ..crf.parameters import Parameters as Parameters
from ..crf.parameters import load as load_parameters
from ..runs.run import Run
from ..segmentation.cues import CueSettings as CueSettings
from ..segmentation.cues import usual_class_maps as usual_class_maps
from ..segmentation.exports import annotated_folder as annotated_folder
from ..segmentation.exports import export_tasks as export_tasks
from ..segmentation.fitted_crf import fitted_crf, fitted_stage_of
from ..segmentation.fitted_crf import line_about as line_about
from ..segmentation.imagenet import ImageNetSegmenter as ImageNetSegmenter
from ..segmentation.imagenet import imagenet_segmenter as imagenet_segmenter
from ..segmentation.imagenet import is_installed as is_installed
from ..segmentation.photo_batches import segment_files as segment_files
from ..segmentation.photos import Done as Done
from ..segmentation.photos import Failed as Failed
from ..segmentation.photos import PhotoTask as PhotoTask
from ..segmentation.photos import outputs_of as outputs_of
from ..segmentation.photos import photos_of as photos_of
from ..segmentation.score import StageScore as StageScore
from ..segmentation.score import common_classes, score_stage
from ..segmentation.segmentation import Segmentation
from ..segmentation.segmenter import PIXELS, segmenter_of
from ..segmentation.segmenter import Segmenter as Segmenter
from ..segmentation.stages import STAGES, stage_of
from .loaded import LoadedRun


def crf_parameters(file: Path | None = None, run: Run | None = None, **changes: Any) -> Parameters:
    """Read parameters of the CRF from a file, or take the usual ones, and change some.

    Args:
        file: One that ``scene crf fit`` wrote; None = those fitted to the run, else the usual
            ones.
        run: The run that will be segmented with.
        changes: By name; None = as it is.

    Raises:
        FileNotFoundError: If there is no such file.
        LookupError: If there is no such parameter.
        ValueError: If one is out of range, or the file is damaged.
    """
    known = [field.name for field in fields(Parameters)]
    for name in changes:
        if name not in known:
            raise LookupError(unknown(name, known, "parameter of the CRF") + ".")
    fitted = fitted_crf(run) if file is None and run is not None else None
    base = fitted.parameters if fitted is not None else USUAL
    base = load_parameters(file) if file is not None else base
    changed = {name: value for name, value in changes.items() if value is not None}
    if "appearance_sigma_xy" in changed:
        changed.setdefault("relative", False)
    return replace(base, **changed)


def segmenter(
    fitted: LoadedRun,
    stage: str | None = None,
    crf: Parameters | Mapping[str, Any] | bool | None = None,
    *,
    class_maps: CueSettings | None = None,
    pixels: int = PIXELS,
    seed: int = 0,
    engine: str = "auto",
) -> Segmenter:
    """Choose the stage of a fitted model and its CRF.

    Args:
        fitted: Of any recipe that predicts masks from images, or of a classifier.
        stage: A key of `inference.segmentation.stages.STAGES`; None = the run's last, with a CRF
            if the one fitted to the run helps.
        crf: With or without the CRF, or with these parameters; None = as the stage has it, with
            the parameters fitted to the run, if any were.
        class_maps: The settings of a classifier's class maps; None = the usual ones of its run.
        pixels: Photographs with more are reduced to so many for the CRF.
        seed: Seed of the draws of z, the same for every photograph.
        engine: Engine of the CRF, as in `inference.crf.meanfield.refine`.

    Raises:
        LookupError: If there is no such stage, or no such parameter.
        ValueError: If the run does not have that stage, or it contradicts ``crf``.
    """
    with_crf = None if crf is None else crf is not False
    name = fitted_stage_of(fitted.run, stage, with_crf)
    if with_crf is not None and STAGES[name].crf != with_crf:
        raise ValueError(
            f"The stage {name} {'has no' if with_crf else 'is with the'} CRF, which contradicts "
            f"crf={crf!r}; leave out stage or crf."
        )
    parameters = crf if isinstance(crf, Parameters) else USUAL
    if STAGES[name].crf and not isinstance(crf, Parameters):
        changes = crf if isinstance(crf, Mapping) else {}
        parameters = crf_parameters(run=fitted.run, **changes)
    return segmenter_of(
        fitted.run,
        fitted.assembly,
        name,
        crf=parameters,
        class_maps=class_maps,
        pixels=pixels,
        seed=seed,
        engine=engine,
    )


def run_stage(run: Run, stage: str | None = None, crf: bool | None = None) -> tuple[str, str]:
    """Choose the stage of a run, and say in one line what the CRF fitted to it decides.

    Args:
        run: The run.
        stage: As in `segmenter`.
        crf: Ask for the CRF, or for none.

    Returns:
        The stage, and the line; it is empty if no CRF was fitted.

    Raises:
        LookupError: If there is no such stage.
        ValueError: If the run does not have it, or the file of its CRF is damaged.
    """
    name = fitted_stage_of(run, stage, crf)
    asked_for_none = crf is False or (stage is not None and not STAGES[stage].crf)
    return name, "" if asked_for_none else line_about(run, STAGES[name].crf)


def segment(with_stage: Segmenter, photo: Picture, known: Tensor | None = None) -> Segmentation:
    """Segment one photograph of any form.

    Args:
        with_stage: As `segmenter` returns it.
        photo: A path, a Pillow image, an array or a tensor.
        known: ``(C,)``, 1 where a class is known to be present, 0 where it is not.
    """
    segmentation = with_stage.segment(photograph(photo), known)
    if isinstance(photo, str | PathLike):
        return replace(segmentation, name=Path(photo).stem)
    return segmentation


def score_stages(
    fitted: LoadedRun,
    stages: Sequence[str],
    scenes: SceneDataset,
    *,
    crf: Parameters | None = None,
    class_maps: CueSettings | None = None,
    engine: str = "auto",
    seed: int = 0,
    watch: SceneCount = lambda done, total: None,
) -> dict[str, StageScore]:
    """Score the masks of stages of one run at all stored pixels of a split.

    Args:
        fitted: The run.
        stages: Keys of `inference.segmentation.stages.STAGES`.
        scenes: The split; those without a mask are left out.
        crf: Parameters of the CRF, where a stage has one; None = those fitted to the run, else
            the usual ones.
        class_maps: The settings of a classifier's class maps; None = the usual ones of its run.
        engine: Engine of the CRF.
        seed: Seed of the draws of z.
        watch: Called with the number of scenes done, and their total.

    Raises:
        LookupError: If there is no such stage.
        ValueError: If the run does not have it, or no scene has a mask.
    """
    names = [stage_of(fitted.run, name) for name in dict.fromkeys(stages)]
    first = segmenter_of(
        fitted.run,
        fitted.assembly,
        names[0],
        crf=crf or crf_parameters(run=fitted.run),
        class_maps=class_maps,
        seed=seed,
        engine=engine,
    )
    source = scenes.source
    common: tuple[str, ...] = ()
    if "train" in splits_of(source):
        common = common_classes(source, fitted.schema.size, count=fitted.settings.data.count)
    rows = {name: first.crf if STAGES[name].crf else None for name in names}
    return score_stage(first, scenes, rows, common=common, watch=watch)
