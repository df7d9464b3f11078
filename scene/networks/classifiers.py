"""Image classifiers by name: a small one, torchvision's VGG-16 and ResNet-50, others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import nn

from ..sizes import STOCK_WIDTH
from .backbones import Weights, pretrained, require_small
from .encoders import Norm
from .feature_maps import Classifier
from .trunks import make_trunk, require_stride

CLASSIFIERS = ("small", "vgg16", "resnet50")
"""Backbones of classifiers by name; any other name is a network of timm or torchvision."""


def make_classifier(
    name: str,
    classes: int,
    width: int = STOCK_WIDTH,
    weights: Weights = "none",
    stride: int | None = None,
) -> Classifier:
    """Make the classifier called ``name``.

    Args:
        name: One of `CLASSIFIERS`, or a convolutional network of timm or torchvision.
        classes: C, the number of logits.
        width: Channels of the first stage of ``small``; the others have fixed widths.
        weights: Weights of any but ``small``: ``none``, ``imagenet``, a path, or ``package``, see
            `scene.networks.trunks.make_trunk`.
        stride: The most pixels that a cell of the default layer's maps covers: 8, 16 or 32; None =
            32 for ``resnet50``, 16 for any other; ``small`` always has 8.

    Raises:
        LookupError: If there is no such classifier, or there are no such weights.
        ValueError: If weights are named for ``small``, or are not of this network, or it has not
            that stride.
    """
    if name == "small":
        require_small(weights)
        return _small(classes, width)
    if name in _TORCHVISION:
        net = _TORCHVISION[name](classes, weights)
        if stride not in (None, 32):  # which both have, without dilation
            require_stride(net, name, stride)
        return net
    return make_trunk(name, classes, weights, stride or 16, CLASSIFIERS)


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


_TORCHVISION = {"vgg16": _vgg16, "resnet50": _resnet50}
"""Networks of torchvision whose layers have the names of their papers."""
