"""Segmentation without training: Grad-CAM of a classifier that knows ImageNet, and a dense CRF.

The classifier has 118 classes of dogs and one of horses. So that a dog does not win for its many
classes, the log probability of a group of n classes is lowered by `BALANCE` · log n: with 1 every
group would be as probable as any other before the photograph is seen, with 0 every class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.datasets.imagenet import Groups, groups_of, hypernym_groups
from scene.labels import Labels
from scene.networks.feature_maps import Classifier
from scene.networks.trunks import make_trunk, packaged_weights

from ..crf.parameters import Parameters
from ..devices import Device, device_of
from .cues import CueSettings
from .gradcam import evaluating, resized, weights
from .maps import BackgroundMap
from .maps import probs as label_probs
from .segmentation import Segmentation
from .segmenter import PIXELS, refined, upsample, working_size

NET = "tf_efficientnet_lite0"
"""The classifier of timm that is used if none is named: a package has its weights."""

BALANCE = 0.75
"""How far groups of classes are made equally probable. Chosen, as the thresholds and the class
maps below, by the mean IoU of 160 training photographs of six PASCAL VOC classes."""

SIDE = 240
"""Shorter side, in pixels, of the photograph that the classifier reads."""

STRIDE = 16
"""Of its class maps, in pixels."""

CLASS_MAPS = CueSettings(flip=True, background_map="power", exponent=4.0)
"""The settings of its class maps."""


@dataclass(frozen=True, eq=False)
class ImageNetSegmenter:
    """A classifier of ImageNet's 1,000 classes: photographs in, segmentations out.

    Attributes:
        net: The classifier, in evaluation mode, with ImageNet's own classes.
        groups: The names that masks may have, and their classes.
        threshold: Probability of a group, from 0 to 1, above which it counts as present.
        top: At most so many groups are present in a photograph.
        crf: Parameters of the CRF; None = there is none.
        class_maps: Layer, scales, flip and background of the class maps.
        pixels: As in `inference.segmentation.segmenter.Segmenter`.
        engine: Engine of the CRF.

    Raises:
        ValueError: If the threshold or ``top`` is out of range.
    """

    net: Classifier
    groups: Groups
    threshold: float
    top: int = 3
    crf: Parameters | None = Parameters()  # noqa: RUF009 - frozen
    class_maps: CueSettings = CLASS_MAPS
    pixels: int = PIXELS
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ValueError(f"--threshold is 0 or more and less than 1, not {self.threshold}.")
        if self.top < 1:
            raise ValueError(f"--top is 1 or more, not {self.top}.")

    @cached_property
    def labels(self) -> Labels:
        """The labels of masks: background, then the groups."""
        return self.groups.labels

    @torch.no_grad()
    def segment(self, image: Tensor, known: Tensor | None = None) -> Segmentation:
        """Segment a photograph.

        Args:
            image: ``(3, H, W)`` uint8.
            known: ``(G,)``, 1 where a group is known to be present, 0 where it is not; None = the
                classifier says.
        """
        device = next(self.net.parameters()).device
        read = _resized(image, SIDE).to(device)
        with evaluating(self.net):
            logits = self._logits(read)
            present = self.presence(logits) if known is None else known > 0.5
            chosen = present.nonzero().flatten().tolist()
            maps = self._maps(read, logits, chosen) if chosen else logits.new_zeros(1, 0, 1, 1)
        size = (image.shape[-2], image.shape[-1])
        few = Labels(("background", *(self.groups.names[g] for g in chosen)))
        ones = maps.new_ones(1, len(chosen))
        kind = cast(BackgroundMap, self.class_maps.background_map)
        probs = label_probs(maps, ones, few, None, kind, self.class_maps.exponent)[0]
        crf = self.crf if chosen else None
        probs = refined(probs, image, crf, self.pixels, self.engine).float().cpu()
        return Segmentation(self._expanded(probs, chosen, size), size, self.labels, image)

    def presence(self, logits: Tensor) -> Tensor:
        """Return which groups are present: ``(1000,)`` logits to ``(G,)`` bool."""
        groups = [*self.groups.indices, *([self.groups.others] if self.groups.others else [])]
        scores = torch.stack(
            [
                logits[list(indices)].logsumexp(0) - BALANCE * torch.tensor(len(indices)).log()
                for indices in groups
            ]
        )
        probs = scores.softmax(0)[: len(self.groups.names)]
        least = probs.topk(min(self.top, len(probs))).values[-1]
        return (probs > self.threshold) & (probs >= least)

    def _logits(self, image: Tensor) -> Tensor:
        """Return the logits of ImageNet's classes: ``(3, h, w)`` to ``(1000,)``."""
        views = [image, image.flip(-1)] if self.class_maps.flip else [image]
        logits: Tensor = self.net(torch.stack(views)).mean(0)
        return logits

    def _maps(self, image: Tensor, logits: Tensor, chosen: list[int]) -> Tensor:
        """Return the class maps of groups, ``(1, len(chosen), h, w)``, averaged over views.

        A group's weights are the mean of those of its classes, by their probabilities within it:
        the gradient of the logarithm of its probability.
        """
        maps = []
        for scale in sorted(self.class_maps.scales, reverse=True):
            view = _scaled(image, scale)
            for flipped in (False, True) if self.class_maps.flip else (False,):
                seen = view.flip(-1) if flipped else view
                features = self.net.maps(seen[None], self.class_maps.layer)
                alpha = weights(self.net, features, self.class_maps.layer)[0]
                rows = [
                    logits[list(self.groups.indices[g])].softmax(0)
                    @ alpha[list(self.groups.indices[g])]
                    for g in chosen
                ]
                cams = torch.einsum("gk,bkhw->bghw", torch.stack(rows), features).relu().float()
                maps.append(cams.flip(-1) if flipped else cams)
        grid = (maps[0].shape[-2], maps[0].shape[-1])
        return torch.stack([resized(each, grid) for each in maps]).mean(0)

    def _expanded(self, probs: Tensor, chosen: list[int], size: tuple[int, int]) -> Tensor:
        """Return probabilities of all labels, ``(1 + G, h, w)``, of those that are present."""
        limit = working_size(size, len(self.labels.names), self.pixels)
        if probs.shape[-2] * probs.shape[-1] > limit[0] * limit[1]:
            probs = upsample(probs, limit)
        whole = probs.new_zeros(len(self.labels.names), *probs.shape[-2:])
        whole[[0, *(1 + g for g in chosen)]] = probs
        return whole


