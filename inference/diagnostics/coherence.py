"""Coherence: whether the image, the classes and the mask decoded from one z agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from scene.labels import Labels
from scene.metrics import MaskScorer
from scene.views import Views

from ..build import Assembly
from ..prediction.predict import expected, predict
from .posteriors import ViewNames, chunks, join_names

LARGE = 0.01
"""Share of the pixels that a class must have to be called large."""

PRIOR, TRUE = "prior", "true scenes"
"""Sources of a row other than a posterior: the prior, and true scenes, which have no z."""

Segment = Callable[[Tensor], Tensor]
"""Masks ``(N, H, W)`` of images ``(N, 3, H, W)``, by a segmenter that does not know z."""


@dataclass(frozen=True)
class Coherence:
    """Agreement of the views of N scenes, in percent; None where a model has no such views.

    Views are decoded as by ``scene sample``: the mean image, the most probable label of every
    pixel, the classes that are more probable than not.

    Attributes:
        source: What z was sampled given: names of views, `PRIOR`; or `TRUE` scenes, without z.
        scenes: N.
        f1: F1 between the classes with a pixel in the mask and the class vector, over all scenes.
        large: F1 between the classes with `LARGE` of the pixels and the class vector.
        alike: Share of scenes in which the classes of the mask equal the class vector.
        chance: ``f1`` of each mask against the class vector of another scene.
        own: mIoU of the segmenter's mask of the decoded image against the decoded mask. Where
            the model decodes no image, the segmenter sees the true one.
        given: mIoU of the segmenter's mask of the decoded image against the mask that z was
            sampled given.
    """

    source: str
    scenes: int
    f1: float | None
    large: float | None
    alike: float | None
    chance: float | None
    own: float | None
    given: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def coherence(
    assembly: Assembly,
    views: Views,
    latents: Mapping[ViewNames, Tensor],
    labels: Labels,
    segment: Segment | None = None,
) -> list[Coherence]:
    """Compare the views decoded from the same z.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N true scenes, complete.
        latents: By the views conditioned on, one sample of z for each scene, ``(N, L)``; given
            the model's conditions alone they are samples of the prior.
        labels: The vocabulary.
        segment: Predicts masks of images; None leaves out ``own`` and ``given``.

    Returns:
        A row for each entry of ``latents``, and one for the true scenes.
    """
    rows = []
    for given, z in latents.items():
        prior = set(given) <= set(assembly.model.conditions)
        decoded = _decode(assembly, views, z)
        true_mask = views["mask"] if "mask" in given and "image" in decoded else None
        source = PRIOR if prior else join_names(given)
        rows.append(_compare(source, decoded, views["image"], true_mask, labels, segment))
    true = {name: views[name] for name in ("image", "classes", "mask") if name in views}
    return [*rows, _compare(TRUE, true, views["image"], None, labels, segment)]


def segmenter_of(assembly: Assembly) -> Segment:
    """Return a function that predicts masks of images by a model of p(mask | image)."""

    def segment(images: Tensor) -> Tensor:
        scenes = chunks(Views({"image": images}), assembly.device)
        return torch.cat([predict(assembly, part, ["mask"]).mask.cpu() for part in scenes])

    return segment


def f1_score(predicted: Tensor, true: Tensor) -> float | None:
    """Return the F1 of predicted classes against true ones, ``(N, C)`` bool, in percent.

    It is micro-averaged over scenes and classes; None if neither holds any class.

    >>> f1_score(torch.tensor([[True, True]]), torch.tensor([[True, False]]))
    66.66666666666667
    """
    every = int(predicted.sum() + true.sum())
    return 100 * 2 * int((predicted & true).sum()) / every if every else None


def _decode(assembly: Assembly, views: Views, z: Tensor) -> dict[str, Tensor]:
    """Decode each z, with the conditions of its scene."""
    model, parts, first = assembly.model, [], 0
    for part in chunks(views, assembly.device):
        some = z[first : first + len(part)].to(assembly.device)
        first += len(part)
        conditions = part.only(model.conditions) if model.conditions else None
        with torch.no_grad():
            decoded = {
                n: expected(x) for n, x in model.decode(some, conditions, model.views).items()
            }
        if "mask" in decoded:
            decoded["mask"] = decoded["mask"].argmax(1)
        if "classes" in decoded:
            decoded["classes"] = decoded["classes"] > model.threshold
        parts.append({name: view.cpu() for name, view in decoded.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _compare(
    source: str,
    decoded: Mapping[str, Tensor],
    image: Tensor,
    given_mask: Tensor | None,
    labels: Labels,
    segment: Segment | None,
) -> Coherence:
    f1 = large = alike = chance = None
    mask = decoded["mask"]
    if "classes" in decoded:
        vector, in_mask = decoded["classes"].bool().cpu(), labels.vector(mask).bool()
        f1 = f1_score(in_mask, vector)
        large = f1_score(labels.vector(mask, LARGE).bool(), vector)
        alike = 100 * float((in_mask == vector).all(1).float().mean())
        chance = f1_score(in_mask, vector.roll(1, 0))
    segmented = None if segment is None else segment(decoded.get("image", image))
    own = None if segmented is None else mask_miou(segmented, mask, labels)
    given = (
        None
        if segmented is None or given_mask is None
        else mask_miou(segmented, given_mask, labels)
    )
    return Coherence(source, len(mask), f1, large, alike, chance, own, given)


def mask_miou(predicted: Tensor, true: Tensor, labels: Labels) -> float:
    """Return the mean IoU in % of predicted masks against true ones, each ``(N, H, W)``."""
    scorer = MaskScorer(labels)
    scorer.add(predicted, true)
    return scorer.score().miou
