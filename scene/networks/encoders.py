"""Encoders: networks that turn a view into features, and features into a Gaussian over z."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..views import Schema

STRIDE = 16
"""Pixels of the scene, along each side, that one cell of the coarsest grid covers."""


class Norm(nn.BatchNorm2d):
    """Batch normalisation that uses the running statistics where a batch has one value a channel.

    Shape:
        ``(N, C, H, W)`` to ``(N, C, H, W)``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel."""
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class Encoder(nn.Module):
    """Encode an image by four strided convolutions as one feature vector.

    Each convolution is batch-normalised: without that, masks are not learned at all on a small
    training budget. In training mode the features of a scene therefore depend a little on its
    batch.

    Args:
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        width: Channels after the first convolution; they double twice.

    Attributes:
        features: Length of the feature vector.

    Shape:
        ``(..., channels, H, W)`` to ``(..., features)``.
    """

    rank = 3
    """Dimensions of one image, without those of the batch."""

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(sizes):
            layers += [nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=False)]
            layers += [Norm(outer), nn.ReLU()]
        self.convolutions = channels_last(nn.Sequential(*layers))
        self.size = size
        rows, columns = coarsest_grid(size)
        self.features = 4 * width * rows * columns

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature vectors of images, float32."""
        features: Tensor = self.convolutions(self._padded(image))
        return features.reshape(*image.shape[: -self.rank], self.features).float()

    def feature_maps(self, image: Tensor) -> list[Tensor]:
        """Return the maps after each convolution, finest first.

        Args:
            image: ``(N, channels, H, W)``.

        Returns:
            Four tensors, ``(N, C, H / 2, W / 2)`` to ``(N, C, H / 16, W / 16)``, H and W rounded
            up to whole cells of the coarsest grid.
        """
        maps, x = [], self._padded(image)
        for layer in self.convolutions:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                maps.append(x)
        return maps

    def channels(self, image: Tensor) -> Tensor:
        """Return the input channels of images, ``(N, channels, H, W)``: pixel values about 0."""
        return centred(image)

    def _padded(self, image: Tensor) -> Tensor:
        rows, columns = coarsest_grid(self.size)
        bottom, right = STRIDE * rows - self.size[0], STRIDE * columns - self.size[1]
        flat = self.channels(image.reshape(-1, *image.shape[-self.rank :]))
        return F.pad(flat, (0, right, 0, bottom)) if bottom or right else flat


class MaskEncoder(Encoder):
    """Encode a mask, as one-hot channels, as one feature vector.

    A void pixel is zero in all channels.

    Args:
        labels: Number of labels.
        size: Height and width of the mask in pixels.
        width: Channels after the first convolution; they double twice.

    Shape:
        ``(..., H, W)`` integer to ``(..., features)``.
    """

    rank = 2

    def __init__(self, labels: int, size: tuple[int, int], width: int) -> None:
        super().__init__(labels, size, width)
        self.labels = labels

    def channels(self, image: Tensor) -> Tensor:
        """Return one-hot channels of masks, ``(N, H, W)`` to ``(N, labels, H, W)``."""
        ids = torch.arange(self.labels, device=image.device).view(-1, 1, 1)
        return (image.unsqueeze(-3) == ids).float()


class ClassEncoder(nn.Module):
    """Encode a class vector by one linear layer.

    Args:
        classes: Length of the class vector.
        features: Length of the feature vector.

    Shape:
        ``(..., classes)`` in {0, 1} to ``(..., features)``.
    """

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(classes, features)
        self.features = features

    def forward(self, classes: Tensor) -> Tensor:
        """Return the feature vectors of class vectors, float32."""
        features: Tensor = self.layer(2 * classes - 1).relu()
        return features.float()


def make_encoder(view: str, schema: Schema, width: int) -> Encoder | ClassEncoder:
    """Make the encoder of a view.

    Args:
        view: ``image``, ``mask`` or ``classes``.
        schema: Labels and image size.
        width: Channels after the first convolution.

    Raises:
        LookupError: If there is no encoder for such a view.
    """
    match view:
        case "image":
            return Encoder(3, schema.size, width)
        case "mask":
            return MaskEncoder(len(schema.labels.names), schema.size, width)
        case "classes":
            return ClassEncoder(len(schema.labels.classes), 4 * width)
    raise LookupError(
        f"There is no encoder for the view {view!r}, only for image, classes and mask; give the "
        f"guide one of your own: encoders={{{view!r}: …}}."
    )


class GaussianHead(nn.Module):
    """Two layers from features to the mean and the standard deviation of a Gaussian over z.

    Args:
        features: Length of the feature vector.
        hidden: Length of the hidden layer.
        latent: Length of z.

    Shape:
        ``(..., features)`` to two of ``(..., latent)``; standard deviations lie above 1e-4.
    """

    def __init__(self, features: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation, float32."""
        loc, raw = self.layers(features).float().chunk(2, dim=-1)
        return loc, F.softplus(raw) + 1e-4


def centred(image: Tensor) -> Tensor:
    """Map pixel values from [0, 1] to [-2, 2]."""
    return 4 * image - 2


def coarsest_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of the coarsest grid, which covers ``size``.

    >>> coarsest_grid((96, 70))
    (6, 5)
    """
    return -(-size[0] // STRIDE), -(-size[1] // STRIDE)


def channels_last(net: nn.Sequential) -> nn.Sequential:
    """Store weights channels-last: on a CPU that halves the time of narrow convolutions."""
    return net.to(memory_format=torch.channels_last)


def convolution_block(
    inner: int, outer: int, stride: int = 1, twice: bool = False
) -> nn.Sequential:
    """Return one or two 3×3 convolutions, each batch-normalised and rectified.

    Args:
        inner: Channels of the input.
        outer: Channels of the output.
        stride: Stride of the first convolution.
        twice: Whether there are two.
    """
    layers: list[nn.Module] = []
    for channels, step in ((inner, stride), (outer, 1))[: 1 + twice]:
        layers += [
            nn.Conv2d(channels, outer, 3, step, padding=1, bias=False),
            Norm(outer),
            nn.ReLU(),
        ]
    return channels_last(nn.Sequential(*layers))
