"""Scenes labelled cell by cell: p(mask | image) by networks that label a coarse grid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .likelihoods import LabelMap
from .models import Likelihood, SceneModel
from .networks.backbones import DEVIATION, MEAN, Weights, pretrained
from .networks.classifiers import Classifier, classifier
from .networks.encoders import Norm
from .registry import unknown
from .sizes import STOCK_WIDTH
from .views import Schema, Views

NETS = ("small", "largefov")
"""Networks that label a coarse grid, by name."""

FLOOR = 1e-5
"""The least probability of a label at a pixel."""

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class LargeFov(nn.Module):
    """VGG-16 as DeepLab-LargeFOV: a grid of stride 8, each cell of which sees far.

    Pools 1 to 3 halve, with windows of 3; pools 4 and 5 do not, and a 3×3 average follows them.
    The last three convolutions are dilated by 2. fc6 is a 3×3 convolution dilated by 12, fc7 a
    1×1, both with 1024 channels and dropout 0.5; fc8, here ``scores``, starts at N(0, 0.01).

    Pretrained weights serve all 13 convolutions as they are. fc6 and fc7 are larger in VGG-16
    (7×7, 4096 channels): they are decimated, to rows and columns 0, 3 and 6 and every fourth
    channel.

    Args:
        labels: L.
        weights: Where VGG-16's come from: ``none``, ``imagenet`` or a path.

    Raises:
        LookupError: If the weights cannot be had.
        ValueError: If they are not VGG-16's.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to ``(B, L, ⌈H / 8⌉, ⌈W / 8⌉)``; 321×321 to 41×41.

    Source:
        Chen et al. (2015), Semantic Image Segmentation with Deep Convolutional Nets and Fully
        Connected CRFs, https://arxiv.org/abs/1412.7062; Kolesnikov & Lampert (2016).
    """

    halvings, corners = 3, True
    mean: Tensor
    deviation: Tensor

    def __init__(self, labels: int, weights: Weights = "none") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inner = 3
        for block, channels in enumerate(_BLOCKS, start=1):
            dilation = 2 if block == 5 else 1
            for outer in channels:
                layers += [_convolution(inner, outer, 3, dilation), nn.ReLU()]
                inner = outer
            layers += [nn.MaxPool2d(3, stride=2 if block <= 3 else 1, padding=1)]
        self.body = nn.Sequential(*layers, nn.AvgPool2d(3, stride=1, padding=1))
        self.fc6, self.fc7 = _convolution(512, 1024, 3, 12), _convolution(1024, 1024, 1)
        self.scores = _scores(1024, labels)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        if weights != "none":
            self._begin(pretrained("vgg16", weights))
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Score every label in every cell."""
        found = self.body((image - self.mean) / self.deviation)
        found = self.dropout(self.fc6(found).relu())
        found = self.dropout(self.fc7(found).relu())
        logits: Tensor = self.scores(found)
        return logits.float()

    def begin(self, source: Classifier) -> None:
        """Take over the convolutions of a ``vgg16`` classifier; fc6 to fc8 stay as they are."""
        _copy(_parts(source.stages), _parts(self.body))

    @torch.no_grad()
    def _begin(self, vgg: Any) -> None:
        """Take over the weights of torchvision's VGG-16."""
        _copy(_parts(vgg.features), _parts(self.body))
        fc6, fc7 = vgg.classifier[0], vgg.classifier[3]
        self.fc6.weight.copy_(fc6.weight.unflatten(1, (-1, 7, 7))[::4, :, ::3, ::3])
        self.fc7.weight.copy_(fc7.weight[::4, ::4, None, None])
        self.fc6.bias.copy_(fc6.bias[::4])  # type: ignore[union-attr]
        self.fc7.bias.copy_(fc7.bias[::4])  # type: ignore[union-attr]


