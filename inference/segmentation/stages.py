"""The stages of weak supervision by name, and the label probabilities of each before any CRF.

Nothing here imports torch before a stage is asked for something, so that names can be listed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from scene.registry import unknown

if TYPE_CHECKING:
    from torch import Tensor

    from scene.labels import Labels

    from ..build import Assembly
    from ..runs.run import Run
    from .cues import CueSettings
    from .maps import BackgroundMap

Name = Literal["gradcam", "gradcam+crf", "sec", "sec+crf", "mask", "mask+crf"]

DRAWS = 8
"""Draws of z that a model with a latent averages."""


@dataclass(frozen=True)
class Stage:
    """One stage: the source of its probabilities, and whether a CRF follows.

    Attributes:
        about: One line for ``--help``.
        source: A key of `SOURCES`, which returns the probabilities.
        crf: Whether the dense CRF refines them.
    """

    about: str
    source: str
    crf: bool


STAGES: dict[str, Stage] = {
    "gradcam": Stage("class maps of a classifier", "gradcam", False),
    "gradcam+crf": Stage("class maps of a classifier, refined by the CRF", "gradcam", True),
    "sec": Stage("the network that SEC trained", "sec", False),
    "sec+crf": Stage("the network that SEC trained, refined by the CRF", "sec", True),
    "mask": Stage("masks of any other model that reads images", "mask", False),
    "mask+crf": Stage(
        "masks of any other model that reads images, refined by the CRF", "mask", True
    ),
}
"""Stages by name, in the order of the chain."""

SOURCES = {
    "gradcam": "inference.segmentation.stages:gradcam",
    "sec": "inference.segmentation.stages:masks",
    "mask": "inference.segmentation.stages:masks",
}
"""What gives a stage its probabilities, called as `gradcam` and `masks` are."""

_OWN = {"classifier": "gradcam", "sec": "sec"}  # of recipes; every other one's is mask


def stage_of(run: Run, name: str | None = None, crf: bool | None = None) -> str:
    """Choose the stage of a run: the one named, else its last, which for masks has no CRF.

    Args:
        run: Whose recipe decides.
        name: A key of `STAGES`.
        crf: Ask for the CRF, or for none, where no stage is named.

    Raises:
        LookupError: If there is no such stage.
        ValueError: If it is not one of this run's.
    """
    source = _OWN.get(run.settings.recipe, "mask")
    own = [key for key, stage in STAGES.items() if stage.source == source]
    if name is None:
        refined = source != "mask" if crf is None else crf
        return next(key for key in own if STAGES[key].crf == refined)
    if name not in STAGES:
        raise LookupError(unknown(name, STAGES, "stage") + ".")
    if name not in own:
        raise ValueError(
            f"{run.folder} is a run of {run.settings.title}; choose one of its stages: "
            f"{', '.join(own)}."
        )
    return name


def recipes_of(name: str, known: Collection[str]) -> tuple[str, ...]:
    """List the recipes, of those known, whose runs have a stage.

    >>> recipes_of("sec+crf", ("cvae", "sec"))
    ('sec',)
    """
    source = STAGES[name].source
    return tuple(recipe for recipe in known if _OWN.get(recipe, "mask") == source)


def gradcam(
    assembly: Assembly,
    images: Tensor,
    labels: Labels,
    known: Tensor | None,
    settings: CueSettings,
) -> Tensor:
    """Turn a classifier's class maps into probabilities.

    Classes are present if the classifier's p is above its run's threshold.

    Args:
        assembly: A classifier.
        images: ``(B, 3, H, W)`` in [0, 1], of the run's size.
        labels: The vocabulary.
        known: ``(B, C)``, 1 where a class is known to be present, 0 where it is known not to
            be; in place of what the classifier says. None = nothing is known.
        settings: How maps are made, and the background map; its thresholds are of cues, and not
            read.

    Returns:
        ``(B, L, H, W)``, summing to one over labels.

    Raises:
        LookupError: If the classifier has no such layer, or there is no such background map.
        ValueError: If the model is no classifier.
    """
    import torch

    from scene.discriminative import ClassifiedScene

    from .cues import maps_of
    from .gradcam import class_maps
    from .maps import present_classes, probs

    model = assembly.model
    if not isinstance(model, ClassifiedScene):
        raise ValueError("Only a classifier has class maps; train one: scene train classifier.")
    several = settings.layer is not None and "+" in settings.layer
    layer = None if several else settings.layer
    with torch.no_grad():
        seen = model.net.maps(images, layer)
        p = model.net.head(seen, layer).sigmoid()
        present = present_classes(p, labels, model.threshold)
    as_seen = not (settings.flip or settings.affinity or settings.imagenet or several)
    if settings.scales == (1.0,) and as_seen:
        maps = class_maps(model.net, seen, layer)
    else:
        maps = maps_of(assembly, images, settings).to(images.device)
    factors = p**settings.certainty if settings.certainty else None
    if known is not None:
        present, factors = known > 0.5, None
    kind = (
        cast("BackgroundMap", settings.background_map) if labels.background is not None else "none"
    )
    size = (images.shape[-2], images.shape[-1])
    return probs(maps, present, labels, size, kind, settings.exponent, factors)


def masks(
    assembly: Assembly,
    images: Tensor,
    labels: Labels,
    known: Tensor | None,
    settings: CueSettings,
) -> Tensor:
    """Return p(mask | image) of a model, averaged over `DRAWS` draws of its z if it has one.

    Args:
        assembly: A model that explains masks and can be given images.
        images: ``(B, 3, H, W)`` in [0, 1], of the run's size.
        labels: The vocabulary.
        known: As in `gradcam`: labels of classes known not to be present have probability 0.
        settings: Not read.

    Returns:
        ``(B, L, H, W)``, summing to one over labels.
    """
    from scene.views import Views

    from ..prediction.predict import predict

    probs = predict(assembly, Views({"image": images}), ["mask"], draws=DRAWS).views["mask"]
    return probs if known is None else restricted(probs, known, labels)


def restricted(probs: Tensor, known: Tensor, labels: Labels) -> Tensor:
    """Leave only background and the classes known to be present.

    A pixel where all of those have probability 0 gets them with equal probability; where the
    scene is known to hold no class, and there is no background, nothing is changed.

    Args:
        probs: ``(B, L, H, W)``.
        known: ``(B, C)``, 1 where a class is present.
        labels: The vocabulary.

    Returns:
        ``(B, L, H, W)``, summing to one over labels.

    >>> import torch
    >>> from scene.labels import Labels
    >>> probs = torch.tensor([0.2, 0.6, 0.2]).view(1, 3, 1, 1)
    >>> pets = Labels(("background", "cat", "dog"))
    >>> restricted(probs, torch.tensor([[0, 1]]), pets).flatten()
    tensor([0.5000, 0.0000, 0.5000])
    """
    import torch

    allowed = torch.zeros(probs.shape[:2], dtype=torch.bool, device=probs.device)
    allowed[:, list(labels.ids)] = known.to(probs.device) > 0.5
    if labels.background is not None:
        allowed[:, labels.background] = True
    allowed = (allowed | ~allowed.any(1, keepdim=True))[..., None, None]
    allowed_probs = probs * allowed
    total = allowed_probs.sum(1, keepdim=True)
    equal = allowed / allowed.sum(1, keepdim=True)
    return torch.where(total > 0, allowed_probs / torch.where(total > 0, total, 1), equal)
