"""Seed cues: the few places of an image that its class maps label with confidence.

Source:
    Kolesnikov & Lampert (2016), Seed, Expand and Constrain, section 4,
    https://arxiv.org/abs/1603.06098
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.discriminative import ClassifiedScene
from scene.labels import Labels
from scene.views import Views

from ..build import Assembly
from ..crf.kernels import Appearance
from ..crf.meanfield import refine
from ..settings.recipes import OWN_NETWORKS, recipe
from ..settings.settings import Settings
from .affinity import cell_features, spread
from .gradcam import cams, evaluating, normalised, resized
from .imagenet_maps import with_imagenet
from .maps import BackgroundMap, present_classes, probs, require_background

Saliency = Literal["max", "sum"]


@dataclass(frozen=True)
class CueSettings:
    """How class maps are made, and seed cues of them.

    Attributes:
        layer: Layer of the classifier; None = its last.
        scales: Sizes at which images are read, as multiples of their own.
        flip: Average the maps with those of the mirrored image.
        foreground: A class is cued where its map exceeds this share of its maximum.
        background: Share of the image, the least salient, that is cued as background; None =
            there are no such cues.
        background_map: How probabilities find background: ``sum``, ``max``, ``none``.
        exponent: Exponent of the background map.
        background_exponent: That for cues of background, which a CRF finds; None = ``exponent``.
        certainty: Where it is not known which classes are present, maps are multiplied by the
            classifier's p of their class to this power; 0 = they are not.
        saliency: What is salient: the largest of the present classes' maps, or their sum.
        crf: Weight, width in pixels and width in colour of a dense CRF's appearance kernel. If
            it is not None, `crf_cues` makes the cues.
        affinity: Exponent with which maps spread over cells that look alike, see
            `inference.segmentation.affinity.spread`; 0 = they do not.
        imagenet: Average the maps of labels that have names of ImageNet's classes with the maps
            of these, see `inference.segmentation.imagenet_maps.with_imagenet`.
        scenery: Weight of the log odds of these classes against scenery; 0 = not used.
    """

    layer: str | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    foreground: float = 0.2
    background: float | None = 0.1
    background_map: str = "sum"
    exponent: float = 1.0
    background_exponent: float | None = None
    certainty: float = 0.0
    saliency: Saliency = "max"
    crf: tuple[float, float, float] | None = None
    affinity: float = 0.0
    imagenet: bool = False
    scenery: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.foreground < 1:
            raise ValueError(f"--foreground is 0 or more and below 1, not {self.foreground}.")
        if self.scenery and not self.imagenet:
            raise ValueError("--scenery goes with --imagenet-maps; add it.")
        if not 0 <= self.affinity < math.inf:
            raise ValueError(f"--affinity is 0 or more, not {self.affinity}.")
        if not 0 < self.exponent < math.inf:
            raise ValueError(f"--exponent is above 0, not {self.exponent}.")
        if self.background_exponent is not None:
            if not self.exponent <= self.background_exponent < math.inf:
                raise ValueError(
                    f"--background-exponent is no less than --exponent {self.exponent:g}, not "
                    f"{self.background_exponent:g}."
                )
            if self.crf is None:
                raise ValueError("--background-exponent goes with --cue-crf; add it.")
        if not 0 <= self.certainty < math.inf:
            raise ValueError(f"--certainty is 0 or more, not {self.certainty}.")
        if self.background is not None and not 0 < self.background <= 1:
            raise ValueError(
                f"--background is a share of the image, above 0 and at most 1, or none; not "
                f"{self.background}."
            )


def cue_crf(numbers: tuple[float, ...]) -> tuple[float, float, float] | None:
    """Return the parameters of the CRF that computes cues; None if cues use no CRF.

    Raises:
        ValueError: If there are not three numbers.
    """
    if not numbers:
        return None
    if len(numbers) != 3:
        raise ValueError(
            f"--cue-crf takes three numbers (weight, θα in pixels, θβ in 0-255), not "
            f"{len(numbers)}."
        )
    weight, reach, unlike = numbers
    return weight, reach, unlike


def cue_settings(settings: Settings) -> CueSettings:
    """Return the part of the settings that cues are made by."""
    return CueSettings(
        layer=settings.cues.layer,
        scales=settings.cues.scales,
        flip=settings.cues.flip,
        foreground=settings.cues.foreground,
        background=settings.cues.background or None,
        background_map=settings.cues.background_map,
        exponent=settings.cues.exponent,
        background_exponent=settings.cues.background_exponent,
        crf=cue_crf(settings.cues.crf),
        affinity=settings.cues.affinity,
        imagenet=settings.cues.imagenet,
        scenery=settings.cues.scenery,
        saliency="sum" if settings.cues.saliency == "sum" else "max",
    )


def usual_class_maps(settings: Settings) -> CueSettings:
    """Return how the class maps of a run are made unless something else is asked for.

    Those of a classifier that learned from scratch are Grad-CAM as published. Those of a
    pretrained one are averaged and spread as for the cues of SEC on the same network; then each
    is multiplied by √p of its class, and the background has a smaller exponent.
    """
    model = settings.model
    if model.backbone in OWN_NETWORKS or model.backbone_weights == "none":
        return CueSettings()
    cues = cue_settings(recipe("sec").settings(net=model.backbone))
    return replace(cues, certainty=0.5, exponent=1.5)


def seeds(
    maps: Tensor,
    present: Tensor,
    labels: Labels,
    *,
    foreground: float = 0.2,
    background: float | None = 0.1,
    saliency: Saliency = "max",
) -> Tensor:
    """Return the cues of scenes whose classes are known.

    A present class is cued where its map exceeds ``foreground`` of its maximum. Background is
    cued where the saliency is within the lowest share ``background`` of the image: cells that
    tie are all cued, and none are where nothing is salient although a class is present. Of
    labels that claim one cell, the one that claims fewest cells of the image has it; of equals,
    the first.

    Args:
        maps: ``(B, C, h, w)``, zero or more, of any scale.
        present: ``(B, C)``, 1 where the scene is known to hold the class.
        labels: The vocabulary.
        foreground: Share of a map's maximum.
        background: Share of the image; None = no cues of background.
        saliency: ``max`` or ``sum`` of the present classes' maps, each divided by its maximum.

    Returns:
        ``(B, L, h, w)`` bool; at most one label a cell.

    Raises:
        ValueError: If background is to be cued, but the dataset has no such label.

    >>> maps = torch.tensor([[[[0.0, 0.1, 0.9, 1.0]]]])
    >>> seeds(maps, torch.ones(1, 1), Labels(("background", "cat")), background=0.25)[0, :, 0] * 1
    tensor([[1, 0, 0, 0],
            [0, 0, 1, 1]])
    """
    require_background(labels, background is not None, "--background none")
    present_maps = normalised(maps) * (present > 0.5)[..., None, None]
    candidates = torch.zeros(len(maps), len(labels.names), *maps.shape[-2:], dtype=torch.bool)
    candidates = candidates.to(maps.device)
    candidates[:, list(labels.ids)] = present_maps > foreground
    if background is not None:
        salient = present_maps.amax(1) if saliency == "max" else present_maps.sum(1)
        lowest = salient.flatten(1).quantile(background, dim=1)[:, None, None]
        blind = (salient.flatten(1).amax(1) == 0) & (present > 0.5).any(1)
        candidates[:, labels.background] = (salient <= lowest) & ~blind[:, None, None]
    return _undisputed(candidates)


def crf_cues(
    maps: Tensor,
    present: Tensor,
    labels: Labels,
    images: Tensor,
    size: tuple[int, int],
    settings: CueSettings,
) -> Tensor:
    """Return the cues that a dense CRF finds in the probabilities of class maps.

    Class maps become probabilities of every pixel, the CRF lets similar pixels agree, and a
    label is cued in cells where its mean probability exceeds ``settings.foreground``; background
    too, unless ``settings.background`` is None. With ``settings.background_exponent``, cells are
    cued as background only if they would be with that exponent: the maps are then less often
    below the background, so both kinds of cues are sure, and cells between them have none.

    Args:
        maps: ``(B, C, h, w)``, zero or more, of any scale.
        present: ``(B, C)``, 1 where the scene is known to hold the class.
        labels: The vocabulary.
        images: ``(B, 3, H, W)`` in [0, 1].
        size: Height and width of the grid of cues, in cells.
        settings: The CRF, the background map, and the thresholds.

    Returns:
        ``(B, L, *size)`` bool; at most one label a cell.
    """
    assert settings.crf is not None
    weight, reach, unlike = settings.crf
    height, width = images.shape[-2:]
    kind = cast("BackgroundMap", settings.background_map)
    kind = kind if labels.background is not None else "none"
    pixels = (255 * images).round().byte().permute(0, 2, 3, 1).contiguous()
    kernel = Appearance(weight=weight, sigma_xy=reach, sigma_rgb=unlike)

    def cells(exponent: float) -> Tensor:
        unaries = probs(maps, present, labels, (height, width), kind, exponent)
        marginals = F.adaptive_avg_pool2d(refine(unaries, pixels, kernels=(kernel,)), size)
        most = F.one_hot(marginals.argmax(1), marginals.shape[1]).movedim(-1, 1).bool()
        return most & (marginals > settings.foreground)

    cued = cells(settings.exponent)
    if labels.background is not None and settings.background is None:
        cued[:, labels.background] = False
    elif labels.background is not None and settings.background_exponent is not None:
        cued[:, labels.background] &= cells(settings.background_exponent)[:, labels.background]
    return cued


def seed_cues(
    maps: Tensor,
    present: Tensor,
    labels: Labels,
    images: Tensor,
    size: tuple[int, int],
    settings: CueSettings,
) -> Tensor:
    """Return cues as the settings say: those of the maps, or those of the CRF."""
    if settings.crf is not None:
        return crf_cues(maps, present, labels, images, size, settings)
    return seeds(
        resized(maps, size),
        present,
        labels,
        foreground=settings.foreground,
        background=settings.background,
        saliency=settings.saliency,
    )


@dataclass(frozen=True)
class SceneCues:
    """Class maps and seed cues of B scenes.

    Attributes:
        maps: Class maps, ``(B, C, h, w)``, each divided by its maximum.
        present: Classes that may be cued, ``(B, C)`` bool.
        seeds: Seed cues, ``(B, L, h, w)`` bool.
    """

    maps: Tensor
    present: Tensor
    seeds: Tensor


def cues_of(
    assembly: Assembly,
    dataset: SceneDataset,
    indices: Sequence[int],
    *,
    size: tuple[int, int],
    settings: CueSettings,
) -> Tensor:
    """Return the cues of training scenes: the classes present are those of their labels.

    Args:
        assembly: A classifier that was trained.
        dataset: Where the scenes come from; their masks are not read.
        indices: B scenes; one whose classes are not known gets no cues.
        size: Height and width of the grid of cues, in cells.
        settings: The settings of cues.

    Returns:
        ``(B, L, h, w)`` bool, on the CPU.

    Raises:
        ValueError: If the model is no classifier, or background is to be cued and there is none.
    """
    return find_cues(assembly, dataset, indices, size=size, settings=settings).seeds


def find_cues(
    assembly: Assembly,
    dataset: SceneDataset,
    indices: Sequence[int],
    *,
    size: tuple[int, int] | None = None,
    settings: CueSettings,
    labelled: bool = True,
) -> SceneCues:
    """Return class maps and cues of scenes, as `cues_of` does.

    Args:
        assembly: A classifier that was trained.
        dataset: Where the scenes come from.
        indices: B scenes.
        size: The grid of maps and cues; None = that of the maps.
        settings: The settings of cues.
        labelled: Take the classes present from the scenes' labels, as only training may; else
            those are present that the classifier gives more than its threshold.
    """
    labels = dataset.schema.labels
    require_background(labels, settings.background is not None, "--background none")
    views = dataset.views(indices).only(("image", "classes"))
    whole = maps_of(assembly, views["image"], settings)
    maps = normalised(whole if size is None else resized(whole, size))
    known = views.having(("image", "classes") if labelled else ("image",))
    present = views["classes"] > 0.5 if labelled else predicted_classes(assembly, views)
    present = present & known[:, None]
    grid = (maps.shape[-2], maps.shape[-1])
    cues = seed_cues(whole, present, labels, views["image"], grid, settings)
    return SceneCues(maps, present, cues & known[:, None, None, None])


def predicted_classes(assembly: Assembly, views: Views) -> Tensor:
    """Return the classes that a classifier predicts: ``(B, C)`` bool, on the CPU."""
    model = _classifier(assembly)
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad():
        probs = model.net(views["image"].to(device)).sigmoid().cpu()
    return present_classes(probs, model.labels, model.threshold)


def maps_of(assembly: Assembly, images: Tensor, settings: CueSettings) -> Tensor:
    """Map every class of images ``(B, 3, H, W)``: ``(B, C, h, w)``, on the CPU.

    Raises:
        ValueError: If the model is no classifier.
    """
    model = _classifier(assembly)
    seen = images.to(next(model.parameters()).device)
    maps = cams(model.net, seen, settings.layer, settings.scales, settings.flip)
    if settings.imagenet:
        maps = with_imagenet(maps, model, seen, settings.flip, settings.scenery)
    if settings.affinity:
        with evaluating(model), torch.no_grad():
            maps = spread(maps, cell_features(model.net, seen, settings.flip), settings.affinity)
    return maps.cpu()


def _classifier(assembly: Assembly) -> ClassifiedScene:
    if not isinstance(assembly.model, ClassifiedScene):
        raise ValueError("Only a classifier has class maps; train one: scene train classifier.")
    return assembly.model


def _undisputed(candidates: Tensor) -> Tensor:
    """Leave each cell of ``(B, L, h, w)`` to the label that claims fewest."""
    cells = candidates.flatten(2).sum(-1)[..., None, None]
    region = torch.where(candidates, cells, candidates[0, 0].numel() + 1)
    winner = torch.zeros_like(candidates).scatter_(1, region.argmin(1, keepdim=True), True)
    return winner & candidates
