"""Encoders of images by name: the small one, the cVAE's VGG-16, and trunks of classifiers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..views import Schema
from .backbones import DEVIATION, MEAN, Weights, pretrained, require_size_for, require_small
from .classifiers import make_classifier
from .encoders import STRIDE, Encoder, Norm, channels_last, coarsest_grid
from .memory import remembered

SIDE = 128
"""Shorter side, in pixels, to which a trunk's images are enlarged where they are smaller."""

_LEVELS = ((2, 1), (4, 2), (8, 4), (16, 4))
"""Strides of an encoder's maps in pixels, and their channels in widths."""


class TrunkEncoder(nn.Module):
    """Encode an image by the stages of a classifier, to maps as those of an `Encoder`.

    The trunk reads the image enlarged bilinearly to a shorter side of at least `SIDE` pixels. Of
    its stages' maps, the one nearest to a stride of 2, 4 or 8 pixels of the image, and the last
    one for 16, are resized to that stride; a 1×1 convolution, batch-normalised and rectified,
    gives each the channels of an `Encoder` of this width.

    Args:
        size: Height and width of the image in pixels.
        width: Channels of the finest maps; the others have twice and four times as many.
        backbone: Any classifier but ``small``, see `scene.networks.classifiers.make_classifier`.
        weights: Its weights: ``none``, ``imagenet``, ``package`` or a path.
        stride: Of its last maps in the enlarged image: 8, 16 or 32 pixels; None = its usual one.
        tuned_stages: How many of its last stages learn; None = all. The 1×1 convolutions learn.

    Attributes:
        features: Length of the feature vector.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If the network has no feature maps, or not that stride.

    Shape:
        ``(..., 3, H, W)`` in [0, 1] to ``(..., features)``.
    """

    rank = 3
    """Dimensions of one image, without those of the batch."""

    _reader: _Reader

    def __init__(
        self,
        size: tuple[int, int],
        width: int,
        backbone: str,
        weights: Weights = "none",
        stride: int | None = None,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        self.trunk = make_classifier(backbone, 1, weights=weights, stride=stride)
        self.trunk.judge = nn.Sequential()
        if tuned_stages is not None:
            self.trunk.freeze(tuned_stages)
        self.size, self.cells = size, coarsest_grid(size)
        self.features = _LEVELS[-1][1] * width * self.cells[0] * self.cells[1]
        stages = self._stage_maps_of_nothing()
        self.chosen = tuple(self._nearest(stages, stride) for stride, _ in _LEVELS)
        self.laterals = nn.ModuleList(
            _lateral(stages[at].shape[1], widths * width)
            for at, (_, widths) in zip(self.chosen, _LEVELS, strict=True)
        )
        self._shapes = [maps.shape[1:] for maps in self._pooled(stages)]
        object.__setattr__(self, "_reader", _Reader(self))  # no part, or weights are saved twice

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature vectors of images, float32."""
        flat = image.reshape(-1, *image.shape[-self.rank :])
        last = self._projected(self._level_maps(flat), len(_LEVELS) - 1)
        return self.vector(last).reshape(*image.shape[: -self.rank], self.features)

    def vector(self, last: Tensor) -> Tensor:
        """Return the feature vectors, ``(N, features)``, of the last of the `feature_maps`."""
        return last.flatten(1).float()

    def feature_maps(self, image: Tensor) -> list[Tensor]:
        """Return the maps of strides 2, 4, 8 and 16, finest first.

        Args:
            image: ``(N, 3, H, W)``.

        Returns:
            Four tensors, ``(N, C, H / 2, W / 2)`` to ``(N, C, H / 16, W / 16)``, H and W rounded
            up to whole cells of the coarsest grid.
        """
        maps = self._level_maps(image)
        return [self._projected(maps, level) for level in range(len(_LEVELS))]

    def _level_maps(self, image: Tensor) -> list[Tensor]:
        """Return the trunk's maps of each level, which a memory may hold if none of it learns."""
        still = not any(stage.training for stage in self.trunk.stages)
        flat = remembered(self._reader, image) if still else None
        if flat is None:
            return self._reader.levels(image)
        sizes = [math.prod(shape) for shape in self._shapes]
        parts = zip(flat.split(sizes, dim=1), self._shapes, strict=True)
        return [part.unflatten(1, shape) for part, shape in parts]

    def _stage_maps(self, image: Tensor) -> list[Tensor]:
        rows, columns = (STRIDE * n for n in self.cells)
        bottom, right = rows - self.size[0], columns - self.size[1]
        if bottom or right:
            image = F.pad(image, (0, right, 0, bottom), mode="replicate")
        factor = SIDE / min(rows, columns)
        if factor > 1:
            enlarged = round(factor * rows), round(factor * columns)
            image = F.interpolate(image, enlarged, mode="bilinear", align_corners=False)
        return self.trunk.pyramid(image)

    def _pooled(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps chosen for each level, pooled to its grid where they are finer."""
        pooled = []
        for level, at in enumerate(self.chosen):
            (rows, columns), maps = self._grid(level), stages[at]
            if maps.shape[-2] > rows or maps.shape[-1] > columns:
                maps = F.adaptive_avg_pool2d(maps, (rows, columns))
            pooled.append(maps)
        return pooled

    @torch.no_grad()
    def _stage_maps_of_nothing(self) -> list[Tensor]:
        mode = self.trunk.training
        try:
            self.trunk.eval()
            return self._stage_maps(torch.zeros(1, 3, *self.size))
        finally:
            self.trunk.train(mode)

    def _nearest(self, stages: list[Tensor], stride: int) -> int:
        """Return which maps are the coarsest that are no coarser than a stride."""
        if stride == STRIDE:
            return len(stages) - 1
        rows = STRIDE * self.cells[0]
        fine = [at for at, maps in enumerate(stages) if rows / maps.shape[-2] < 1.2 * stride]
        return max(fine, default=0)  # 1.2, for unpadded layers lose cells at borders

    def _grid(self, level: int) -> tuple[int, int]:
        """Return the rows and columns of a level's maps."""
        rows, columns = (STRIDE // _LEVELS[level][0] * n for n in self.cells)
        return rows, columns

    def _projected(self, maps: Sequence[Tensor], level: int) -> Tensor:
        """Project the trunk's maps of a level, and resize what is coarser than it."""
        result = cast(Tensor, self.laterals[level](maps[level]))
        if result.shape[-2:] != self._grid(level):
            size = self._grid(level)
            result = F.interpolate(result, size, mode="bilinear", align_corners=False)
        return result


class _Reader(nn.Module):
    """The trunk of an encoder: from images ``(N, 3, H, W)`` to the maps of all levels, flat.

    Args:
        encoder: What the trunk is a part of; this is none.
    """

    def __init__(self, encoder: TrunkEncoder) -> None:
        super().__init__()
        self.trunk = encoder.trunk
        self._encoder = (encoder,)
        self.training = False  # it has no state of its own; the encoder's mode is the trunk's

    def levels(self, image: Tensor) -> list[Tensor]:
        """Return the maps of each level, pooled to its grid where they are finer."""
        (encoder,) = self._encoder
        return encoder._pooled(encoder._stage_maps(image))

    def forward(self, image: Tensor) -> Tensor:
        """Return the maps of all levels, ``(N, values)``."""
        return torch.cat([maps.flatten(1) for maps in self.levels(image)], dim=1)


def _lateral(inner: int, outer: int) -> nn.Sequential:
    layer = nn.Conv2d(inner, outer, 1, bias=False)
    return channels_last(nn.Sequential(layer, Norm(outer), nn.ReLU()))


class Vgg16(nn.Module):
    """The convolutions of VGG-16, average-pooled to at most 7×7 cells and flattened.

    Args:
        size: Height and width of the images in pixels.
        weights: ``none``, ``imagenet`` or a path.
        tuned_stages: How many of the last convolutions learn; None = all.

    Attributes:
        features: Length of the feature vector.

    Raises:
        ValueError: If the images are too small, or the weights are not of this network.
        LookupError: If there are no such weights.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to ``(B, features)``.

    Source:
        Simonyan & Zisserman (2015), Very Deep Convolutional Networks, configuration D.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, size: tuple[int, int], weights: Weights = "none", tuned_stages: int | None = None
    ) -> None:
        super().__init__()
        require_size_for("vgg16", size)
        self.convolutions = pretrained("vgg16", weights).features
        layers = [layer for layer in self.convolutions if isinstance(layer, nn.Conv2d)]
        if tuned_stages is not None:
            for layer in layers[: max(0, len(layers) - tuned_stages)]:
                layer.requires_grad_(False)
        self.cells = (min(size[0] // 32, 7), min(size[1] // 32, 7))
        self.features = 512 * self.cells[0] * self.cells[1]
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature vectors of images, float32."""
        maps = self.convolutions((image - self.mean) / self.deviation)
        return F.adaptive_avg_pool2d(maps, self.cells).flatten(1).float()


def make_backbone(
    name: str,
    schema: Schema,
    width: int,
    weights: Weights = "none",
    stride: int | None = None,
    tuned_stages: int | None = None,
) -> Encoder | Vgg16 | TrunkEncoder:
    """Make the backbone called ``name``; its ``features`` is the length of its output.

    Args:
        name: ``small``, ``vgg16``, or any other classifier of
            `scene.networks.classifiers.make_classifier`.
        schema: Labels and image size.
        width: Channels of the first convolution of ``small``, or of the finest maps of a trunk.
        weights: ``none``, ``imagenet``, ``package`` or a path.
        stride: Of a trunk's last maps: 8, 16 or 32 pixels; not of ``vgg16``, which is pooled to
            at most 7×7 cells.
        tuned_stages: How many of the trunk's last stages learn; None = all. Of ``vgg16`` a stage
            is a convolution.

    Raises:
        LookupError: If there is no such backbone, or there are no such weights.
        ValueError: If ``small`` is to have weights or tuned stages, or another backbone cannot
            have that stride.
    """
    if name == "small":
        require_small(weights, tuned_stages)
        return Encoder(3, schema.size, width)
    if name == "vgg16":
        return Vgg16(schema.size, weights, tuned_stages)
    return TrunkEncoder(schema.size, width, name, weights, stride, tuned_stages)
