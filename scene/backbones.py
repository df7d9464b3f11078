"""Image features: a small network from scratch, or one of torchvision's by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scene.networks import Stem
from scene.registry import unknown
from scene.views import Schema

Weights = str
"""``none``, ``imagenet``, or the path of a state dict saved as safetensors."""

BACKBONES = ("small", "vgg16")

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's channel statistics, which torchvision's weights expect to be removed."""


class Vgg16(nn.Module):
    """The convolutions of VGG-16, averaged to at most 7 × 7 cells and flattened.

    Args:
        size: Height and width of the images in pixels.
        weights: Where the weights come from.

    Raises:
        ValueError: If the images are too small, or the weights are not of this network.
        LookupError: If the weights cannot be had.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to ``(B, features)``.

    Source:
        Simonyan & Zisserman (2015), Very Deep Convolutional Networks, configuration D.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: tuple[int, int], weights: Weights = "none") -> None:
        super().__init__()
        if min(size) < 32:
            raise ValueError(f"vgg16 needs images of 32×32 or more, not {size[0]}×{size[1]}.")
        self.convolutions = _torchvision_vgg16(weights).features
        self.cells = (min(size[0] // 32, 7), min(size[1] // 32, 7))
        self.features = 512 * self.cells[0] * self.cells[1]
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Read images."""
        found = self.convolutions((image - self.mean) / self.deviation)
        return F.adaptive_avg_pool2d(found, self.cells).flatten(1).float()


def features(name: str, schema: Schema, width: int, weights: Weights = "none") -> Stem | Vgg16:
    """Make the network called ``name``; its ``features`` says how many numbers it gives.

    Raises:
        LookupError: If there is no such backbone, or its weights cannot be had.
        ValueError: If weights are asked for a network that has none.
    """
    if name == "small":
        if weights != "none":
            raise ValueError("The small backbone is always trained from scratch: --weights none.")
        return Stem(3, schema.size, width)
    if name == "vgg16":
        return Vgg16(schema.size, weights)
    raise LookupError(unknown(name, BACKBONES, "backbone") + ".")


def _torchvision_vgg16(weights: Weights) -> Any:
    from torchvision.models import VGG16_Weights, vgg16

    if weights == "imagenet":
        try:
            return vgg16(weights=VGG16_Weights.IMAGENET1K_V1)
        except (OSError, RuntimeError) as error:  # the latter where the file is not the right one
            raise LookupError(
                f"ImageNet weights of vgg16 could not be downloaded ({error}); "
                "give --weights none, or the path of a state dict as safetensors."
            ) from error
    net = vgg16(weights=None)
    if weights != "none":
        _load(net, Path(weights))
    return net


def _load(net: nn.Module, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise LookupError(f"There are no weights at {path}; wanted none, imagenet or a file.")
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()  # the first only says that there are some
        raise ValueError(f"{path} does not hold the weights of vgg16: {reason}") from error
