"""Photographs of the page: their segmentation by each stage, with a CRF that may change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.images.io import read_image

from ..api.segment import Parameters, crf_parameters, segmenter
from ..segmentation.segmentation import Segmentation
from ..segmentation.segmenter import refined
from ..segmentation.stages import STAGES, stage_of
from .models import IMAGENET, Models

LONGEST = 640
"""Longer side in pixels at which photographs are segmented and shown."""

TITLES = {"gradcam": "Grad-CAM", "sec": "SEC", "mask": "Mask"}
"""What the page calls the source of a stage."""


@dataclass(frozen=True, eq=False)
class Source:
    """The label probabilities of a photograph by one model, before any CRF.

    Attributes:
        model: The name of the model.
        title: What the stage is called.
        plain: The segmentation without a CRF.
        crf: The parameters of the CRF that are usual for the model.
    """

    model: str
    title: str
    plain: Segmentation
    crf: Parameters


@dataclass(frozen=True, eq=False)
class StageResult:
    """The segmentation of a photograph by one stage.

    Attributes:
        title: What the stage is called.
        model: The name of the model.
        segmentation: Its label probabilities.
    """

    title: str
    model: str
    segmentation: Segmentation


def read_photograph(path: Path) -> Tensor:
    """Read a photograph, shrunk to `LONGEST` pixels if it is larger: ``(3, H, W)`` uint8.

    Raises:
        ValueError: If it is no picture.
    """
    image = read_image(path)
    scale = LONGEST / max(image.shape[-2:])
    if scale >= 1:
        return image
    size = [max(1, round(scale * extent)) for extent in image.shape[-2:]]
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def sources(models: Models, names: Sequence[str], image: Tensor) -> list[Source]:
    """Read a photograph with several models.

    Args:
        models: The models that there are.
        names: Those to use, in the order of their stages.
        image: ``(3, H, W)`` uint8.

    Raises:
        LookupError: If there is no such model, or it is not complete.
        ValueError: If none is named, or one predicts no masks.
    """
    if not names:
        raise ValueError("No model is chosen; choose one or more to segment with.")
    return [_source(models, name, image) for name in names]


def stages(each: Sequence[Source], changes: Mapping[str, Any]) -> list[StageResult]:
    """Return the stages of a photograph: each source without and with the CRF.

    Args:
        each: Sources, from `sources`.
        changes: Parameters of the CRF by name, which replace those of each model.

    Raises:
        ValueError: If a parameter is out of range.
    """
    results = []
    for source in each:
        crf = replace(source.crf, **changes)
        results.append(StageResult(source.title, source.model, source.plain))
        results.append(
            StageResult(f"{source.title} + CRF", source.model, with_crf(source.plain, crf))
        )
    return results


def with_crf(plain: Segmentation, crf: Parameters) -> Segmentation:
    """Refine a segmentation by the dense CRF at its photograph's pixels.

    Args:
        plain: With its photograph.
        crf: The parameters.
    """
    assert plain.image is not None
    if len(plain.grid) == 1:  # nothing to choose from
        return plain
    return replace(plain, grid=refined(plain.grid, plain.image, crf).float().cpu())


def parameters_of(models: Models, names: Sequence[str]) -> Parameters:
    """Return the usual parameters of the last model's CRF: those fitted to its run, if any were.

    Args:
        models: The models that there are.
        names: The names of those in use.
    """
    known = [name for name in names if name != IMAGENET]
    return crf_parameters(run=models.run(known[-1]) if known else None)


def whole_seconds(seconds: float) -> str:
    """Write how long something took.

    >>> whole_seconds(0.42), whole_seconds(12.3)
    ('0.4 s', '12 s')
    """
    return f"{seconds:.1f} s" if seconds < 10 else f"{math.floor(seconds)} s"


def _source(models: Models, name: str, image: Tensor) -> Source:
    if name == IMAGENET:
        plain = replace(models.imagenet, crf=None).segment(image)
        return Source(name, TITLES["gradcam"], plain, crf_parameters())
    fitted = models.fitted(name)
    stage = stage_of(fitted.run, None, crf=False)
    with torch.no_grad():
        plain = segmenter(fitted, stage).segment(image)
    title = TITLES[STAGES[stage].source]
    if title == TITLES["mask"]:
        title = fitted.name
    return Source(name, title, plain, crf_parameters(run=fitted.run))
