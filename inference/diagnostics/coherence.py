"""Coherence: whether the image, the classes and the mask drawn from one z tell of one scene."""

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
from .posteriors import Given, named, parts

LARGE = 0.01
"""Share of the pixels that a class must own to be called large."""

PRIOR, TRUE = "prior", "true scenes"
"""Where the z of a row come from that no posterior gave; and the row that has none."""

Segment = Callable[[Tensor], Tensor]
"""Masks ``(N, H, W)`` of images ``(N, 3, H, W)``, by something that was never told of z."""


@dataclass(frozen=True)
class Coherence:
    """How N scenes agree with themselves, in percent; None where a model draws no such views.

    Views are drawn as ``scene sample`` shows them: the mean image, the most probable label of
    every pixel, the classes that are more probable than not.

    Attributes:
        source: What z was drawn from: views given, `PRIOR`, or `TRUE` scenes in place of drawn.
        scenes: N.
        f1: Between the classes that own a pixel of the mask and the classes, over all scenes.
        large: The same between classes that own `LARGE` of the pixels and the classes.
        alike: Share of scenes where the first two are the same set.
        chance: ``f1`` if each mask is held against the classes of another scene.
        own: mIoU of the mask that a segmenter finds in the image, and the mask; the image being
            the one drawn, or the one given where the model draws none.
        given: mIoU of the mask that it finds in the image drawn, and the mask z was drawn given.
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
        """Give plain data."""
        return asdict(self)


def coherence(
    assembly: Assembly,
    views: Views,
    latents: Mapping[Given, Tensor],
    labels: Labels,
    segment: Segment | None = None,
) -> list[Coherence]:
    """Compare views that were drawn from the same z.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N true scenes, complete.
        latents: One draw of z for each scene, ``(N, L)``, given these views; those without any
            but the model's conditions stand for the prior.
        labels: The vocabulary.
        segment: Finds masks in images; None leaves out what needs it.

    Returns:
        A row for each set of latents, and one for the true scenes.
    """
    found = []
    for given, z in latents.items():
        prior = set(given) <= set(assembly.model.conditions)
        drawn = _drawn(assembly, views, z)
        held = views["mask"] if "mask" in given and "image" in drawn else None
        source = PRIOR if prior else named(given)
        found.append(_compared(source, drawn, views["image"], held, labels, segment))
    true = {name: views[name] for name in ("image", "classes", "mask") if name in views}
    return [*found, _compared(TRUE, true, views["image"], None, labels, segment)]


def segmenting(assembly: Assembly) -> Segment:
    """Make a function that finds masks in images, of a model of masks given images."""

    def segment(images: Tensor) -> Tensor:
        scenes = parts(Views({"image": images}), assembly.device)
        return torch.cat([predict(assembly, part, ["mask"]).mask.cpu() for part in scenes])

    return segment


def f1_score(found: Tensor, true: Tensor) -> float | None:
    """Score classes that were found against those there are, ``(N, C)`` bool, in percent.

    All scenes and classes count as one; None if neither holds any.

    >>> f1_score(torch.tensor([[True, True]]), torch.tensor([[True, False]]))
    66.66666666666667
    """
    every = int(found.sum() + true.sum())
    return 100 * 2 * int((found & true).sum()) / every if every else None


def _drawn(assembly: Assembly, views: Views, z: Tensor) -> dict[str, Tensor]:
    """Decode each z beside its scene, which may give conditions."""
    model, found, first = assembly.model, [], 0
    for part in parts(views, assembly.device):
        some = z[first : first + len(part)].to(assembly.device)
        first += len(part)
        with torch.no_grad():
            decoded = {n: expected(x) for n, x in model.decode(some, part, model.views).items()}
        if "mask" in decoded:
            decoded["mask"] = decoded["mask"].argmax(1)
        if "classes" in decoded:
            decoded["classes"] = decoded["classes"] > model.threshold
        found.append({name: view.cpu() for name, view in decoded.items()})
    return {name: torch.cat([part[name] for part in found]) for name in found[0]}


def _compared(
    source: str,
    drawn: Mapping[str, Tensor],
    image: Tensor,
    held: Tensor | None,
    labels: Labels,
    segment: Segment | None,
) -> Coherence:
    f1 = large = alike = chance = None
    mask = drawn["mask"]
    if "classes" in drawn:
        said, shown = drawn["classes"].bool().cpu(), labels.vector(mask).bool()
        f1 = f1_score(shown, said)
        large = f1_score(labels.vector(mask, LARGE).bool(), said)
        alike = 100 * float((shown == said).all(1).float().mean())
        chance = f1_score(shown, said.roll(1, 0))
    seen = None if segment is None else segment(drawn.get("image", image))
    own = None if seen is None else _miou(seen, mask, labels)
    given = None if seen is None or held is None else _miou(seen, held, labels)
    return Coherence(source, len(mask), f1, large, alike, chance, own, given)


def _miou(found: Tensor, true: Tensor, labels: Labels) -> float:
    scorer = MaskScorer(labels)
    scorer.add(found, true)
    return scorer.score().miou