def imagenet_segmenter(
    names: Sequence[str] | None = None,
    *,
    threshold: float | None = None,
    top: int = 3,
    net: str = NET,
    weights: str = "imagenet",
    crf: Parameters | None = Parameters(),  # noqa: B008 - frozen
    class_maps: CueSettings = CLASS_MAPS,
    pixels: int = PIXELS,
    engine: str = "auto",
    device: Device = "auto",
) -> ImageNetSegmenter:
    """Make a segmenter that needs no training.

    Args:
        names: The labels of masks, see `scene.datasets.imagenet.groups_of`; None = all groups of
            `scene.datasets.imagenet.hypernym_groups`.
        threshold: As in `ImageNetSegmenter`; None = 0.3 with names, 0.1 without.
        top: As in `ImageNetSegmenter`.
        net: A network of timm.
        weights: Its weights, see `scene.networks.trunks.make_trunk`.
        crf: Parameters of the CRF; None = there is none.
        class_maps: The settings of class maps.
        pixels: As in `ImageNetSegmenter`.
        engine: Engine of the CRF.
        device: Where to compute: ``auto`` takes a GPU if there is one.

    Raises:
        LookupError: If a name stands for no class, or there are no weights.
        ValueError: If an argument is out of range.
    """
    where = device_of(device)
    groups = hypernym_groups() if names is None else groups_of(names)
    least = threshold if threshold is not None else 0.1 if names is None else 0.3
    made = make_trunk(net, None, weights, STRIDE).eval().requires_grad_(False).to(where)
    return ImageNetSegmenter(made, groups, least, top, crf, class_maps, pixels, engine)


def is_installed(net: str = NET) -> bool:
    """Return whether a package with a network's weights is installed."""
    return packaged_weights(net) is not None


def _resized(image: Tensor, side: int) -> Tensor:
    """Resize a photograph, ``(3, H, W)`` uint8, by its shorter side, in [0, 1]."""
    scale = side / min(image.shape[-2:])
    size = [min(8 * side, max(1, round(scale * extent))) for extent in image.shape[-2:]]
    inside = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return inside.float() / 255


def _scaled(image: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return image
    size = [max(1, round(scale * extent)) for extent in image.shape[-2:]]
    return F.interpolate(image[None], size, mode="bilinear", antialias=scale < 1)[0]
