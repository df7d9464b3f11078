"""Segmentation networks: a U-Net, and networks that label the cells of a coarse grid."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..sizes import STOCK_WIDTH
from .backbones import DEVIATION, MEAN, Weights, pretrained
from .classifiers import make_classifier
from .encoders import Norm, centred, convolution_block
from .feature_maps import Classifier
from .image_encoders import TrunkEncoder
from .spatial import FeaturePyramid, Latent
from .trunks import make_trunk

NETS = ("small", "largefov")
"""Networks that label a coarse grid, by name; any other is a network of timm or torchvision."""

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class UNet(nn.Module):
    """A U-Net: an encoder, a decoder, and skips between equal resolutions.

    Args:
        channels: Channels of the image.
        labels: Number of labels.
        width: Channels at full resolution; they double at each halving, up to eightfold.
        halvings: How often the resolution is halved.

    Shape:
        ``(B, channels, H, W)`` in [0, 1] to logits ``(B, labels, H, W)``.

    Source:
        Ronneberger et al. (2015), U-Net, https://arxiv.org/abs/1505.04597
    """

    def __init__(self, channels: int, labels: int, width: int, halvings: int = 4) -> None:
        super().__init__()
        widths = [width * min(8, 2**depth) for depth in range(halvings + 1)]
        self.down = nn.ModuleList(
            convolution_block(inner, outer, stride=2 if depth else 1, twice=depth > 0)
            for depth, (inner, outer) in enumerate(pairwise([channels, *widths]))
        )
        self.up = nn.ModuleList(
            convolution_block(deep + shallow, shallow, twice=depth > 0)
            for depth, (shallow, deep) in reversed(list(enumerate(pairwise(widths))))
        )
        self.logits = nn.Conv2d(width, labels, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every label at every pixel, float32."""
        height, width = image.shape[-2:]
        *finer, x = self.encoder_maps(image)
        for block, skip in zip(self.up, finer[::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        logits: Tensor = self.logits(x)
        return logits.float()[..., :height, :width]

    def encoder_maps(self, image: Tensor) -> list[Tensor]:
        """Return the maps of the encoder at each resolution, finest first."""
        height, width = image.shape[-2:]
        multiple = 2 ** (len(self.down) - 1)
        right, bottom = -width % multiple, -height % multiple
        maps = [F.pad(centred(image), (0, right, 0, bottom), mode="replicate")]
        for block in self.down:
            maps.append(block(maps[-1]))
        return maps[1:]


class TrunkUNet(nn.Module):
    """A U-Net whose encoder is the trunk of a classifier.

    Up-convolutions join the trunk's maps of strides 16, 8, 4 and 2; the last one also reads the
    image itself, through one convolution at full resolution.

    Args:
        labels: L, the number of labels.
        size: Height and width of the images in pixels.
        width: Channels at full resolution.
        backbone: Any classifier but ``small``.
        weights: Its weights, see `scene.networks.classifiers.make_classifier`.
        stride: Of its last maps in the image that it reads: 8, 16 or 32 pixels.
        tuned_stages: How many of its last stages learn beside the decoder; None = all.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If the network has no feature maps, or not that stride.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to logits ``(B, L, H, W)``.
    """

    def __init__(
        self,
        labels: int,
        size: tuple[int, int],
        width: int,
        backbone: str,
        weights: Weights = "none",
        stride: int | None = None,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        encoder = TrunkEncoder(size, width, backbone, weights, stride, tuned_stages)
        self.pyramid = FeaturePyramid(encoder, Latent(0, 0, 2, size), width)
        self.fine = convolution_block(3, width)
        self.mix = convolution_block(self.pyramid.features + width, width)
        self.logits = nn.Conv2d(width, labels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every label at every pixel, float32."""
        height, width = image.shape[-2:]
        x = F.interpolate(self.pyramid(image), scale_factor=2.0)[..., :height, :width]
        logits: Tensor = self.logits(self.mix(torch.cat([x, self.fine(centred(image))], dim=1)))
        return logits.float()

    def encoder_maps(self, image: Tensor) -> list[Tensor]:
        """Return the maps of the trunk at each resolution, finest first."""
        encoder = self.pyramid.encoder
        assert isinstance(encoder, TrunkEncoder)
        return encoder.feature_maps(image)


class LargeFOV(nn.Module):
    """DeepLab-LargeFOV: VGG-16 with stride 8 and a large field of view.

    Pools 1 to 3 have windows of 3 and stride 2; pools 4 and 5 have stride 1, and a 3×3 average
    pool follows them. The last three convolutions are dilated by 2. fc6 is a 3×3 convolution
    dilated by 12, fc7 a 1×1 convolution, both with 1024 channels and dropout 0.5. fc8, here
    ``scores``, is initialised from N(0, 0.01²).

    Pretrained weights are copied to all 13 convolutions. fc6 and fc7 are larger in VGG-16 (7×7,
    4096 channels): they are decimated to rows and columns 0, 3 and 6 and to every fourth channel.

    Args:
        labels: L, the number of labels.
        weights: Weights of VGG-16: ``none``, ``imagenet`` or a path.

    Raises:
        LookupError: If there are no such weights.
        ValueError: If they are not those of VGG-16.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to logits ``(B, L, ⌈H / 8⌉, ⌈W / 8⌉)``; 321×321 to 41×41.

    Source:
        Chen et al. (2015), Semantic Image Segmentation with Deep Convolutional Nets and Fully
        Connected CRFs, https://arxiv.org/abs/1412.7062; Kolesnikov & Lampert (2016).
    """

    halvings, align_corners = 3, True
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
            self._copy_vgg16(pretrained("vgg16", weights))
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every label in every cell, float32."""
        x = self.body((image - self.mean) / self.deviation)
        x = self.dropout(self.fc6(x).relu())
        x = self.dropout(self.fc7(x).relu())
        logits: Tensor = self.scores(x)
        return logits.float()

    def copy_weights(self, source: Classifier) -> None:
        """Copy the convolutions of a ``vgg16`` classifier; fc6 to fc8 stay as they are.

        Raises:
            ValueError: If the classifier is another network.
        """
        _copy(_layers(source.stages), _layers(self.body))

    @torch.no_grad()
    def _copy_vgg16(self, vgg: Any) -> None:
        """Copy the weights of torchvision's VGG-16."""
        _copy(_layers(vgg.features), _layers(self.body))
        fc6, fc7 = vgg.classifier[0], vgg.classifier[3]
        self.fc6.weight.copy_(fc6.weight.unflatten(1, (-1, 7, 7))[::4, :, ::3, ::3])
        self.fc7.weight.copy_(fc7.weight[::4, ::4, None, None])
        self.fc6.bias.copy_(fc6.bias[::4])  # type: ignore[union-attr]
        self.fc7.bias.copy_(fc7.bias[::4])  # type: ignore[union-attr]


class SmallFCN(nn.Module):
    """A small fully convolutional network of stride 4, on the stages of the small classifier.

    The maps of stride 8 and of stride 4 are projected to the same number of channels and added;
    a convolution, dropout and ``scores`` follow. Weights of the small classifier fit the stages.

    Args:
        labels: L, the number of labels.
        width: Channels at full resolution, as those of the classifier.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to logits ``(B, L, ⌈H / 4⌉, ⌈W / 4⌉)``.
    """

    halvings, align_corners = 2, False

    def __init__(self, labels: int, width: int = STOCK_WIDTH) -> None:
        super().__init__()
        source, hidden = make_classifier("small", 1, width), 4 * width
        self.mean, self.deviation = float(source.mean[0]), float(source.deviation[0])
        self.body = source.stages
        self.deep, self.fine = _normed(8 * width, hidden, 1), _normed(4 * width, hidden, 1)
        self.mix = nn.Sequential(nn.ReLU(), _normed(hidden, hidden, 3), nn.ReLU())
        self.dropout = nn.Dropout(0.2)
        self.scores = _scores(hidden, labels)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every label in every cell, float32."""
        fine = self.body[:-1]((image - self.mean) / self.deviation)
        deep = self.deep(self.body[-1](fine))
        deep = F.interpolate(deep, fine.shape[-2:], mode="bilinear", align_corners=False)
        logits: Tensor = self.scores(self.dropout(self.mix(deep + self.fine(fine))))
        return logits.float()

    def copy_weights(self, source: Classifier) -> None:
        """Copy all stages of a ``small`` classifier.

        Raises:
            ValueError: If the classifier is another network.
        """
        _copy(_layers(source.stages), _layers(self.body))


class TrunkFCN(nn.Module):
    """The stages of a pretrained classifier, dropout, and a 1×1 convolution to the labels.

    Args:
        labels: L, the number of labels.
        backbone: A convolutional network of timm or torchvision.
        weights: Its weights, see `scene.networks.trunks.make_trunk`.
        stride: Of its last maps, in pixels: 8, 16 or 32.
        tuned_stages: How many of the last stages learn beside ``scores``; None = all.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If the network has no feature maps, or not that stride.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to logits ``(B, L, ⌈H / stride⌉, ⌈W / stride⌉)``.
    """

    align_corners = False

    def __init__(
        self,
        labels: int,
        backbone: str,
        weights: Weights = "none",
        stride: int = 16,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        self.halvings = stride.bit_length() - 1
        self.trunk = make_trunk(backbone, 1, weights, stride, NETS)
        last = self.trunk.judge[-1]
        assert isinstance(last, nn.Linear)
        self.trunk.judge = nn.Sequential()
        if tuned_stages is not None:
            self.trunk.freeze(tuned_stages)
        self.dropout = nn.Dropout(0.2)
        self.scores = _scores(last.in_features, labels)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of every label in every cell, float32."""
        logits: Tensor = self.scores(self.dropout(self.trunk.maps(image)))
        rows, columns = (-(-extent // 2**self.halvings) for extent in image.shape[-2:])
        if logits.shape[-2:] != (rows, columns):  # layers without padding lose cells at borders
            logits = F.interpolate(logits, (rows, columns), mode="bilinear", align_corners=False)
        return logits.float()

    def copy_weights(self, source: Classifier) -> None:
        """Copy all stages of a classifier with this backbone; its own layers stay as they are.

        Raises:
            ValueError: If the classifier is another network.
        """
        try:
            self.trunk.stages.load_state_dict(source.stages.state_dict())
        except RuntimeError as error:
            raise ValueError(_OTHER_NETWORK) from error


_OTHER_NETWORK = "The weights are of another network; start from --weights none instead."


def _convolution(inner: int, outer: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, initialised for a ReLU after it."""
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


def _layers(net: nn.Module) -> list[nn.Module]:
    """List the layers that have weights, in order."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]


def _copy(source: list[nn.Module], target: list[nn.Module]) -> None:
    """Copy weights layer by layer.

    Raises:
        ValueError: If the networks differ.
    """
    pairs = list(zip(source, target, strict=False))
    shapes = [[[t.shape for t in layer.state_dict().values()] for layer in p] for p in pairs]
    if len(source) != len(target) or any(a != b for a, b in shapes):
        raise ValueError(_OTHER_NETWORK)
    for one, other in pairs:
        other.load_state_dict(one.state_dict())
