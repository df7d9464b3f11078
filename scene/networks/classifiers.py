"""Image classifiers whose feature maps can be read at any layer, as Grad-CAM needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import unknown
from ..sizes import STOCK_WIDTH
from .backbones import DEVIATION, MEAN, Weights, pretrained
from .encoders import Norm

CLASSIFIERS = ("small", "vgg16", "resnet50")
"""Backbones of classifiers by name; any other name is that of a network of timm."""


class Classifier(nn.Module):
    """A sequence of stages, then a head: log odds of each class, and feature maps by layer.

    Each stage is a layer with a name; its feature maps are the output of its last ReLU.
    ``head(maps(images, layer), layer)`` equals ``forward(images)`` for every layer.

    Args:
        stages: The convolutions, from the image on, by the names of layers.
        judge: Pooling and linear layers, from the last stage's maps to logits.
        layer: The default layer of `maps` and `head`.
        mean: Channel means that are subtracted from images, which are in [0, 1].
        deviation: Channel standard deviations that they are divided by.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to log odds ``(B, C)``.
    """

    mean: Tensor
    deviation: Tensor
    frozen: nn.Sequential | None

    def __init__(
        self,
        stages: OrderedDict[str, nn.Module],
        judge: nn.Sequential,
        layer: str,
        mean: tuple[float, ...] = MEAN,
        deviation: tuple[float, ...] = DEVIATION,
    ) -> None:
        super().__init__()
        self.stages, self.judge, self.layer = nn.Sequential(stages), judge, layer
        self.frozen = None
        for module in self.modules():
            if getattr(module, "inplace", False) is True:  # feature maps must stay as they are
                setattr(module, "inplace", False)  # noqa: B010 - any activation, so not typed
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all stages, from the image on."""
        return tuple(self.stages._modules)

    def forward(self, images: Tensor) -> Tensor:
        """Return the log odds of every class."""
        return self.head(self.maps(images))

    def maps(self, images: Tensor, layer: str | None = None) -> Tensor:
        """Return the feature maps of a layer.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            layer: One of `layers`; None = ``self.layer``.

        Returns:
            ``(B, K, h, w)``.

        Raises:
            LookupError: If there is no such layer.
        """
        at = self._index(layer)
        maps: Tensor = self.stages[: at + 1]((images - self.mean) / self.deviation)
        return maps

    def head(self, maps: Tensor, layer: str | None = None) -> Tensor:
        """Return the log odds from a layer's maps: ``(B, K, h, w)`` to ``(B, C)``."""
        logits: Tensor = self.judge(self.after(layer)(maps))
        return logits.float()

    def after(self, layer: str | None = None) -> nn.Sequential:
        """Return the stages between a layer and the head's pooling."""
        return self.stages[self._index(layer) + 1 :]

    def freeze(self, learning: int) -> None:
        """Let only the last stages and the head learn; the others keep weights and statistics.

        Args:
            learning: How many stages learn.
        """
        count = max(0, len(self.stages) - learning)
        frozen = self.stages[:count].requires_grad_(False)
        object.__setattr__(self, "frozen", frozen)  # no module of its own, or it is saved twice
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """Set training mode, but for frozen stages: their batch normalisation stays as it is."""
        super().train(mode)
        if self.frozen is not None:
            self.frozen.eval()
        return self

    def _index(self, layer: str | None) -> int:
        layer = layer or self.layer
        if layer not in self.layers:
            raise LookupError(unknown(layer, self.layers, "layer of this classifier") + ".")
        return self.layers.index(layer)


def make_classifier(
    name: str,
    classes: int,
    width: int = STOCK_WIDTH,
    weights: Weights = "none",
    stride: int = 16,
) -> Classifier:
    """Make the classifier called ``name``.

    Args:
        name: One of `CLASSIFIERS`, or a convolutional network of timm.
        classes: C, the number of logits.
        width: Channels of the first stage of ``small``; the others have fixed widths.
        weights: Weights of any but ``small``: ``none``, ``imagenet``, a path, or ``package``, see
            `scene.networks.trunks.make_trunk`.
        stride: Of the last maps of a network of timm, in pixels: 8, 16 or 32.

    Raises:
        LookupError: If there is no such classifier, or there are no such weights.
        ValueError: If weights are named for ``small``, or are not of this network.
    """
    if name == "small":
        if weights != "none":
            raise ValueError("The small backbone is always trained from scratch: --weights none.")
        return _small(classes, width)
    if name == "vgg16":
        return _vgg16(classes, weights)
    if name == "resnet50":
        return _resnet50(classes, weights)
    from .trunks import make_trunk

    return make_trunk(name, classes, weights, stride)


def _small(classes: int, width: int) -> Classifier:
    """Four stages like those of VGG, named by their strides in pixels."""
    widths = (3, width, 2 * width, 4 * width, 8 * width)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for depth, (inner, outer) in enumerate(pairwise(widths)):
        pool = [nn.MaxPool2d(2, ceil_mode=True)] if depth else []
        layers = [*_normed(inner, outer), *(_normed(outer, outer) if depth else [])]
        stages[f"stride{2**depth}"] = nn.Sequential(*pool, *layers)
    judge = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return Classifier(stages, judge, "stride8", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def _normed(inner: int, outer: int) -> list[nn.Module]:
    return [nn.Conv2d(inner, outer, 3, padding=1, bias=False), Norm(outer), nn.ReLU()]


def _vgg16(classes: int, weights: Weights) -> Classifier:
    """VGG-16: its 13 convolutions as stages, named as in the paper, conv1_1 to conv5_3."""
    net = pretrained("vgg16", weights)
    net.classifier[-1] = nn.Linear(net.classifier[-1].in_features, classes)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    *groups, last = _between_pools(net.features)
    pools: list[nn.Module] = []
    for block, group in enumerate(groups, start=1):
        *layers, pool = group
        for depth, (convolution, relu) in enumerate(zip(layers[::2], layers[1::2], strict=True)):
            stages[f"conv{block}_{depth + 1}"] = nn.Sequential(*pools, convolution, relu)
            pools = []
        pools = [pool]
    assert not last
    judge = nn.Sequential(*pools, net.avgpool, nn.Flatten(), *net.classifier)
    return Classifier(stages, judge, f"conv{len(groups)}_3")


def _between_pools(layers: Any) -> Iterator[list[nn.Module]]:
    """Split VGG's layers after each pooling; the last group is what follows the last pooling."""
    group: list[nn.Module] = []
    for layer in layers:
        group.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            yield group
            group = []
    yield group


def _resnet50(classes: int, weights: Weights) -> Classifier:
    """ResNet-50: its stem and its four groups of blocks as stages, with torchvision's names."""
    net = pretrained("resnet50", weights)
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(net.conv1, net.bn1, net.relu)
    )
    stages["layer1"] = nn.Sequential(net.maxpool, net.layer1)
    stages.update((name, getattr(net, name)) for name in ("layer2", "layer3", "layer4"))
    judge = nn.Sequential(net.avgpool, nn.Flatten(), nn.Linear(net.fc.in_features, classes))
    return Classifier(stages, judge, "layer4")
