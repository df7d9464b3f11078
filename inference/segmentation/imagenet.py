"""Segmentation without training: Grad-CAM of a classifier that knows ImageNet, and a dense CRF.

The classifier has 118 classes of dogs and one of horses. So that a dog does not win for its many
classes, the log probability of a group of n classes is lowered by `BALANCE` · log n: with 1 every
group would be as probable as any other before the photograph is seen, with 0 every class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.datasets.imagenet import Groups, groups_of, hypernym_groups
from scene.labels import Labels
from scene.networks.feature_maps import Classifier
from scene.networks.trunks import make_trunk, packaged_weights

from ..crf.parameters import USUAL, Parameters
from ..devices import Device, device_of
from .affinity import spread
from .cues import CueSettings
from .gradcam import resized, weights
from .imagenet_maps import group_weights
from .maps import BackgroundMap
from .maps import probs as label_probs
from .segmentation import Segmentation
from .segmenter import PIXELS, refined

NET = "tf_efficientnet_lite0"
"""The classifier of timm that is used if none is named: a package has its weights."""

BALANCE = 0.75
"""How far groups of classes are made equally probable. Chosen, as the thresholds and the class
maps below, by the mean IoU of 160 training photographs of six PASCAL VOC classes."""

SIDE = 240
"""Shorter side, in pixels, of the photograph that the classifier reads."""

STRIDE = 16
"""Of its class maps, in pixels."""

CLASS_MAPS = CueSettings(
    flip=True, background_map="max", exponent=2.0, certainty=0.5, affinity=2.0
)
"""The settings of its class maps, chosen on the same photographs."""


class _View(NamedTuple):
    """The feature maps of photographs as they were looked at, ``(B, K, h, w)``.

    Attributes:
        maps: Those that class maps are made of.
        cells: Finer ones, that tell whether cells look alike.
        flipped: Whether the photographs were mirrored.
        scale: The scale at which they were looked at.
    """

    maps: Tensor
    cells: Tensor
    flipped: bool
    scale: float


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
    crf: Parameters | None = USUAL
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

    @property
    def _telling(self) -> str:
        """The layer whose features tell whether cells look alike: the last but two.

        Those of a classifier that learned further are its last frozen ones, of the same layer.
        """
        return self.net.layers[max(0, len(self.net.layers) - 3)]

    def segment(self, image: Tensor, known: Tensor | None = None) -> Segmentation:
        """Segment a photograph.

        Args:
            image: ``(3, H, W)`` uint8.
            known: ``(G,)``, 1 where a group is known to be present, 0 where it is not; None = the
                classifier says.
        """
        (finish,) = self.prepare([image], known)
        return finish()

    @torch.no_grad()
    def prepare(
        self, images: Sequence[Tensor], known: Tensor | None = None
    ) -> list[Callable[[], Segmentation]]:
        """Run the classifier on several photographs, those of one shape together.

        Args:
            images: Each ``(3, H, W)`` uint8.
            known: As in `segment`, of all of them.

        Returns:
            For each photograph, a call that runs the CRF and returns the segmentation.
        """
        device = next(self.net.parameters()).device
        read = [_resized(image, SIDE) for image in images]
        calls: dict[int, Callable[[], Segmentation]] = {}
        for shape in dict.fromkeys(image.shape for image in read):
            alike = [n for n, image in enumerate(read) if image.shape == shape]
            views = self._views(torch.stack([read[n] for n in alike]).to(device))
            for row, n in enumerate(alike):
                own = [
                    view._replace(maps=view.maps[row : row + 1], cells=view.cells[row : row + 1])
                    for view in views
                ]
                calls[n] = self._prepared(own, images[n], known)
        return [calls[n] for n in range(len(images))]

    def _prepared(
        self, views: Sequence[_View], image: Tensor, known: Tensor | None
    ) -> Callable[[], Segmentation]:
        """Map the groups that are present; return the call that refines their maps."""
        logits = self._logits(views)
        p = self.probabilities(logits)
        present = self._present(p) if known is None else known > 0.5
        chosen = present.nonzero().flatten().tolist()
        certainty = self.class_maps.certainty if known is None else 0.0
        few = Labels(("background", *(self.groups.names[g] for g in chosen)))
        maps = self._maps(views, logits, chosen) if chosen else logits.new_zeros(1, 0, 1, 1)
        ones = maps.new_ones(1, len(chosen))
        kind = cast(BackgroundMap, self.class_maps.background_map)
        # With names, p is also against all other classes; groups share it among themselves.
        most = 1.0 if self.groups.others or not chosen else p[chosen].max()
        factors = (p[chosen] / most)[None] ** certainty if certainty else None
        probs = label_probs(maps, ones, few, None, kind, self.class_maps.exponent, factors)[0]
        guesses = {} if known is not None else {1 + g: float(p[g]) for g in chosen}
        return partial(self._refined, probs, image, (0, *(1 + g for g in chosen)), guesses)

    def _refined(
        self, probs: Tensor, image: Tensor, ids: tuple[int, ...], guesses: dict[int, float]
    ) -> Segmentation:
        crf = self.crf if len(ids) > 1 else None
        grid = refined(probs, image, crf, self.pixels, self.engine).float().cpu()
        size = (image.shape[-2], image.shape[-1])
        return Segmentation(grid, size, self.labels, image, ids=ids, presence=guesses)

    def presence(self, logits: Tensor) -> Tensor:
        """Return which groups are present: ``(1000,)`` logits to ``(G,)`` bool."""
        return self._present(self.probabilities(logits))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return how probable each group is: ``(1000,)`` logits to ``(G,)`` in [0, 1]."""
        groups = [*self.groups.indices, *([self.groups.others] if self.groups.others else [])]
        scores = torch.stack(
            [
                logits[list(indices)].logsumexp(0) - BALANCE * torch.tensor(len(indices)).log()
                for indices in groups
            ]
        )
        return scores.softmax(0)[: len(self.groups.names)]

    def _present(self, probs: Tensor) -> Tensor:
        least = probs.topk(min(self.top, len(probs))).values[-1]
        return (probs > self.threshold) & (probs >= least)

    def _views(self, images: Tensor) -> list[_View]:
        """Return the feature maps of images ``(B, 3, h, w)`` at each scale, and mirrored."""
        views = []
        for scale in sorted({1.0, *self.class_maps.scales}, reverse=True):
            seen = _scaled(images, scale)
            flips = (False, True) if self.class_maps.flip else (False,)
            both = torch.cat([seen.flip(-1) if flipped else seen for flipped in flips])
            layers = (self.class_maps.layer, self._telling)
            both_maps, both_cells = (
                maps.split(len(images)) for maps in self.net.several(both, layers)
            )
            for maps, cells, flipped in zip(both_maps, both_cells, flips, strict=True):
                views.append(_View(maps, cells, flipped, scale))
        return views

    def _logits(self, views: Sequence[_View]) -> Tensor:
        """Return the logits of ImageNet's classes, ``(1000,)``, averaged over views of scale 1."""
        whole = torch.cat([view.maps for view in views if view.scale == 1])
        logits: Tensor = self.net.head(whole, self.class_maps.layer).mean(0)
        return logits

    def _maps(self, views: Sequence[_View], logits: Tensor, chosen: list[int]) -> Tensor:
        """Return the class maps of groups, ``(1, len(chosen), h, w)``, averaged over views."""
        maps = []
        for view in views:
            if view.scale not in self.class_maps.scales:
                continue
            alpha = weights(self.net, view.maps, self.class_maps.layer)
            rows = group_weights(alpha, logits[None], [self.groups.indices[g] for g in chosen])
            cams = torch.einsum("bgk,bkhw->bghw", rows, view.maps).relu().float()
            maps.append(cams.flip(-1) if view.flipped else cams)
        grid = (maps[0].shape[-2], maps[0].shape[-1])
        mean = torch.stack([resized(each, grid) for each in maps]).mean(0)
        if not self.class_maps.affinity:
            return mean
        whole = [view for view in views if view.scale == 1]
        features = [view.cells.flip(-1) if view.flipped else view.cells for view in whole]
        return spread(mean, torch.stack(features).mean(0), self.class_maps.affinity)


def imagenet_segmenter(
    names: Sequence[str] | None = None,
    *,
    threshold: float | None = None,
    top: int = 3,
    net: str = NET,
    weights: str = "imagenet",
    crf: Parameters | None = USUAL,
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


def _scaled(images: Tensor, scale: float) -> Tensor:
    """Resize images ``(B, 3, h, w)`` by a factor."""
    if scale == 1:
        return images
    size = [max(1, round(scale * extent)) for extent in images.shape[-2:]]
    return F.interpolate(images, size, mode="bilinear", antialias=scale < 1)
