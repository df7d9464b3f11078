"""The networks of models and guides: stems that read a view, heads that form a belief, a U-Net."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..views import Schema

STRIDE = 16
"""How many pixels of the scene one cell of the coarsest grid covers."""


class Norm(nn.BatchNorm2d):
    """Batch normalisation, by the running statistics where a batch is too small to have any."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel: ``(N, C, H, W)`` to the same."""
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class Stem(nn.Module):
    """Read a picture through four strided convolutions into one feature vector.

    Each is batch-normalised: without that, masks are not learned at all on a small training
    budget. So in training mode a scene's features depend a little on its batch.

    Args:
        channels: Channels of the picture.
        size: Its height and width in pixels.
        width: Channels after the first convolution; they double twice.

    Shape:
        ``(..., channels, H, W)`` to ``(..., features)``.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(sizes):
            layers += [nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=False)]
            layers += [Norm(outer), nn.ReLU()]
        self.convolutions = pixels_last(nn.Sequential(*layers))
        self.size = size
        rows, columns = grid(size)
        self.features = 4 * width * rows * columns

    def forward(self, picture: Tensor) -> Tensor:
        """Read pictures."""
        features: Tensor = self.convolutions(self._padded(picture))
        return features.reshape(*picture.shape[: -self.rank], self.features).float()

    def pyramid(self, picture: Tensor) -> list[Tensor]:
        """Give what each convolution finds, finest first: ``(N, C, H / 2, W / 2)`` and so on."""
        found, x = [], self._padded(picture)
        for layer in self.convolutions:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x)
        return found

    rank = 3
    """How many dimensions a picture has."""

    def prepare(self, picture: Tensor) -> Tensor:
        """Make channels of pictures, ``(N, channels, H, W)``: pixel values, centred."""
        return centred(picture)

    def _padded(self, picture: Tensor) -> Tensor:
        rows, columns = grid(self.size)
        bottom, right = STRIDE * rows - self.size[0], STRIDE * columns - self.size[1]
        flat = self.prepare(picture.reshape(-1, *picture.shape[-self.rank :]))
        return F.pad(flat, (0, right, 0, bottom)) if bottom or right else flat


class MaskStem(Stem):
    """Read a mask as one-hot channels; a void pixel is zero in all of them.

    Shape:
        ``(..., H, W)`` integer to ``(..., features)``.
    """

    rank = 2

    def __init__(self, labels: int, size: tuple[int, int], width: int) -> None:
        super().__init__(labels, size, width)
        self.labels = labels

    def prepare(self, picture: Tensor) -> Tensor:
        """Give each label a channel."""
        ids = torch.arange(self.labels, device=picture.device).view(-1, 1, 1)
        return (picture.unsqueeze(-3) == ids).float()


class ClassStem(nn.Module):
    """Read a class vector.

    Shape:
        ``(..., C)`` to ``(..., features)``.
    """

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(classes, features)
        self.features = features

    def forward(self, classes: Tensor) -> Tensor:
        """Read class vectors."""
        found: Tensor = self.layer(2 * classes - 1).relu()
        return found.float()


def stem(view: str, schema: Schema, width: int) -> Stem | MaskStem | ClassStem:
    """Make the network that reads ``view``; its ``features`` says how many numbers it gives.

    Raises:
        LookupError: If no network reads such a view.
    """
    match view:
        case "image":
            return Stem(3, schema.size, width)
        case "mask":
            return MaskStem(len(schema.labels.names), schema.size, width)
        case "classes":
            return ClassStem(len(schema.labels.classes), 4 * width)
    raise LookupError(
        f"No stem reads {view!r}; known views: image, classes, mask; or give the guide a stem of "
        f"yours: stems={{{view!r}: …}}."
    )


class GaussianHead(nn.Module):
    """Two layers from features to the mean and scale of a Gaussian belief about z.

    Shape:
        ``(..., features)`` to two of ``(..., latent)``; scales lie above 1e-4.
    """

    def __init__(self, features: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Form the belief."""
        loc, raw = self.layers(features).float().chunk(2, dim=-1)
        return loc, F.softplus(raw) + 1e-4


class UNet(nn.Module):
    """Label pixels directly: an encoder, a decoder, and skips between equal scales.

    Args:
        channels: Channels of the picture read.
        labels: Channels of logits written.
        width: Channels at full resolution; they double at each halving, up to eightfold.
        halvings: How often the resolution is halved.

    Shape:
        ``(B, channels, H, W)`` to ``(B, labels, H, W)``.

    Source:
        Ronneberger et al. (2015), U-Net, https://arxiv.org/abs/1505.04597
    """

    def __init__(self, channels: int, labels: int, width: int, halvings: int = 4) -> None:
        super().__init__()
        widths = [width * min(8, 2**depth) for depth in range(halvings + 1)]
        self.down = nn.ModuleList(
            _block(inner, outer, stride=2 if depth else 1, twice=depth > 0)
            for depth, (inner, outer) in enumerate(pairwise([channels, *widths]))
        )
        self.up = nn.ModuleList(
            _block(deep + shallow, shallow, twice=depth > 0)
            for depth, (shallow, deep) in reversed(list(enumerate(pairwise(widths))))
        )
        self.write = nn.Conv2d(width, labels, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, picture: Tensor) -> Tensor:
        """Score every label at every pixel."""
        height, width = picture.shape[-2:]
        whole = 2 ** (len(self.down) - 1)
        x = F.pad(centred(picture), (0, -width % whole, 0, -height % whole), mode="replicate")
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        logits: Tensor = self.write(x)
        return logits.float()[..., :height, :width]


def centred(picture: Tensor) -> Tensor:
    """Spread pixel values, which come in [0, 1], evenly about 0."""
    return 4 * picture - 2


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """Count the cells of the coarsest grid that cover ``size``.

    >>> grid((96, 70))
    (6, 5)
    """
    return -(-size[0] // STRIDE), -(-size[1] // STRIDE)


def pixels_last(net: nn.Sequential) -> nn.Sequential:
    """Store weights channels-last: on a CPU that halves the time of narrow convolutions."""
    return net.to(memory_format=torch.channels_last)


def _block(inner: int, outer: int, stride: int = 1, twice: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source, step in ((inner, stride), (outer, 1))[: 1 + twice]:
        layers += [
            nn.Conv2d(source, outer, 3, step, padding=1, bias=False),
            Norm(outer),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def refine(inner: int, outer: int) -> nn.Sequential:
    """Make one 3×3 convolution, batch-normalised."""
    return pixels_last(_block(inner, outer, twice=False))