class SmallCoarse(nn.Module):
    """The small classifier, and a way back from its last stage to a grid of stride 4.

    What stages of stride 8 and 4 see is brought to equally many channels and added; a convolution,
    dropout and ``scores`` follow. The stages are the classifier's own, so that its weights fit.

    Args:
        labels: L.
        width: Channels at full resolution, as the classifier's.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to ``(B, L, ⌈H / 4⌉, ⌈W / 4⌉)``.
    """

    halvings, corners = 2, False

    def __init__(self, labels: int, width: int = STOCK_WIDTH) -> None:
        super().__init__()
        source, hidden = classifier("small", 1, width), 4 * width
        self.centre, self.range = float(source.mean[0]), float(source.deviation[0])
        self.body = source.stages
        self.deep, self.fine = _normed(8 * width, hidden, 1), _normed(4 * width, hidden, 1)
        self.mix = nn.Sequential(nn.ReLU(), _normed(hidden, hidden, 3), nn.ReLU())
        self.dropout = nn.Dropout(0.2)
        self.scores = _scores(hidden, labels)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Score every label in every cell."""
        fine = self.body[:-1]((image - self.centre) / self.range)
        deep = self.deep(self.body[-1](fine))
        deep = F.interpolate(deep, fine.shape[-2:], mode="bilinear", align_corners=False)
        logits: Tensor = self.scores(self.dropout(self.mix(deep + self.fine(fine))))
        return logits.float()

    def begin(self, source: Classifier) -> None:
        """Take over all stages of a ``small`` classifier."""
        _copy(_parts(source.stages), _parts(self.body))


class CoarseScene(SceneModel):
    """p(mask | image) from a coarse grid, with nothing latent: the network of SEC.

    Args:
        schema: Labels and image size.
        net: One of `NETS`.
        width: Channels of ``small`` at full resolution.
        weights: Where the weights of ``largefov`` come from. ``classifier`` leaves them fresh,
            for somebody to call ``net.begin(classifier)``.

    Raises:
        LookupError: If there is no such network, or its weights cannot be had.
        ValueError: If weights are asked for ``small``.
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(
        self,
        schema: Schema,
        net: str = "small",
        width: int = STOCK_WIDTH,
        weights: Weights = "none",
    ) -> None:
        super().__init__()
        labels = len(schema.labels.names)
        source = "none" if weights == "classifier" else weights
        if net not in NETS:
            raise LookupError(unknown(net, NETS, "network") + ".")
        if net == "small" and source != "none":
            raise ValueError(f"The small network starts from a classifier or none, not {source}.")
        self.net = SmallCoarse(labels, width) if net == "small" else LargeFov(labels, source)
        self.labels, self.size = schema.labels, schema.size
        rows, columns = schema.size
        for _ in range(self.net.halvings):
            rows, columns = -(-rows // 2), -(-columns // 2)
        self.cells = rows, columns

    def scores(self, image: Tensor) -> Tensor:
        """Score every label in every cell: ``(B, 3, H, W)`` to ``(B, L, *cells)`` logits."""
        logits: Tensor = self.net(image)
        return logits

    def shrunk(self, image: Tensor) -> Tensor:
        """Give images at the grid: ``(B, 3, H, W)`` to ``(B, 3, *cells)``.

        The cells of ``small`` are averages of what they cover; those of ``largefov`` lie on every
        eighth pixel, and take its colour.
        """
        if self.net.corners:
            return F.interpolate(image, self.cells, mode="bilinear", align_corners=True)
        return F.interpolate(image, self.cells, mode="area")

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Label every pixel: probabilities of the cells, interpolated bilinearly."""
        assert views is not None
        if "mask" not in names:
            return {}
        probs = self.scores(views["image"]).softmax(1)
        whole = F.interpolate(probs, self.size, mode="bilinear", align_corners=self.net.corners)
        return {"mask": LabelMap(whole.clamp(min=FLOOR).log())}


def _convolution(inner: int, outer: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    """Make a convolution that keeps the size, for a ReLU to follow."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(inner, outer, kernel, padding=padding, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _normed(inner: int, outer: int, kernel: int) -> nn.Sequential:
    layer = nn.Conv2d(inner, outer, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, Norm(outer))


def _scores(inner: int, labels: int) -> nn.Conv2d:
    layer = nn.Conv2d(inner, labels, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _parts(net: nn.Module) -> list[nn.Module]:
    """List the layers that have weights, in their order."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]


def _copy(source: list[nn.Module], target: list[nn.Module]) -> None:
    """Copy the weights of layers to those in the same places.

    Raises:
        ValueError: If the networks differ.
    """
    pairs = list(zip(source, target, strict=False))
    shapes = [[[t.shape for t in layer.state_dict().values()] for layer in p] for p in pairs]
    if len(source) != len(target) or any(a != b for a, b in shapes):
        raise ValueError("The weights are of another network; start from --weights none instead.")
    for one, other in pairs:
        other.load_state_dict(one.state_dict())
